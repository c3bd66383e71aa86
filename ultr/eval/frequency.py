"""Queries by how often they were asked: debiasing that helps the head may harm the tail."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.lake import Lake
from ultr.parquet import readable_parquet

FREQUENCIES = ("head", "torso", "tail", "unseen")
"""Queries that make up the first third of all sessions, the second, the last; without any."""

NOT_METRICS = ("query_id", "n_documents", "n_relevant", "sessions", "frequency")
"""Columns of a table per query that are no metric."""

Longs = NDArray[np.int64]


def with_frequency(table: pa.Table, lake: Lake) -> pa.Table:
    """The same table with `sessions` of each query in the lake, and its `frequency`.

    Args:
        table: with `query_id`.
        lake: with lists.
    """
    query_id, sessions = _sessions(lake)
    at = np.searchsorted(query_id, table["query_id"].to_numpy()).clip(max=len(query_id) - 1)
    is_there = query_id[at] == table["query_id"].to_numpy()
    own = np.where(is_there, sessions[at], 0)
    group = np.where(is_there, thirds(sessions)[at], len(FREQUENCIES) - 1)
    names = pa.array(np.asarray(FREQUENCIES, object)[group], pa.string())
    return table.append_column("sessions", pa.array(own)).append_column("frequency", names)


def thirds(sessions: Longs) -> Longs:
    """`[Q]` 0 for the most frequent queries that make up a third of all sessions, then 1, 2.

    Example:
        >>> thirds(np.array([1, 100, 1, 98, 97, 1])).tolist()
        [2, 0, 2, 1, 2, 2]
    """
    order = np.argsort(-sessions, kind="stable")
    before = np.cumsum(sessions[order]) - sessions[order]
    out = np.empty(len(sessions), np.int64)
    out[order] = np.minimum(2, 3 * before // max(int(sessions.sum()), 1))
    return out


def by_frequency(table: pa.Table, *, metrics: tuple[str, ...]) -> dict[str, Any]:
    """`<metric>_<frequency>` means and `n_queries_<frequency>`, where there is more than one."""
    frequency = np.asarray(table["frequency"].to_pylist(), object)
    there = [name for name in FREQUENCIES if (frequency == name).any()]
    if len(there) < 2:
        return {}
    out: dict[str, Any] = {}
    for name in there:
        chosen = frequency == name
        out[f"n_queries_{name}"] = int(chosen.sum())
        out |= {f"{m}_{name}": float(table[m].to_numpy()[chosen].mean()) for m in metrics}
    return out


def _sessions(lake: Lake) -> tuple[Longs, Longs]:
    """Ids of the queries of the lists, ascending, and their sessions."""
    ids, counts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for path in lake.paths("lists"):
        with readable_parquet(path):
            table = pq.ParquetFile(path).read(columns=["query_id", "n"])
        own = table.group_by("query_id").aggregate([("n", "sum")])
        ids.append(own["query_id"].to_numpy())
        counts.append(own["n_sum"].to_numpy())
    query_id, group = np.unique(np.concatenate(ids), return_inverse=True)
    return query_id, np.bincount(group, np.concatenate(counts), len(query_id)).astype(np.int64)
