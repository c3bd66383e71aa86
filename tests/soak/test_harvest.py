"""Coverage of the intervals of harvesting and randomisation, over a hundred simulated logs."""

from __future__ import annotations

import os
from functools import partial

import numpy as np
import pytest

from tests.diagnose.logs import K, counted, log, planted
from tests.soak.test_soak import note
from ultr.diagnose.bootstrap import curve
from ultr.diagnose.harvest import ESTIMATES
from ultr.diagnose.randomised import click_rates

REPETITIONS = int(os.environ.get("SOAK_REPETITIONS", "100"))
LEAST = 0.90

pytestmark = pytest.mark.soak


def coverage(statistics, estimate, **settings):
    """`[K - 1]` how often the interval of each rank below the first covers what was planted."""
    inside = []
    for seed in range(REPETITIONS):
        sums = statistics(counted(log(seed, **settings)))
        found = curve(sums, estimate, replicates=200, seed=seed)
        inside.append((found.low <= planted()) & (planted() <= found.high))
    return np.mean(inside, axis=0)[1:]


def told(name, rates):
    rounded = {str(k): round(float(v), 3) for k, v in enumerate(rates, start=2)}
    note("interval_coverage", name, {
        "repetitions": REPETITIONS, "sessions": 20_000, "queries": 200, "nominal": 0.95,
        "mean": round(float(rates.mean()), 4), "least": float(rates.min()), "by_rank": rounded,
    })  # fmt: skip


@pytest.mark.parametrize("name", ESTIMATES)
def test_intervals_of_harvesting_cover_what_was_planted(name):
    rates = coverage(lambda c: c.swaps, partial(ESTIMATES[name], positions=K))
    told(name, rates)
    assert rates.mean() >= LEAST
    if name == "all_pairs":
        # Each rank by itself may be below by chance: three standard errors of 100 repetitions.
        assert rates.min() >= LEAST - 3 * np.sqrt(LEAST * (1 - LEAST) / REPETITIONS)


def test_intervals_of_randomisation_cover_what_was_planted():
    rates = coverage(lambda c: c.shown.sum(0), click_rates, temperature=np.inf)
    told("randomised", rates)
    assert rates.mean() >= LEAST
