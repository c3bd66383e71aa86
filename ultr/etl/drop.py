"""Rows taken out of a lake: those of sources, of a period, or a whole table."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ultr.commit import Commit
from ultr.errors import UsageError
from ultr.etl.counts import Counts
from ultr.etl.engine import engine
from ultr.etl.formats import join_of
from ultr.etl.ingest_config import JOINED
from ultr.etl.joins import finish
from ultr.etl.late import parse_late
from ultr.etl.rewrite import DERIVED, KEYED, drop_unreferenced, paths
from ultr.lake import open_lake
from ultr.manifest import File
from ultr.schema import TABLES
from ultr.staleness import is_stale

WHOLE = {
    "features": ("features",),
    "judgments": ("judgments",),
    "lists": DERIVED,
    "rejects": ("rejects",),
}
"""What `--table` may name, and the tables that go together."""

_META = {"features": ("features",), "judgments": ("judgments",), "lists": ("lists", "transform")}


@dataclass(frozen=True)
class DropConfig:
    """What goes.

    Args:
        sources: names of raw files as the lake has them, or patterns of such names.
        period: a period of `sessions`, such as 2026-01-31.
        table: features, judgments, lists (with exposures and candidates) or rejects.
    """

    sources: tuple[str, ...] = ()
    period: str | None = None
    table: str | None = None

    def __post_init__(self) -> None:
        """Check that one thing is named.

        Raises:
            UsageError: none or several, or a table that cannot go alone.
        """
        if sum((bool(self.sources), self.period is not None, self.table is not None)) != 1:
            raise UsageError(
                "drop takes sources, --period or --table",
                got="none, or more than one of them",
                hint="ultr lake info --sources --lake LAKE names the sources",
            )
        if self.table is not None and self.table not in WHOLE:
            raise UsageError(
                f"--table is one of {', '.join(WHOLE)}",
                got=self.table,
                hint="rows of a log go with their sources, or with --period",
            )


def drop(
    lake: Path, *, config: DropConfig, yes: bool = False, memory_gib: float = 1.0
) -> dict[str, Any]:
    """Take rows out of the lake, with the queries, documents and rejects that only they have.

    What `ultr lists` made of them before stays until it is run again. A source of which only a
    period was dropped is not read again as long as its file does not change.

    Args:
        lake: the lake's folder.
        config: what goes.
        yes: do it; without, the lake stays as it is and an error says how much would go.
        memory_gib: what DuckDB may hold before it spills to the lake's disk.

    Returns:
        Table -> rows dropped, `sources`, and `lists_are_stale`.

    Raises:
        DataError: no lake, or a file that cannot be read.
        UsageError: nothing matches, or not `yes`.
    """
    with open_lake(lake).commit("lake drop") as change:
        before = _rows(change)
        sources = 0
        if config.table is not None:
            _drop_table(change, config.table)
        else:
            with engine(lake, memory_gib=memory_gib) as connection:
                if config.sources:
                    sources = _drop_sources(change, config.sources)
                else:
                    _drop_period(connection, change, str(config.period))
                for table in KEYED:
                    drop_unreferenced(connection, change, table)
        gone = {t: n - _rows(change)[t] for t, n in before.items() if n > _rows(change)[t]}
        _check(gone, sources, config=config, yes=yes)
    return gone | {"sources": sources, "lists_are_stale": is_stale(open_lake(lake))}


def _check(gone: dict[str, int], sources: int, *, config: DropConfig, yes: bool) -> None:
    if not gone and not sources:
        raise UsageError(
            "there must be something to drop",
            got=f"no row of {config.period or config.table}",
            hint="ultr lake info --lake LAKE says what there is",
        )
    if not yes:
        shown = ", ".join(f"{n:,} rows of {t}" for t, n in gone.items())
        raise UsageError(
            "what is dropped cannot be taken back",
            got=f"{shown or 'nothing'} and {sources:,} sources would go",
            hint="add --yes to do it",
        )


def _rows(change: Commit) -> dict[str, int]:
    return {t: sum(f.rows for f in files) for t, files in change.manifest.tables.items()}


def _drop_table(change: Commit, table: str) -> None:
    for name in WHOLE[table]:
        change.remove(name)
    for name in _META.get(table, ()):
        change.manifest.meta.pop(name, None)


def _drop_sources(change: Commit, patterns: tuple[str, ...]) -> int:
    known = change.manifest.sources
    named = {f.keys["source"] for files in change.manifest.tables.values() for f in files
             if "source" in f.keys}  # fmt: skip
    gone: set[str] = set()
    for pattern in patterns:
        found = {n for n in named | set(known) if n == pattern or fnmatch.fnmatchcase(n, pattern)}
        if not found:
            raise UsageError(
                "a source is named as the lake names it",
                got=pattern,
                hint=f"the first are: {', '.join(sorted(known)[:5]) or 'none'}; "
                "all: ultr lake info --sources",
            )
        gone |= found
    joins = {f: j for f in JOINED if (j := join_of(change, f)) is not None}
    for name in gone & set(known):
        if known[name]["format"] in joins:
            joins[known[name]["format"]].forget(name)
    for table in TABLES:
        change.remove(table, lambda f: f.keys.get("source") in gone)
    for name in gone:
        known.pop(name, None)
    for form, join in joins.items():
        # A page may lose the clicks, and an event the page, that stood in another file.
        late = parse_late(JOINED[form])
        finish(join, change, total=Counts(), fresh=set(), late=late)
    if not any("log_features" in s for s in known.values()):
        change.manifest.meta.pop("log_features", None)
    return len(gone)


def _drop_period(connection: duckdb.DuckDBPyConnection, change: Commit, period: str) -> None:
    for name, table in TABLES.items():
        if name in DERIVED or name == "features" or "period" not in table.arrow().names:
            continue
        for file in list(change.manifest.tables.get(name, [])):
            _without_period(change, name, file, period)
    _recount(connection, change)


def _without_period(change: Commit, table: str, file: File, period: str) -> None:
    path = change.root / file.path
    column = pq.ParquetFile(path).read(columns=["period"])["period"]
    keeps = pc.fill_null(pc.not_equal(column, period), True)
    if pc.all(keeps).as_py() in (True, None):
        return
    rows = pq.ParquetFile(path).read().filter(keeps)
    change.remove(table, lambda f: f.path == file.path)
    if rows.num_rows:
        keys: dict[str, Any] = dict(file.keys)
        change.write(table, rows, **keys)


def _recount(connection: duckdb.DuckDBPyConnection, change: Commit) -> None:
    """Sessions, impressions and clicks of each source, as they are now."""
    files = change.manifest.tables.get("sessions", [])
    found = {}
    if files:
        rows = connection.read_parquet(paths(change, files), hive_partitioning=False)
        counts = "source, count(*), sum(len(doc_id))::bigint, sum(list_sum(click))::bigint"
        found = {s: c for s, *c in rows.aggregate(counts, "source").fetchall()}
    for name, known in change.manifest.sources.items():
        for kind, value in zip(
            ("sessions", "impressions", "clicks"), found.get(name, (0, 0, 0)), strict=True
        ):
            known[kind] = value
