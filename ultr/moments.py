"""Count, mean and spread of features, in a form that can be added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Moments:
    """What is known of F features after some rows; missing values are left out.

    Args:
        count: `[F]` values seen.
        mean: `[F]` their means, 0 where none was seen.
        m2: `[F]` sums of squared distances from the mean.
    """

    count: tuple[int, ...]
    mean: tuple[float, ...]
    m2: tuple[float, ...]

    @classmethod
    def of(cls, values: NDArray[Any]) -> Moments:
        """The moments of rows `[N, F]`; what is not finite counts as missing."""
        x = np.asarray(values, np.float64)
        seen = np.isfinite(x)
        n = seen.sum(axis=0)
        mean = np.where(seen, x, 0).sum(axis=0) / np.maximum(n, 1)
        m2 = (np.where(seen, x - mean, 0) ** 2).sum(axis=0)
        return cls(tuple(n.tolist()), tuple(mean.tolist()), tuple(m2.tolist()))

    @classmethod
    def none(cls, size: int) -> Moments:
        """The moments of no rows at all."""
        return cls((0,) * size, (0.0,) * size, (0.0,) * size)

    def merge(self, other: Moments) -> Moments:
        """The moments of both sets of rows together.

        The pairwise update of Chan et al. (1983): a plain sum of squares would cancel for features
        with a large mean (timestamps, prices).
        """
        a, b = np.asarray(self.count), np.asarray(other.count)
        total = np.maximum(a + b, 1)
        delta = np.asarray(other.mean) - np.asarray(self.mean)
        mean = np.where(b > 0, np.asarray(self.mean) + delta * b / total, self.mean)
        m2 = np.asarray(self.m2) + np.asarray(other.m2) + delta**2 * (a * b / total)
        return Moments(tuple((a + b).tolist()), tuple(mean.tolist()), tuple(m2.tolist()))

    @property
    def scale(self) -> tuple[float, ...]:
        """`[F]` standard deviations, 1 where a feature is constant."""
        mean = np.abs(np.asarray(self.mean))
        deviation = np.sqrt(np.asarray(self.m2) / np.maximum(self.count, 1))
        # Relative to the mean: float noise of a constant must not be blown up to unit variance.
        scale = np.where(deviation > 1e-7 * np.maximum(1.0, mean), deviation, 1.0)
        return tuple(scale.tolist())


def total_moments(chunks: Iterable[NDArray[Any]], *, size: int) -> Moments:
    """The moments of all rows of chunks `[N, F]`."""
    total = Moments.none(size)
    for chunk in chunks:
        total = total.merge(Moments.of(chunk))
    return total
