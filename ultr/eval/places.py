"""Where a new ranking puts the documents of logged pages."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Ints = NDArray[np.integer[Any]]


def reranked(scores: Floats, *, position: Ints, where: Bools) -> Ints:
    """Positions when each page's documents are put into its own places in order of score.

    Args:
        scores: `[L, K]` higher comes first; equal ones keep their order on the page.
        position: `[L, K]` from 1.
        where: `[L, K]` whether there is a document.

    Returns:
        `[L, K]`, 0 where masked.

    Example:
        >>> reranked(np.array([[0.1, 0.9, 0.5]]), position=np.array([[1, 2, 5]]),
        ...          where=np.ones((1, 3), bool)).tolist()
        [[5, 1, 2]]
    """
    last = np.iinfo(np.int32).max
    places = np.sort(np.where(where, position, last), axis=1)
    by_page = np.argsort(np.where(where, position, last), axis=1, kind="stable")
    key = np.take_along_axis(np.where(where, -scores, np.inf), by_page, axis=1)
    order = np.take_along_axis(by_page, np.argsort(key, axis=1, kind="stable"), axis=1)
    out = np.empty_like(places)
    np.put_along_axis(out, order, places, axis=1)
    return np.where(where, out, 0)


def ranks(scores: Floats, *, query: Ints, document: Ints) -> Ints:
    """Rank of each document within its query, from 1, ties as in the ranking metrics.

    Args:
        scores: `[N]`.
        query: `[N]`.
        document: `[N]` ids; among equal scores the higher id ranks first.
    """
    order = np.lexsort((~document.astype(np.int64), -scores, query))
    of = query[order]
    start = np.flatnonzero(np.r_[True, of[1:] != of[:-1]]) if len(of) else np.zeros(0, np.int64)
    first = np.repeat(start, np.diff(np.r_[start, len(of)]))
    out = np.empty(len(of), np.int64)
    out[order] = np.arange(len(of)) - first + 1
    return out
