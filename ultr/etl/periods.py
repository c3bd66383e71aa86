"""Which periods there are, which session files hold them, and which must be built again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import duckdb

from ultr.commit import Commit
from ultr.errors import UsageError
from ultr.etl.split import source_period

Period = Literal["auto", "day", "week", "source", "all"]


@dataclass(frozen=True)
class Windows:
    """The time windows of a lake's sessions.

    Args:
        period: day, week, source or all.
        files: session file -> days (or sources) of its pages, sorted.
        names: day (or source) -> period.
    """

    period: str
    files: Mapping[str, list[str]]
    names: Mapping[str, str]

    @property
    def column(self) -> str:
        """The column of `sessions` that decides the period."""
        return "source" if self.period == "source" else "period"

    def periods_of(self, paths: Sequence[str], files: Mapping[str, list[str]]) -> set[str]:
        """The periods of some files, by a table such as `self.files`."""
        return {period_name(w, self.period) for path in paths for w in files[path]}

    def touched(self, before: Mapping[str, list[str]]) -> list[str]:
        """Periods of the files that came or went since `before`, sorted."""
        came = [p for p in self.files if p not in before]
        went = [p for p in before if p not in self.files]
        return sorted(self.periods_of(came, self.files) | self.periods_of(went, before))


def find_windows(
    connection: duckdb.DuckDBPyConnection,
    change: Commit,
    *,
    wanted: Period,
    before: Mapping[str, Any],
) -> Windows:
    """Settle the kind of period and look into the session files that are not known yet.

    Args:
        connection: where to read.
        change: the lake.
        wanted: the period asked for; `auto` is day where the log has times, else all.
        before: what an earlier call left in the manifest, `period` and `files`.

    Raises:
        UsageError: day or week is asked for and the log has no times.
    """
    paths = [f.path for f in change.manifest.tables["sessions"]]
    by_source = wanted == "source"
    known = before.get("files", {}) if by_source == (before.get("period") == "source") else {}
    files = {p: list(known[p]) for p in paths if p in known}
    new = [p for p in paths if p not in known]
    files |= _look(connection, change.root, new, column="source" if by_source else "period")
    windows = sorted({w for found in files.values() for w in found})
    has_time = any(w != "all" for w in windows)
    period = settle_period(wanted, has_time=has_time, hint="use --period source or --period all")
    return Windows(period, files, {w: period_name(w, period) for w in windows})


def period_name(window: str, period: str) -> str:
    """The period of a UTC day, or of a source.

    Example:
        >>> period_name("2026-01-01", "week")
        '2026-W01'
    """
    if period == "all":
        return "all"
    if period == "source":
        return source_period(window)
    if period == "week" and window != "all":
        year, week, _ = date.fromisoformat(window).isocalendar()
        return f"{year}-W{week:02d}"
    return window


def settle_period(wanted: Period, *, has_time: bool, hint: str) -> str:
    """What is asked for; for `auto`, day where the log has times, else all.

    Raises:
        UsageError: day or week is asked for and the log has no times.
    """
    if wanted in ("source", "all"):
        return wanted
    if wanted == "auto":
        return "day" if has_time else "all"
    if not has_time:
        raise UsageError(
            f"--period {wanted} needs the time at which pages were shown",
            got="a log without it",
            hint=hint,
        )
    return wanted


def _look(
    connection: duckdb.DuckDBPyConnection, root: Path, paths: Sequence[str], *, column: str
) -> dict[str, list[str]]:
    if not paths:
        return {}
    # An index, not the file's name: DuckDB may write a name another way than it was given.
    found = connection.execute(
        f'select file_index, "{column}" from read_parquet($1, hive_partitioning = false)'  # noqa: S608
        f" group by all order by all",
        [[str(root / p) for p in paths]],
    ).fetchall()
    out: dict[str, list[str]] = {p: [] for p in paths}
    for index, window in found:
        out[paths[index]].append(window)
    return out
