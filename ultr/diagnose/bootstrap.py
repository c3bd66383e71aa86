"""Bootstrap over queries: a query's impressions depend on each other, so queries are resampled."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COVERAGE = 0.95


@dataclass(frozen=True)
class Curve:
    """Examination by rank relative to the first, with 95% intervals; NaN where unknown.

    Args:
        propensity: `[K]` of ranks 1 to K.
        low: `[K]` lower ends; NaN with fewer than `FEW_QUERIES` queries.
        high: `[K]` upper ends, likewise.
        sd_log: `[K]` standard deviation of the logarithm over replicates.
    """

    propensity: Floats
    low: Floats
    high: Floats
    sd_log: Floats

    @property
    def known(self) -> NDArray[np.int64]:
        """The ranks that have an estimate above 0."""
        return np.flatnonzero(np.nan_to_num(self.propensity) > _LEAST) + 1


FEW_QUERIES = 20
"""Fewer queries say too little about how a figure would vary with others: no interval is given."""

_LEAST = 1e-9
"""Below: no click at that rank."""


def with_data(sums: Floats) -> int:
    """How many queries, or groups of them, have anything in `sums` `[G, ...]`."""
    return int(np.count_nonzero(sums.reshape(len(sums), -1).any(1)))


def resample(sums: Floats, *, replicates: int, seed: int) -> Floats:
    """Sums over resampled queries: each query counts Poisson(1) times.

    Args:
        sums: `[G, ...]` per query, or per random group of queries.
        replicates: R.
        seed: of the draws.

    Returns:
        `[R, ...]`.
    """
    weights = np.random.default_rng(seed).poisson(1.0, (replicates, len(sums))).astype(np.float64)
    return (weights @ sums.reshape(len(sums), -1)).reshape(replicates, *sums.shape[1:])


def curve(
    sums: Floats, estimate: Callable[[Floats], Floats], *, replicates: int, seed: int
) -> Curve:
    """An estimate with the interval between percentiles of its replicates.

    Args:
        sums: `[G, ...]` statistics per group of queries.
        estimate: `[R, ...] -> [R, K]`, examination relative to the first rank.
        replicates: bootstrap samples.
        seed: of the draws.
    """
    point = estimate(sums.sum(0)[None])[0]
    low, high, spread = (np.full(len(point), np.nan) for _ in range(3))
    if with_data(sums) < FEW_QUERIES:
        return Curve(point, low, high, spread)
    draws = estimate(resample(sums, replicates=replicates, seed=seed))
    tail = (1 - COVERAGE) / 2
    is_known = np.isfinite(point)
    if is_known.any():
        kept = draws[:, is_known]
        low[is_known], high[is_known] = np.nanquantile(kept, (tail, 1 - tail), axis=0)
        spread[is_known] = np.nanstd(np.log(np.maximum(kept, _LEAST)), axis=0)
    return Curve(point, low, high, spread)
