"""From sessions to what training reads: collapsed lists, candidates, exposures, transform."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from ultr.etl.buckets import write_buckets
from ultr.etl.candidates import fit_on_training
from ultr.etl.collapse import assign_buckets, choose_period, collapse, make_pages
from ultr.etl.context import context_sql, fit_edges, parse_context, set_edges
from ultr.etl.engine import engine
from ultr.etl.exposures import write_exposures
from ultr.etl.feature_checks import check_fresh, lists_period
from ultr.etl.feature_groups import Layout, read_layout
from ultr.etl.lists_config import MAX_BUCKETS, ListsConfig
from ultr.etl.split import SPLITS
from ultr.lake import Commit, open_lake
from ultr.schema import TABLES
from ultr.staleness import INPUTS, list_inputs

__all__ = ["ListsConfig", "build_lists"]

IMPRESSIONS_PER_BUCKET = 2_000_000
FEATURE_BYTES_PER_BUCKET = 256 << 20


def build_lists(lake: Path, *, config: ListsConfig, quiet: bool = False) -> dict[str, Any]:
    """Split, collapse and bucket the sessions; replaces what an earlier call made.

    Args:
        lake: the lake's folder; needs sessions, uses features and judgments where there are such.
        config: context, period, buckets.
        quiet: show no progress.

    Returns:
        `sessions rows sessions_per_row queries candidates impressions clicks positions buckets
        periods period context sessions_by_split queries_by_split features seconds`.

    Raises:
        DataError: no sessions, a context column without values, or files that cannot be read.
        UsageError: a period by time for a log without times.

    Example:
        >>> build_lists(Path("lake"), config=ListsConfig(period="week"))  # doctest: +SKIP
    """
    started = time.perf_counter()
    source = open_lake(lake)
    hint = f"run: ultr ingest LOG --format … --lake {lake}"
    source.require("sessions", hint=hint)
    with source.commit("lists") as change, engine(lake, memory_gib=config.memory_gib) as connection:
        for table in INPUTS:
            _view(connection, change, table)
        check_fresh(change.manifest, lake)
        made = _collapse(connection, config, layout=read_layout(change.manifest))
        for table in ("lists", "candidates", "exposures"):
            change.remove(table)
        write_buckets(connection, change, buckets=made.buckets, quiet=quiet)
        write_exposures(connection, change, has_context=bool(made.context))
        names = read_layout(change.manifest).names
        change.manifest.meta.pop("transform", None)
        if names:
            change.manifest.meta["transform"] = fit_on_training(change).to_json()
        summary = _summary(connection, change, made) | {"features": len(names)}
        change.manifest.meta["lists"] = summary | {
            "collapse_factor": summary["sessions_per_row"],
            "edges": made.edges,
            "periods_by_source": made.sources,
            "inputs": list_inputs(change.manifest),
        }
    return summary | {"seconds": time.perf_counter() - started}


@dataclass(frozen=True)
class _Collapsed:
    """What `_collapse` decided.

    Args:
        context: columns as they were asked for.
        edges: continuous context column -> inner bin edges.
        period: day, week, source or all.
        sources: period -> source, where periods are sources.
        buckets: number of buckets.
    """

    context: tuple[str, ...]
    edges: Mapping[str, list[float]]
    period: str
    sources: Mapping[str, str]
    buckets: int


def _view(connection: duckdb.DuckDBPyConnection, change: Commit, table: str) -> None:
    files = change.manifest.tables.get(table, [])
    if files:
        paths = [str(change.root / f.path) for f in files]
        connection.read_parquet(paths, hive_partitioning=False).create_view(table)
    else:
        empty = TABLES[table].arrow().empty_table()
        connection.register(f"{table}_arrow", empty)
        connection.execute(f"create temp table {table} as select * from {table}_arrow")  # noqa: S608


def _collapse(
    connection: duckdb.DuckDBPyConnection, config: ListsConfig, *, layout: Layout
) -> _Collapsed:
    columns = parse_context(config.context)
    edges = fit_edges(connection, columns)
    set_edges(connection, edges)
    period = choose_period(connection, lists_period(layout, config.period))
    context = context_sql(columns) if columns else None
    sources = make_pages(connection, period=period, context=context)
    collapse(connection, has_context=bool(columns))
    buckets = config.buckets or _choose_buckets(connection)
    assign_buckets(connection, buckets=buckets, has_context=bool(columns))
    return _Collapsed(config.context, edges, period, sources, buckets)


def _choose_buckets(connection: duckdb.DuckDBPyConnection) -> int:
    impressions = _one(connection, "select coalesce(sum(len(doc_id)), 0) from grouped")
    size = _one(
        connection,
        "select count(*) * (select coalesce(max(len(features)), 0) from (select features"
        " from features limit 1)) * 4 from features",
    )
    share = max(impressions / IMPRESSIONS_PER_BUCKET, size / FEATURE_BYTES_PER_BUCKET, 1)
    return min(MAX_BUCKETS, 1 << int(np.ceil(np.log2(share))))


def _summary(
    connection: duckdb.DuckDBPyConnection, change: Commit, made: _Collapsed
) -> dict[str, Any]:
    sessions, rows, queries, impressions, clicks, positions, periods = connection.execute(
        "select sum(n)::bigint, count(*), count(distinct query_id), sum(n * len(doc_id))::bigint,"
        " sum(n * list_sum(click))::bigint, max(list_max(position)), count(distinct period)"
        " from collapsed"
    ).fetchall()[0]
    by_session = "select session_split, sum(n)::bigint from collapsed group by session_split"
    by_query = "select query_split, count(distinct query_id) from collapsed group by query_split"
    return {
        "sessions": sessions,
        "rows": rows,
        "sessions_per_row": sessions / rows,
        "queries": queries,
        "candidates": sum(f.rows for f in change.manifest.tables["candidates"]),
        "impressions": impressions,
        "clicks": clicks,
        "positions": positions,
        "buckets": made.buckets,
        "periods": periods,
        "period": made.period,
        "context": list(made.context),
        "sessions_by_split": _by_split(connection, by_session),
        "queries_by_split": _by_split(connection, by_query),
    }


def _by_split(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, int]:
    found = dict(connection.execute(sql).fetchall())
    return {name: found.get(i, 0) for i, name in enumerate(SPLITS)}


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> float:
    return float((connection.execute(sql).fetchone() or (0,))[0] or 0)
