"""Intervention harvesting: examination by rank from documents that were seen at several ranks.

One signature: `estimate(swaps [R, P, 3], *, positions) -> [R, K]`, examination of ranks 1 to K
relative to the first rank, NaN where nothing connects a rank with it. R are replicates.
Source: Agarwal, Zaitsev, Wang, Li, Najork, Joachims, "Estimating Position Bias without Intrusive
Interventions", WSDM 2019.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ultr.diagnose.counts import pair_index
from ultr.diagnose.likelihood import fit_pairs

Floats = NDArray[np.float64]
Estimate = Callable[..., Floats]


def pivot(swaps: Floats, *, positions: int) -> Floats:
    """θ_k/θ_1 = S_k|1k / S_1|1k: each rank against the first only.

    Args:
        swaps: `[R, P, 3]` Σh, Σh·m at the upper rank, Σh·m' at the lower, by unordered pair.
        positions: K, with P = K(K−1)/2.

    Example:
        >>> pivot(np.array([[[100.0, 20.0, 10.0]]]), positions=2).tolist()
        [[1.0, 0.5]]
    """
    lower = np.arange(2, positions + 1)
    return _ratios(swaps, pair_index(np.ones_like(lower), lower))


def adjacent_chain(swaps: Floats, *, positions: int) -> Floats:
    """θ_k/θ_1 = Π_j<k S_j+1|j,j+1 / S_j|j,j+1: each rank against the one above it.

    Args:
        swaps: as for `pivot`.
        positions: as for `pivot`.
    """
    lower = np.arange(2, positions + 1)
    return np.asarray(np.cumprod(_ratios(swaps, pair_index(lower - 1, lower)), axis=1))


def all_pairs(swaps: Floats, *, positions: int) -> Floats:
    """Maximum likelihood of h-weighted clicks and non-clicks ~ Bernoulli(θ_k · r_{kk'}).

    Args:
        swaps: as for `pivot`.
        positions: as for `pivot`.
    """
    upper, lower = np.triu_indices(positions, 1)
    order = pair_index(upper + 1, lower + 1)
    ordered = swaps[:, order]
    return np.exp(
        fit_pairs(ordered[..., 1:], ordered[..., 0], upper=upper, lower=lower, nodes=positions)
    )


ESTIMATES: dict[str, Estimate] = {
    "pivot": pivot,
    "adjacent": adjacent_chain,
    "all_pairs": all_pairs,
}
"""Name -> estimator."""


def _ratios(swaps: Floats, pairs: NDArray[np.int64]) -> Floats:
    above, below = swaps[:, pairs, 1], swaps[:, pairs, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(above > 0, below / above, np.nan)
    return np.concatenate([np.ones((len(swaps), 1)), ratio], axis=1)
