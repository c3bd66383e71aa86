"""The logging policy's strength: how well do features predict the rank at which it showed things.

A policy that ranks by relevance makes rank and relevance go together (confounding); where features
give its ranking away, a model can mistake the one for the other (Hager et al. 2025; Luo et al.
2024).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.diagnose.features import Sample

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_FOLDS = 2
_RIDGE = 10.0
_LEAST_QUERIES = 10


class Strength(NamedTuple):
    """How well the logged ranking is predicted on held-out queries.

    Attributes:
        ndcg: of a ridge ranker fitted to the logged rank; the gain of a document is 1 / its rank.
        random: what a random order gives on the same pages.
        share: (ndcg − random) / (1 − random), 0 to 1.
        queries: with at least two documents.
    """

    ndcg: float
    random: float
    share: float
    queries: int


def strength(sample: Sample) -> Strength | None:
    """Fit on one half of the queries, measure on the other, and the reverse; None with too few."""
    rank = _mean_rank(sample)
    sizes = np.bincount(sample.query)
    is_kept = sizes[sample.query] > 1
    query, rank, x = sample.query[is_kept], rank[is_kept], sample.features[is_kept]
    if len(np.unique(query)) < _LEAST_QUERIES:
        return None
    target = -_centred(rank, query)
    x = np.stack([_centred(column, query) for column in x.T], axis=1)
    found, by_chance = [], []
    for fold in range(_FOLDS):
        train, test = query % _FOLDS != fold, query % _FOLDS == fold
        if not train.any() or not test.any():
            continue
        gram = x[train].T @ x[train] + _RIDGE * np.eye(x.shape[1])
        scores = x[test] @ np.linalg.solve(gram, x[train].T @ target[train])
        ndcg, random = _ndcg(scores, 1 / rank[test], query[test])
        found.append(ndcg)
        by_chance.append(random)
    if not found:
        return None
    ndcg, random = np.concatenate(found), np.concatenate(by_chance)
    mean, least = float(ndcg.mean()), float(random.mean())
    share = (mean - least) / (1 - least) if least < 1 else 0.0
    return Strength(mean, least, max(share, 0.0), len(ndcg))


def _mean_rank(sample: Sample) -> Floats:
    """`[D]` mean rank over impressions."""
    n = len(sample.query)
    total = np.bincount(sample.document, sample.impressions, n)
    return np.bincount(sample.document, sample.impressions * sample.position, n) / total


def _centred(values: Floats, query: Longs) -> Floats:
    n = np.maximum(np.bincount(query), 1)
    return values - (np.bincount(query, values) / n)[query]


def _ndcg(scores: Floats, gains: Floats, query: Longs) -> tuple[Floats, Floats]:
    """Of each query nDCG, and its expectation under a random order."""
    groups, number = np.unique(query, return_inverse=True)
    sizes = np.bincount(number)
    start = np.cumsum(sizes) - sizes
    place = np.arange(len(query)) - np.repeat(start, sizes)
    discount = 1 / np.log2(2 + place)
    dcg, ideal = (
        np.bincount(number, gains[np.lexsort((-key, number))] * discount, len(groups))
        for key in (scores, gains)
    )
    by_chance = np.bincount(number, gains) / sizes * np.bincount(number, discount)
    return dcg / ideal, by_chance / ideal
