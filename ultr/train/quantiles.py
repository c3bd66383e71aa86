"""Quantiles of weighted numbers that come bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

MOST = 1 << 18
"""Numbers that are kept: where there are more, so many equal shares of them, before others come."""


class Quantiles:
    """Weighted numbers, most of which are forgotten.

    Exact while there are few or they come at once. Else each time that numbers are put together
    moves a quantile by at most half of a `MOST`-th of what was seen.

    Example:
        >>> found = Quantiles()
        >>> found.add(np.array([3.0, 1.0]), np.array([1.0, 1.0]))
        >>> found.add(np.array([2.0]), np.array([2.0]))
        >>> found.edges(4).tolist()
        [1.0, 2.0, 2.0]
    """

    def __init__(self) -> None:
        self._values: Floats = np.zeros(0, np.float32)
        self._weights: NDArray[np.float64] = np.zeros(0)

    def add(self, values: Floats, weights: NDArray[np.float64]) -> None:
        """Add numbers `[N]` with weights `[N]`, at least one of them above 0."""
        if len(self._values) > MOST:
            total = float(self._weights.sum())
            self._values = self._at((np.arange(MOST) + 0.5) / MOST)
            self._weights = np.full(MOST, total / MOST)
        values = np.concatenate([self._values, values])
        weights = np.concatenate([self._weights, weights])
        order = np.argsort(values, kind="stable")
        self._values, self._weights = values[order], weights[order]

    def edges(self, levels: int) -> Floats:
        """`[levels − 1]` that part the numbers into shares of equal weight."""
        return self._at(np.arange(1, levels) / levels)

    def _at(self, share: NDArray[np.float64]) -> Floats:
        reached = np.cumsum(self._weights) / self._weights.sum()
        return self._values[np.searchsorted(reached, share).clip(max=len(reached) - 1)]
