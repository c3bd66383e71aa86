"""The logging policy: a linear estimate of the score by which documents were ranked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.data.load import concatenate
from ultr.train.part import Part

Floats = NDArray[np.float64]

LISTS = 200_000
"""To which a curve is fitted, at most: 10⁵ clicks know a propensity to a percent."""

DOCUMENTS = 100_000
"""From which the logging policy is estimated, at most."""

_RIDGE = 10.0


class Evidence(NamedTuple):
    """What the closed-form curve is fitted to.

    Attributes:
        data: lists, N documents; with their features or without.
        score: `[N]` of the ranker.
        policy: `[N]` of the logging policy, in standard deviations.
    """

    data: Lists
    score: Floats
    policy: Floats


def evidence(data: Lists | Part, scores: Callable[[Lists], Floats]) -> Evidence:
    """Lists, scores and the logging policy; of lists above memory_limit, as many as are needed.

    Buckets are hashes of queries: the first of them are a sample of the log. They are read twice, a
    group at a time, and of each document two numbers are kept.

    Args:
        data: the training split.
        scores: the ranker: lists to the `[N]` scores of their documents.
    """
    if isinstance(data, Lists):
        return Evidence(data, scores(data), logging_policy(data))
    groups = list(_enough(data))
    most = -(-DOCUMENTS // len(groups))
    weights = _solved(_products(some, _inputs(some), most=most) for some in map(data.read, groups))
    found = concatenate([_reduced(some, scores, weights) for some in map(data.read, groups)])
    score, policy = found.features.astype(np.float64).T
    return Evidence(found, score, _standardised(policy))


def logging_policy(data: Lists) -> Floats:
    """`[N]` a linear estimate of the score by which documents were ranked, mean 0, deviation 1.

    Ridge regression of −log position (mean over a document's impressions) on features, both
    relative to the query's mean, as only the order within a query is seen.
    """
    x = _inputs(data)
    return _standardised(x @ _solved([_products(data, x, most=DOCUMENTS)]))


def impressions(data: Lists, *, values: Floats | None = None) -> Floats:
    """`[N]` how often each document was shown, or the sum of `values` `[L, K]` over that."""
    each = np.broadcast_to(data.sessions[:, None], data.where.shape)[data.where].astype(np.float64)
    if values is not None:
        each *= values[data.where]
    return np.bincount(data.document[data.where], each, data.n_documents).astype(np.float64)


def query_mean(
    data: Lists, values: NDArray[np.floating[Any]], *, where: NDArray[np.bool_]
) -> Floats:
    """`[N]` the mean over those documents of a document's query that are in `where` `[N]`."""
    size = len(data.query_id)
    total = np.bincount(data.doc_query, np.where(where, values, 0.0), size)
    return (total / np.maximum(np.bincount(data.doc_query, where, size), 1))[data.doc_query]


def _enough(data: Part) -> Iterator[range]:
    """Places of buckets, a group at a time, until they hold as many lists as are looked at."""
    lists = documents = 0
    for first in range(0, len(data.buckets), data.group):
        places = range(first, min(first + data.group, len(data.buckets)))
        yield places
        lists += sum(data.sizes[place].lists for place in places)
        documents += sum(data.sizes[place].documents for place in places)
        if lists >= LISTS and documents >= DOCUMENTS:
            return


def _reduced(data: Lists, scores: Callable[[Lists], Floats], weights: Floats) -> Lists:
    """The lists with two features: the scores of the ranker and of the logging policy."""
    both = np.stack([scores(data), _inputs(data) @ weights], axis=1)
    return replace(data, features=both.astype(np.float32), transform=None, by_query=None)


def _inputs(data: Lists) -> Floats:
    return data.inputs().astype(np.float64)


def _products(data: Lists, x: Floats, *, most: int) -> tuple[Floats, Floats]:
    """`[F, F]` and `[F]`: what the normal equations of the regression add up.

    Args:
        data: whole queries.
        x: `[N, F]` their features.
        most: documents, drawn at random where there are more.
    """
    shown, depth = impressions(data), -np.log(np.maximum(data.position, 1))
    y = impressions(data, values=depth) / np.maximum(shown, 1e-12)
    y -= query_mean(data, y, where=shown > 0)
    kept = np.flatnonzero(shown > 0)
    if len(kept) > most:
        kept = np.sort(np.random.default_rng(0).choice(kept, most, replace=False))
    mean = np.stack([query_mean(data, column, where=shown > 0) for column in x.T], axis=1)
    centred = (x - mean)[kept]
    return centred.T @ centred, centred.T @ y[kept]


def _solved(products: Iterable[tuple[Floats, Floats]]) -> Floats:
    """`[F]` coefficients of the ridge regression."""
    gram, moment = (sum(each) for each in zip(*products, strict=True))
    return np.linalg.solve(gram + _RIDGE * np.eye(len(moment)), moment)


def _standardised(score: Floats) -> Floats:
    return (score - score.mean()) / max(float(score.std()), 1e-12)
