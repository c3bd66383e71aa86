"""Randomisation: on uniformly shuffled pages, click rates themselves are examination."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.diagnose.bootstrap import Curve
from ultr.diagnose.counts import Counts
from ultr.diagnose.swaps import POSITION_BITS

Floats = NDArray[np.float64]

Z = 3.0
"""Standard errors up to which a correlation may be chance."""

_Z95 = 1.959964

MOST_ERROR = 0.02
"""Standard error of the correlation above which it says too little."""


def binomial(shown: Floats, rates: Curve) -> Curve:
    """Intervals of `click_rates` as if impressions were independent (Katz et al. 1978).

    For logs of too few queries to resample, such as those of recommenders, which have one.

    Args:
        shown: `[K, 2]` impressions and clicks.
        rates: the curve without intervals.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = 1 / shown[:, 1] - 1 / shown[:, 0]
        sd = np.sqrt(spread + spread[0])
    sd[0] = 0.0
    low, high = (rates.propensity * np.exp(s * _Z95 * sd) for s in (-1, 1))
    return Curve(rates.propensity, low, high, sd)


class Fixed(NamedTuple):
    """How much a document's rank stays the same from one look to the next.

    Attributes:
        correlation: of the ranks of two looks; 0 under uniform shuffling, 1 if nothing ever moves.
        error: its standard error under uniform shuffling.
    """

    correlation: float
    error: float

    @property
    def is_shuffled(self) -> bool:
        """Whether the log looks uniformly shuffled, and is large enough to tell."""
        return self.error <= MOST_ERROR and self.correlation <= Z * self.error


def click_rates(shown: Floats) -> Floats:
    """CTR_k / CTR_1.

    Args:
        shown: `[R, K, 2]` impressions and clicks.

    Returns:
        `[R, K]`, NaN where nothing was shown, or nothing was clicked at the first rank.

    Example:
        >>> click_rates(np.array([[[10.0, 4.0], [10.0, 1.0]]])).tolist()
        [[1.0, 0.25]]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = shown[..., 1] / shown[..., 0]
        out = rate / rate[:, :1]
    return np.where(np.isfinite(out), out, np.nan)


def fixed_ranks(counts: Counts) -> Fixed | None:
    """The correlation of the ranks at which a document is seen twice for the same query.

    Under uniform shuffling the ranks x of a document's n looks are independent, so that
    Σ_i≠j (x_i − μ)(x_j − μ) has mean 0 and variance 2n(n − 1)σ⁴.

    Returns:
        None where nothing was shown twice, or everything at one rank.
    """
    looks, linear, square = counts.looks.tolist()
    mask = (1 << POSITION_BITS) - 1
    rank = np.array([n & mask for n in counts.nodes], np.float64)
    times = np.array(list(counts.nodes.values()), np.float64)
    if not looks or not times.sum():
        return None
    mean = float(rank @ times / times.sum())
    variance = float((rank - mean) ** 2 @ times / times.sum())
    if not variance:
        return None
    together = square - 2 * mean * linear + mean**2 * looks
    return Fixed(together / (looks * variance), float(np.sqrt(2 / looks)))
