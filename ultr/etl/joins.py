"""The second step of ingest: events to the pages they belong to, over all files of the lake.

A reader gives events of pages that other chunks, files or nights may hold. The lake keeps them as
facts; which page takes an event is derived from the facts alone, so any split of a log over files
and nights ends in the same lake. Only pages that new or removed facts may concern are made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol

import polars as pl

from ultr.commit import Commit
from ultr.etl.clock import clock_of
from ultr.etl.counts import Counts, Delta
from ultr.etl.late import settle
from ultr.logs.chunk import Chunk

META = "events"
"""What the manifest's `meta` keeps of the joins, by format."""


class Join(Protocol):
    """Joins the events of one format."""

    form: str

    def forget(self, source: str) -> None:
        """Note what a source holds, before its rows are removed; only once."""

    def add(self, chunk: Chunk, *, source: str, rows: pl.DataFrame | None) -> None:
        """Note what a chunk holds that was written, and the rows of `events` that it became."""

    def withdraw(self, source: str) -> None:
        """Forget what was noted of a source that turned out unreadable: its rows are gone."""

    def facts(self, source: str) -> dict[str, Any]:
        """What the manifest is to keep of a source."""
        ...

    def attach(self) -> dict[str, Delta]:
        """Make pages again where facts changed; returns what changed by source."""
        ...

    def summary(self) -> dict[str, Any]:
        """What was decided, for the user."""
        ...


def finish(
    join: Join, change: Commit, *, total: Counts, fresh: set[str], late: timedelta
) -> dict[str, Any]:
    """Attach events, reject those that are overdue, and correct the counts.

    Args:
        join: which has seen all chunks.
        change: the commit.
        total: counts of the lines read.
        fresh: the sources they were read from.
        late: how long an event waits for its page.

    Returns:
        `waiting` (events that no page takes yet), `far_times` (events with times so far after all
        others that nothing is overdue because of them) and what the join decided.
    """
    deltas = [join.attach()]
    known = change.manifest.sources
    sources = [name for name, entry in known.items() if entry["format"] == join.form]
    clock = clock_of(known[s].get("days", {}) for s in sources)
    rejected, waiting = settle(change, sources=sources, newest_us=clock.newest_us, late=late)
    for source, delta in [*deltas[0].items(), *rejected.items()]:
        _correct(known[source], delta)
        if source in fresh:
            total.change(delta)
    summary = {"waiting": waiting, "far_times": clock.far, **join.summary()}
    if sources:
        change.manifest.meta.setdefault(META, {})[join.form] = summary
    return summary


def _correct(entry: dict[str, Any], delta: Delta) -> None:
    counts: Mapping[str, int] = {
        "sessions": delta.sessions,
        "impressions": delta.impressions,
        "clicks": delta.clicks,
        "rejects": delta.reasons.total(),
    }
    for name, more in counts.items():
        entry[name] += more
