"""The clock of a log: its newest time, but no stray one, however it is split over files."""

from __future__ import annotations

import polars as pl
import pytest

from ultr.etl.clock import DAY_US, FAR_DAYS, Clock, clock_of, count_days


def days_of(*days):
    counts = {}
    count_days(counts, pl.Series([int(d * DAY_US) for d in days], dtype=pl.Int64))
    return counts


@pytest.mark.parametrize(
    ("days", "newest", "far"),
    [
        ([], 0, 0),
        ([5], 5, 0),
        ([1, 2, 2.5], 2.5, 0),
        ([1, 2, 3, 30_000], 3, 1),
        ([1, 2, 3, 30_000, 40_000], 3, 2),
        ([1, 2, 3, 3 + FAR_DAYS], 3 + FAR_DAYS, 0),  # a pause is none
        ([1, 30_000], 30_000, 0),  # who is to say which is right
        ([1] * 50 + [30_000] * 20, 30_000, 0),  # not few
        ([1] * 50_000 + [30_000] * 20, 1, 20),
    ],
)
def test_few_events_far_after_all_others_do_not_count(days, newest, far):
    assert clock_of([days_of(*days)]) == Clock(int(newest * DAY_US), far)
    halves = [days_of(*days[::2]), days_of(*days[1::2])]
    assert clock_of(halves) == clock_of([days_of(*days)])


def test_chunks_add_up_and_missing_times_are_left_out():
    counts = days_of(1, 1.5)
    count_days(counts, pl.Series([None, DAY_US], dtype=pl.Int64))
    assert counts == days_of(1, 1.5, 1)
