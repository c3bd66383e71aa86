"""A log of several days, and lakes of some of them."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest


@pytest.fixture(scope="session")
def days(tmp_path_factory):
    """Builds a lake of logs as sources: `positions`, `eta` … of each, with a planted bias ρ^η.

    Called with the folder to make it in; adds to the lake that is there.
    """
    from ultr.etl.features import add_features
    from ultr.etl.ingest import IngestConfig, ingest
    from ultr.etl.lists import ListsConfig, build_lists

    rng, seeds = np.random.default_rng(0), itertools.count()
    queries, documents = 30, 8
    x = rng.normal(size=(queries, documents, 3)).astype(np.float32)
    relevance = 0.6 / (1 + np.exp(-x @ np.array([1.0, -0.7, 0.0])))

    def write(path, *, positions, eta, sessions, seed, devices=()):
        draw = np.random.default_rng(seed)
        examined = np.array([1, 0.7, 0.5, 0.4, 0.3, 0.25])[:positions] ** eta
        query = draw.integers(queries, size=sessions)
        order = draw.permuted(np.tile(np.arange(documents), (sessions, 1)), axis=1)[:, :positions]
        chance = relevance[query[:, None], order] * examined
        shape = order.shape
        rows = {
            "session_id": np.repeat(np.arange(sessions), positions) + seed * 10**6,
            "query_id": np.repeat(query, positions),
            "doc_id": (100 * query[:, None] + order).reshape(-1),
            "position": np.tile(np.arange(1, positions + 1), sessions),
            "click": (draw.random(shape) < chance).astype(int).reshape(-1),
        }
        if devices:
            rows["device"] = np.repeat(draw.choice(devices, sessions), positions)
        pc.write_csv(pa.table(rows), path)

    def build(lake, *logs, **lists):
        folder = tmp_path_factory.mktemp("logs")
        for number, log in enumerate(logs):
            settings = {"positions": 5, "eta": 1.0, "sessions": 4000} | log
            path = folder / f"{settings.pop('name', number)}.csv"
            write(path, seed=next(seeds), **settings)
            ingest([path], lake=lake, config=IngestConfig(format="table"), quiet=True)
        if not (lake / "features").exists():
            q, d = np.divmod(np.arange(queries * documents), documents)
            table = {"query_id": q, "doc_id": 100 * q + d, "features": list(x.reshape(-1, 3))}
            pq.write_table(pa.table(table), folder / "features.parquet")
            add_features(lake, source=folder / "features.parquet")
        config = ListsConfig(**{"period": "source"} | lists)
        build_lists(lake, config=config, quiet=True)
        return lake

    return build
