"""Comparison of two runs on the same queries: paired randomisation test, bootstrap interval."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RESAMPLES = 10_000
_CELLS = 1 << 22  # random numbers held at once


def paired_randomisation_test(
    a: Floats, b: Floats, *, seed: int = 0, resamples: int = RESAMPLES
) -> float:
    """Two-sided p-value of "a and b are the same on average".

    Under that hypothesis the names of the two runs can be swapped in any query, so the difference
    of every query gets a random sign.

    Args:
        a: `[Q]` a metric per query.
        b: `[Q]` the same queries' values of another run.
        seed: of the signs.
        resamples: how many sign patterns are drawn.

    Source:
        Smucker, Allan & Carterette 2007; the observed pattern counts as one of the draws
        (Phipson & Smyth 2010), so that p is never 0.

    Example:
        >>> paired_randomisation_test(np.ones(20), np.zeros(20)) < 0.01
        True
    """
    difference = a - b
    difference = difference[difference != 0]  # a zero has no sign: exact, and a large saving
    observed = abs(difference.sum())
    # Sums that are equal but for the order of additions count as equal.
    bound = observed - 1e-12 * np.abs(difference).sum()
    rng, extreme = np.random.default_rng(seed), 0
    for rows in _chunks(resamples, len(difference)):
        signs = rng.integers(0, 2, (rows, len(difference)), np.int8).astype(np.float64) * 2 - 1
        extreme += int((np.abs(signs @ difference) >= bound).sum())
    return (1 + extreme) / (1 + resamples)


def bootstrap_interval(
    values: Floats, *, level: float = 0.95, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Percentile interval of the mean of `values` over resampled queries.

    Args:
        values: `[Q]` a metric per query, or the difference of two runs; not empty.
        level: share of resampled means inside.
        seed: of the resampling.
        resamples: how many means are drawn.

    Source:
        Efron & Tibshirani 1993, chapter 13.
    """
    rng = np.random.default_rng(seed)
    means = [
        values[rng.integers(0, len(values), (rows, len(values)))].mean(axis=1)
        for rows in _chunks(resamples, len(values))
    ]
    tail = (1 - level) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def _chunks(resamples: int, width: int) -> Iterator[int]:
    step = max(1, _CELLS // max(1, width))
    for begin in range(0, resamples, step):
        yield min(step, resamples - begin)
