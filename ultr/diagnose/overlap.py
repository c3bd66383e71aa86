"""How well features tell two ranks apart: the AUC of a linear discriminator per pair of ranks.

Near 0.5 the same kind of document stood at both, and a model of features sees the bias between
them. Near 1 each rank has documents of its own, and what is said of the bias is extrapolated.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ultr.diagnose.features import Sample

Floats = NDArray[np.float64]

MAX_POSITIONS = 20
_FOLDS = 2
_RIDGE = 1e-2


def rank_auc(sample: Sample) -> dict[tuple[int, int], float]:
    """AUC of telling position k from k' > k on queries that the discriminator has not seen.

    A query counts as much at k as at k', whatever it was shown. Pairs of which a fold has no
    document are left out.

    Args:
        sample: shown documents.

    Returns:
        (k, k') -> AUC; below 0.5 the discriminator found nothing that holds on other queries.
    """
    positions = np.unique(sample.position)
    positions = positions[positions <= MAX_POSITIONS]
    weight = _query_weights(sample)
    fold = sample.query[sample.document] % _FOLDS
    at = [[(sample.position == k) & (fold == f) for k in positions] for f in range(_FOLDS)]
    grams = [[_moments(sample, weight, rows) for rows in by_rank] for by_rank in at]
    out = {}
    for i, k in enumerate(positions.tolist()):
        for j in range(i + 1, len(positions)):
            found = []
            for f in range(_FOLDS):
                train = _sum([(grams[g][i], grams[g][j]) for g in range(_FOLDS) if g != f])
                rows, others = at[f][i], at[f][j]
                if train is None or not rows.any() or not others.any():
                    continue
                scores = sample.features @ train
                found.append(
                    _auc(scores[sample.document[rows]], scores[sample.document[others]],
                         weight[rows], weight[others])
                )  # fmt: skip
            if found:
                out[k, int(positions[j])] = float(np.mean(found))
    return out


Moments = tuple[Floats, Floats, float]


def _query_weights(sample: Sample) -> Floats:
    """`[E]` impressions, divided by those of the query at the same rank."""
    key = sample.query[sample.document] * (int(sample.position.max()) + 1) + sample.position
    _, group = np.unique(key, return_inverse=True)
    return sample.impressions / np.bincount(group, sample.impressions)[group]


def _moments(sample: Sample, weight: Floats, rows: NDArray[np.bool_]) -> Moments | None:
    if not rows.any():
        return None
    x = sample.features[sample.document[rows]]
    w = weight[rows] / weight[rows].sum()
    return (x * w[:, None]).T @ x, w @ x, 1.0


def _sum(found: list[tuple[Moments | None, Moments | None]]) -> Floats | None:
    """Ridge discriminant direction of two ranks, from lower to higher scores down the page."""
    both = [(a, b) for a, b in found if a is not None and b is not None]
    if not both:
        return None
    gram = sum(a[0] + b[0] for a, b in both)
    mean = sum(a[1] + b[1] for a, b in both) / (2 * len(both))
    gap = sum(b[1] - a[1] for a, b in both)
    spread = np.asarray(gram) / (2 * len(both)) - np.outer(mean, mean)
    ridge = _RIDGE * max(float(np.trace(spread)) / len(spread), 1e-12)
    return np.asarray(np.linalg.solve(spread + ridge * np.eye(len(spread)), gap))


def _auc(negative: Floats, positive: Floats, weight_n: Floats, weight_p: Floats) -> float:
    """Weighted P(positive > negative) + ½ P(equal)."""
    values, at = np.unique(np.concatenate([negative, positive]), return_inverse=True)
    below = np.bincount(at[: len(negative)], weight_n, len(values))
    above = np.bincount(at[len(negative) :], weight_p, len(values))
    less = np.cumsum(below) - below
    return float((above * (less + below / 2)).sum() / (below.sum() * above.sum()))
