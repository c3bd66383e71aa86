"""From sessions to what training reads: collapsed lists, candidates, exposures, transform."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import duckdb

from ultr.commit import Commit
from ultr.etl.build import build
from ultr.etl.candidates import fit_on_training
from ultr.etl.click_when import check_click_when, click_sql, parse_click_when
from ultr.etl.context import context_sql, fit_edges, parse_context, set_edges
from ultr.etl.engine import engine, open_view
from ultr.etl.feature_checks import check_fresh
from ultr.etl.feature_groups import read_layout
from ultr.etl.list_summary import counts_by_period, sources_of_periods, summarise
from ultr.etl.lists_config import ListsConfig
from ultr.etl.lists_remembered import options
from ultr.etl.pages import make_pages, make_sessions
from ultr.etl.plan import FORMAT, Plan, make_plan
from ultr.lake import open_lake
from ultr.staleness import list_inputs

__all__ = ["ListsConfig", "build_lists"]


def build_lists(lake: Path, *, config: ListsConfig, quiet: bool = False) -> dict[str, Any]:
    """Split, collapse and bucket the sessions: the periods that changed since an earlier call.

    Everything is built again where settings, features or judgments changed, where features depend
    on time, or when it is asked for. Lists and exposures are the same either way; candidates keep
    their row numbers while periods are added, and those that are no longer shown stay until
    everything is built again.

    Args:
        lake: the lake's folder; needs sessions, uses features and judgments where there are such.
        config: context, period, buckets, filters.
        quiet: show no progress.

    Returns:
        `sessions rows sessions_per_row queries candidates impressions clicks positions buckets
        periods period context sessions_by_split queries_by_split split_queries periods_rebuilt
        periods_kept cells_rebuilt cells_kept rebuilt_because rebuild_due features seconds`, and
        with filters `logged dropped`: pages, impressions and clicks before, and of each filter.

    Raises:
        DataError: no sessions, a context column without values, filters that leave nothing, or
            files that cannot be read.
        UsageError: a period by time for a log without times.

    Example:
        >>> build_lists(Path("lake"), config=ListsConfig(period="week"))  # doctest: +SKIP
    """
    started = time.perf_counter()
    source = open_lake(lake)
    hint = f"run: ultr ingest LOG --format … --lake {lake}"
    source.require("sessions", hint=hint)
    with source.commit("lists") as change, engine(lake, memory_gib=config.memory_gib) as connection:
        check_fresh(change.manifest, lake)
        plan = make_plan(connection, change, config)
        edges = _make_views(connection, change, plan, config)
        built = build(connection, change, plan, config=config, quiet=quiet)
        names = read_layout(change.manifest).names
        if plan.because is not None:
            change.manifest.meta.pop("transform", None)
            if names:
                change.manifest.meta["transform"] = fit_on_training(change).to_json()
        by_period = counts_by_period(plan, built)
        summary = summarise(connection, change, plan, built, by_period)
        summary |= {"features": len(names)}
        change.manifest.meta["lists"] = summary | {
            "format": FORMAT,
            "collapse_factor": summary["sessions_per_row"],
            "settings": config.settings(),
            "options": options(config),
            "edges": edges,
            "layout": asdict(built.layout),
            "files": plan.windows.files,
            "by_period": by_period,
            "periods_by_source": sources_of_periods(plan),
            "inputs": list_inputs(change.manifest),
        }
    return summary | {"seconds": time.perf_counter() - started}


def _make_views(
    connection: duckdb.DuckDBPyConnection, change: Commit, plan: Plan, config: ListsConfig
) -> dict[str, list[float]]:
    """Make what `build` reads; bin edges are those of the earlier call, or fitted."""
    open_view(connection, change, "sessions", name="every_session", paths=plan.files())
    for table in ("features", "judgments"):
        open_view(connection, change, table)
    make_sessions(connection, plan.windows, periods=plan.periods)
    columns, when = parse_context(config.context), parse_click_when(config.filters.click_when)
    edges: dict[str, list[float]] = {}
    if plan.because is None:
        edges = plan.before["edges"]
    else:
        kept = {} if config.refit_edges else _same_edges(plan, config)
        edges = fit_edges(connection, columns, kept=kept)
        check_click_when(connection, when)
    set_edges(connection, edges)
    context = context_sql(columns) if columns else None
    clicks = click_sql(connection, when)
    make_pages(connection, filters=config.filters, clicks=clicks, context=context)
    return edges


def _same_edges(plan: Plan, config: ListsConfig) -> dict[str, list[float]]:
    """Edges of the earlier call for columns that were asked for in the same way."""
    then, edges = plan.before.get("settings", {}).get("context", []), plan.before.get("edges", {})
    columns = parse_context([item for item in config.context if item in then])
    return {c.name: edges[c.name] for c in columns if c.name in edges}
