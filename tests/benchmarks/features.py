"""How fast features are made: a lake with texts of the lengths of Baidu-ULTR, then one group each.

    python tests/benchmarks/features.py --sessions 50000 --documents 9

Prints one JSON object per group: pairs, seconds, pairs per second, and the peak memory so far. By
default every document is shown about once, so that the lexical rate is that of reading documents.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from ultr.commit import Commit
from ultr.etl.features import add_features
from ultr.lake import create_lake

_BLOCK = 50_000
_VOCABULARY = 22_000


def texts(rng: np.random.Generator, n: int, *, mean: int) -> pa.Array:
    """Numbers as tokens, about `mean` each, frequent ones many times more often than others."""
    length = rng.poisson(mean, n) + 1
    token = pl.Series("token", rng.zipf(1.25, length.sum()) % _VOCABULARY).cast(pl.String)
    rows = pl.DataFrame({"row": np.repeat(np.arange(n), length), "token": token})
    joined = rows.group_by("row", maintain_order=True).agg(pl.col("token").str.join(" "))
    return joined["token"].to_arrow()


def write_sessions(
    change: Commit, rng: np.random.Generator, *, first: int, n: int, queries: int, documents: int
) -> None:
    """Pages of ten over ten days."""
    day = np.sort(rng.integers(0, 10, n))
    shown = ((1_767_225_600 + 86_400 * day) * 1_000_000).astype("datetime64[us]")
    change.write("sessions", pa.table({
        "source": ["log"] * n,
        "ordinal": np.arange(first, first + n),
        "query_id": rng.integers(0, queries, n),
        "shown_at": pa.array(shown, pa.timestamp("us", "UTC")),
        "period": [f"2026-01-{d + 1:02d}" for d in day],
        "doc_id": rng.integers(0, documents, (n, 10)).tolist(),
        "position": [list(range(1, 11))] * n,
        "click": (rng.random((n, 10)) < 0.1).astype(int).tolist(),
        "weight": np.ones(n),
    }), source="log")  # fmt: skip


def make(root: Path, *, sessions: int, documents: int) -> None:
    """A lake of so many sessions and documents."""
    rng, queries = np.random.default_rng(0), sessions // 4
    with create_lake(root).commit("benchmark") as change:
        change.manifest.ids.update(query="integer", doc="integer")
        for first in range(0, sessions, _BLOCK):
            n = min(_BLOCK, sessions - first)
            write_sessions(change, rng, first=first, n=n, queries=queries, documents=documents)
        for table, key, total, columns in (
            ("queries", "query_id", queries, {"text": 5}),
            ("documents", "doc_id", documents, {"title": 14, "text": 75}),
        ):
            for first in range(0, total, _BLOCK):
                n = min(_BLOCK, total - first)
                made = {c: texts(rng, n, mean=mean) for c, mean in columns.items()}
                rows = {key: np.arange(first, first + n), "key": ["-"] * n, **made}
                change.write(table, pa.table(rows), source="log")


def main() -> None:
    """Make the lake and time each group, twice."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=50_000)
    parser.add_argument("--documents", type=float, default=9.0, help="per session, of ten shown")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = Path(folder) / "lake"
        documents = round(given.sessions * given.documents)
        make(lake, sessions=given.sessions, documents=documents)
        for group in ("lexical", "behaviour") * 2:
            began = time.perf_counter()
            rows = add_features(lake, **{group: {}}, min_match=0.0)[group]["rows"]
            seconds = time.perf_counter() - began
            print(json.dumps({
                "group": group,
                "pairs": rows,
                "seconds": round(seconds, 2),
                "pairs_per_second": round(rows / seconds),
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
            }))  # fmt: skip


if __name__ == "__main__":
    main()
