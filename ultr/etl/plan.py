"""What a call of `ultr lists` has to build: the periods that changed, or everything and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from ultr.commit import Commit
from ultr.etl.feature_checks import lists_period
from ultr.etl.feature_groups import read_layout
from ultr.etl.lists_config import ListsConfig
from ultr.etl.periods import Windows, find_windows
from ultr.etl.spread import Layout
from ultr.staleness import list_inputs

FORMAT = 1
"""Raised when lists of an older ultr must be built again."""


@dataclass(frozen=True)
class Plan:
    """What is to be built.

    Args:
        windows: the lake's days or sources and their periods.
        periods: names of the periods to build, sorted.
        because: why everything is built; None where earlier lists are kept up.
        before: what the earlier call left in the manifest; empty without one.
        context: columns as they were asked for.
    """

    windows: Windows
    periods: Sequence[str]
    because: str | None
    before: Mapping[str, Any]
    context: Sequence[str]

    @property
    def layout(self) -> Layout | None:
        """How the lists that are kept are spread over buckets; None to choose anew."""
        if self.because is not None:
            return None
        found = self.before["layout"]
        return Layout(
            found["buckets"], found["pieces"], tuple(found["split"]), found["lists_per_query"]
        )

    def files(self) -> list[str]:
        """Session files that hold pages of these periods."""
        wanted, windows = set(self.periods), self.windows
        return [p for p in windows.files if wanted & windows.periods_of([p], windows.files)]


def make_plan(connection: duckdb.DuckDBPyConnection, change: Commit, config: ListsConfig) -> Plan:
    """Compare the lake with what the earlier lists were made of.

    Raises:
        UsageError: a period by time for a log without times, or another one than that of features
            that depend on time.
    """
    before = change.manifest.meta.get("lists", {})
    wanted = lists_period(read_layout(change.manifest), config.period)
    windows = find_windows(connection, change, wanted=wanted, before=before)
    because = _why_everything(change, config, windows=windows, before=before)
    if because is not None:
        return Plan(windows, sorted(set(windows.names.values())), because, before, config.context)
    return Plan(windows, windows.touched(before["files"]), None, before, config.context)


def _why_everything(
    change: Commit, config: ListsConfig, *, windows: Windows, before: Mapping[str, Any]
) -> str | None:
    if before.get("format") != FORMAT:
        return "there are no lists of this version yet"
    if config.rebuild:
        return "it was asked for"
    now = config.settings() | {"period": windows.period}
    then = before["settings"] | {"period": before["period"]}
    changed = [name for name in now if now[name] != then.get(name)]
    if config.buckets is not None and config.buckets != before["buckets"]:
        changed.append("buckets")
    if config.refit_edges and before["edges"]:
        changed.append("bin edges")
    inputs = list_inputs(change.manifest)
    changed += [x for x in ("features", "judgments") if inputs[x] != before["inputs"][x]]
    if changed:
        return f"changed: {', '.join(changed)}"
    if read_layout(change.manifest).is_timed:
        # A night changes the state after the last period of every pair that it shows, and late
        # clicks the values of any period; `ultr features --refresh` makes all of them again, and
        # only their rows could tell which came out the same.
        return "features depend on time"
    filters = config.filters
    if windows.period == "source" and (filters.looks_at_users or filters.drop_repeats):
        return "filters look at days, and periods are sources"
    return None
