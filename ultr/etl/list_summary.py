"""What `ultr lists` reports: counts over all periods, those that were kept included."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import duckdb

from ultr.commit import Commit
from ultr.errors import DataError
from ultr.etl.build import Built
from ultr.etl.candidates import REPEATS
from ultr.etl.filters import MEASURES, REASONS
from ultr.etl.plan import Plan
from ultr.etl.split import SPLITS
from ultr.etl.spread import IMPRESSIONS_PER_BUCKET

OUTGROWN = 4
"""Buckets may hold this many times what they are meant to before a rebuild is due."""


def sources_of_periods(plan: Plan) -> dict[str, str]:
    """Period -> source, where periods are sources."""
    if plan.windows.period != "source":
        return {}
    return {period: source for source, period in plan.windows.names.items()}


def counts_by_period(plan: Plan, built: Built) -> dict[str, dict[str, int]]:
    """Counts of every period of the lake, those that were kept included."""
    current = set(plan.windows.names.values())
    before = {} if plan.because is not None else plan.before["by_period"]
    kept = {p: c for p, c in before.items() if p in current and p not in plan.periods}
    return dict(sorted((kept | built.by_period).items()))


def summarise(
    connection: duckdb.DuckDBPyConnection,
    change: Commit,
    plan: Plan,
    built: Built,
    by_period: Mapping[str, Mapping[str, int]],
) -> dict[str, Any]:
    """What `build_lists` reports, over all periods of the lake.

    Raises:
        DataError: the filters left no page.
    """

    def total(name: str) -> int:
        return sum(counts.get(name, 0) for counts in by_period.values())

    if not total("sessions"):
        raise DataError(
            "some pages must be left for lists",
            got=f"filters that take all {total('logged_sessions'):,}",
            hint="loosen the filters",
        )
    layout, tables = built.layout, change.manifest.tables
    queries = _queries_by_split(connection, change)
    rebuilt = [p for p in plan.periods if p in by_period]
    return {
        "sessions": total("sessions"),
        "rows": total("rows"),
        "sessions_per_row": total("sessions") / total("rows"),
        "queries": sum(queries.values()),
        "candidates": sum(f.rows for f in tables["candidates"] if REPEATS not in f.keys),
        "impressions": total("impressions"),
        "clicks": total("clicks"),
        "positions": max(counts["positions"] for counts in by_period.values()),
        "buckets": layout.buckets,
        "periods": sum(counts["sessions"] > 0 for counts in by_period.values()),
        "period": plan.windows.period,
        "context": list(plan.context),
        "sessions_by_split": {s: total(s) for s in SPLITS},
        "queries_by_split": queries,
        "split_queries": len(layout.split),
        "periods_rebuilt": len(rebuilt),
        "periods_kept": len(by_period) - len(rebuilt),
        "cells_rebuilt": built.cells_rebuilt,
        "cells_kept": built.cells_kept,
        "rebuilt_because": plan.because,
        "rebuild_due": total("listed") > OUTGROWN * IMPRESSIONS_PER_BUCKET * layout.buckets,
    } | _filtered(total, by_period)


def _filtered(
    total: Callable[[str], int], by_period: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """What the log has and what each filter took; nothing without filters."""
    names = (
        "logged",
        *(r for r in REASONS if any(f"{r}_sessions" in c for c in by_period.values())),
    )
    if not any("logged_sessions" in counts for counts in by_period.values()):
        return {}
    found = {name: {m: total(f"{name}_{m}") for m in MEASURES} for name in names}
    return {"logged": found.pop("logged"), "dropped": found}


def _queries_by_split(connection: duckdb.DuckDBPyConnection, change: Commit) -> dict[str, int]:
    paths = [str(change.root / f.path) for f in change.manifest.tables.get("lists", [])]
    found = connection.execute(
        "select query_split, count(distinct query_id)"
        " from read_parquet($1, hive_partitioning = false) group by query_split",
        [paths],
    ).fetchall()
    return {name: dict(found).get(name, 0) for name in SPLITS}
