"""The time up to which a log is there, by which events are overdue; stray times do not count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl

DAY_US = 86_400_000_000

FAR_DAYS = 30
"""A gap that makes what follows it strays, if it is little."""

_FEW, _FEW_OF = 10, 1000
"""Strays are fewer than so many events, or than one in so many, and fewer than half."""

Days = dict[str, list[int]]
"""Day, counted from 1970 or from the log's own zero -> events, and the newest time in it."""


class Clock(NamedTuple):
    """What `clock_of` found.

    Attributes:
        newest_us: the newest time that counts.
        far: events after it that do not: a wrong clock wrote them.
    """

    newest_us: int
    far: int


def count_days(days: Days, times_us: pl.Series) -> None:
    """Add times, in microseconds, to the counts of their days; nulls are left out."""
    times = times_us.drop_nulls().cast(pl.Int64).alias("at").to_frame()
    by_day = times.group_by(pl.col("at") // DAY_US).agg(pl.len(), pl.col("at").max().alias("max"))
    for day, n, newest in by_day.iter_rows():
        known, latest = days.get(str(day), [0, newest])
        days[str(day)] = [known + n, max(latest, newest)]


def clock_of(sources: Iterable[Mapping[str, Any]]) -> Clock:
    """The newest time over sources, but for a few events far after all others.

    One event of the year 2099 would make everything overdue that waits. It depends on the sum of
    the counts alone, so that any split over files and nights gives the same.

    Args:
        sources: the counts by day of each.
    """
    counts: dict[int, int] = {}
    newest: dict[int, int] = {}
    for days in sources:
        for day, (n, latest) in days.items():
            at = int(day)
            counts[at] = counts.get(at, 0) + n
            newest[at] = max(newest.get(at, latest), latest)
    ordered, total = sorted(counts), sum(counts.values())
    if not ordered:
        return Clock(0, 0)
    after, found = 0, Clock(newest[ordered[-1]], 0)
    for place in range(len(ordered) - 1, 0, -1):
        after += counts[ordered[place]]
        if not (after < max(_FEW, total / _FEW_OF) and 2 * after < total):
            break
        if ordered[place] - ordered[place - 1] > FAR_DAYS:
            found = Clock(newest[ordered[place - 1]], after)
    return found
