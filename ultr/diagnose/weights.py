"""How many clicks are left once they are weighted by inverse propensities."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_WEIGHT = 100.0
"""As in training (`ultr train`): weights above are clipped."""


class Effective(NamedTuple):
    """Effective sample size of weighted clicks (Kish 1965).

    Attributes:
        size: (Σ w)² / Σ w² over clicks.
        share: size / clicks.
        greatest: the greatest weight.
        clipped: share of the clicks whose weight is above `MAX_WEIGHT`.
    """

    size: float
    share: float
    greatest: float
    clipped: float


def effective_sample_size(clicks: Floats, propensity: Floats) -> Effective | None:
    """Of clicks by rank under weights 1 / propensity; None without clicks at known ranks.

    Args:
        clicks: `[K]`.
        propensity: `[K]` relative to the first rank, NaN where unknown.

    Example:
        >>> effective_sample_size(np.array([1.0, 1.0]), np.array([1.0, 1.0])).size
        2.0
    """
    is_known = np.nan_to_num(propensity) > 0
    c, w = clicks[is_known], 1 / propensity[is_known]
    if not c.sum() > 0:
        return None
    clipped = float(c[w > MAX_WEIGHT].sum() / c.sum())
    w = np.minimum(w, MAX_WEIGHT)
    size = float((c @ w) ** 2 / (c @ w**2))
    return Effective(size, size / float(c.sum()), float(w[c > 0].max()), clipped)
