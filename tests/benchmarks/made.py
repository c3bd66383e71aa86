"""Tail-heavy data for measurements of speed: every session its own query, ten documents each.

Nothing collapses, so each session costs the arithmetic of its documents. NumPy and pyarrow only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ultr.data import Lists
from ultr.lake import create_lake
from ultr.staleness import list_inputs
from ultr.transform import Transform

DOCUMENTS = 10
"""Of a query, all shown."""


def tail_lists(queries: int, *, features: int, seed: int = 0) -> Lists:
    """One list and one click for each query; nine queries of ten train, one is held out.

    Args:
        queries: Q, as many as sessions.
        features: F, of standard normal values.
        seed: of the values and the clicks.
    """
    rng = np.random.default_rng(seed)
    n, every = queries * DOCUMENTS, np.arange(queries)
    document = np.arange(n, dtype=np.int32).reshape(queries, DOCUMENTS)
    position = np.broadcast_to(np.arange(1, DOCUMENTS + 1, dtype=np.int32), document.shape)
    clicks = np.zeros(document.shape, np.float32)
    clicks[every, rng.integers(0, DOCUMENTS, queries)] = 1
    held_out = np.where(every % 10 == 9, 1, 0).astype(np.int32)
    return Lists(
        features=rng.standard_normal((n, features), dtype=np.float32),
        query_id=every,
        query_split=held_out,
        doc_id=np.arange(n),
        doc_query=np.repeat(every, DOCUMENTS).astype(np.int32),
        doc_row=np.arange(n, dtype=np.int32),
        document=document,
        position=position,
        where=np.ones(document.shape, bool),
        clicks=clicks,
        weight=np.ones(queries, np.float32),
        sessions=np.ones(queries, np.int64),
        list_query=every.astype(np.int32),
        session_split=held_out,
        transform=identity(features),
        lake={},
    )


def identity(features: int) -> Transform:
    """The transform of values that are standard normal already; it costs what any does."""
    names = tuple(f"f{i}" for i in range(features))
    return Transform(names, (0.0,) * features, (1.0,) * features)


def write_lake(root: Path, *, queries: int, features: int, buckets: int) -> Path:
    """Such lists as a lake, written bucket by bucket.

    Args:
        root: a folder to make.
        queries: of all buckets.
        features: F.
        buckets: B.
    """
    with create_lake(root).commit("benchmark") as change:
        for bucket in range(buckets):
            data = tail_lists(queries // buckets, features=features, seed=bucket)
            query = data.query_id * buckets + bucket
            # Feature values hardly repeat: as in lakes of `ultr lists`, only ids have a dictionary.
            coded = ["query_id"]
            change.write("candidates", _candidates(data, query), dictionary=coded, bucket=bucket)
            change.write("lists", _lists(data, query), bucket=bucket, period="all")
        change.manifest.meta["transform"] = identity(features).to_json()
        change.manifest.meta["lists"] = {"inputs": list_inputs(change.manifest)}
    return root


def _candidates(data: Lists, query: np.ndarray[Any, Any]) -> pa.Table:
    values = pa.array(data.features.reshape(-1))
    starts = np.arange(0, len(values) + 1, data.n_features, dtype=np.int32)
    return pa.table({
        "query_id": query[data.doc_query],
        "doc_id": data.doc_id,
        "period": pa.nulls(data.n_documents, pa.string()),
        "row": data.doc_row,
        "features": pa.ListArray.from_arrays(starts, values),
    })  # fmt: skip


def _lists(data: Lists, query: np.ndarray[Any, Any]) -> pa.Table:
    starts = np.arange(0, data.document.size + 1, DOCUMENTS, dtype=np.int32)

    def ragged(values: np.ndarray[Any, Any], kind: pa.DataType) -> pa.Array:
        return pa.ListArray.from_arrays(starts, pa.array(values.reshape(-1)).cast(kind))

    split = pa.array(np.array(["train", "validation", "test"])[data.query_split])
    return pa.table({
        "query_id": query[data.list_query],
        "query_split": split,
        "session_split": split,
        "row": ragged(data.document, pa.int32()),
        "position": ragged(data.position, pa.int16()),
        "context": pa.nulls(data.n_lists, pa.list_(pa.string())),
        "click": ragged(data.clicks, pa.int8()),
        "n": data.sessions,
        "weight": data.weight.astype(np.float64),
        "weight_sq": data.weight.astype(np.float64),
    })  # fmt: skip
