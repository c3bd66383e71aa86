"""Fixtures for every test: where the real data is, and a small log with planted position bias."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; the test is skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip("needs ../shared/data")
    return DATA


@pytest.fixture(scope="session")
def planted():
    """Builds `Lists` of a product PBM: relevance exp(x·w) × examination, in binomial counts.

    Called with the examination of each position; `sessions` per query; returns the lists, the true
    weights of the features, and the relevance of each document.
    """
    from ultr.data import Lists
    from ultr.transform import Transform

    def build(examination, *, queries=120, documents=8, sessions=400, seed=0, orders=4):
        rng = np.random.default_rng(seed)
        n_positions, n = len(examination), queries * documents
        x = rng.normal(size=(n, 5)).astype(np.float32)
        truth = np.array([0.8, -0.5, 0.3, 0.0, 0.0])
        relevance = 0.5 / (1 + np.exp(-(x @ truth)))
        lists = queries * orders
        list_query = np.repeat(np.arange(queries), orders)
        shuffled = rng.permuted(np.tile(np.arange(documents), (lists, 1)), axis=1)
        document = shuffled[:, :n_positions] + list_query[:, None] * documents
        shown = sessions // orders
        clicks = rng.binomial(shown, relevance[document] * np.asarray(examination))
        position = np.broadcast_to(np.arange(1, n_positions + 1), document.shape)
        identity = Transform(tuple("abcde"), (0.0,) * 5, (1.0,) * 5)
        data = Lists(
            features=x,
            query_id=np.arange(queries),
            query_split=np.array([0] * 8 + [1, 2], np.int32)[np.arange(queries) % 10],
            doc_id=np.arange(n),
            doc_query=np.repeat(np.arange(queries), documents).astype(np.int32),
            doc_row=np.arange(n, dtype=np.int32),
            document=document.astype(np.int32),
            position=position.astype(np.int32),
            where=np.ones(document.shape, bool),
            clicks=clicks.astype(np.float32),
            weight=np.full(lists, shown, np.float32),
            sessions=np.full(lists, shown),
            list_query=list_query.astype(np.int32),
            session_split=rng.choice(3, lists, p=[0.8, 0.1, 0.1]).astype(np.int32),
            transform=identity,
            lake={"version": 1},
        )
        return data, truth, relevance

    return build
