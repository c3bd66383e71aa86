"""How far features tell the documents of one position from those of the next."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.data.lists import Bools

Floats = NDArray[np.float64]

MOST_DOCUMENTS = 20_000
"""Of each position, at most: an AUC to .005."""

_SHRINKAGE = 0.1
"""Of the covariance towards its diagonal: few documents must not look separable."""

Pieces = Callable[[bool], Iterable[tuple[Lists, Bools]]]
"""Called with whether features are to be read: whole queries, and `[L]` which lists to look at."""


class Shown(NamedTuple):
    """Documents of one position.

    Attributes:
        inputs: `[D, F]`.
        half: `[D]` whether they are of the half of the queries that is fitted to.
    """

    inputs: NDArray[np.float32]
    half: Bools


def shown_at(
    pieces: Pieces, *, position: NDArray[np.integer[Any]], n_features: int, most: int
) -> list[Shown]:
    """Documents of each position, drawn at random where there are more than `most`.

    Args:
        pieces: the lists, once to count documents and once more for those that are drawn.
        position: `[P]`.
        n_features: F.
        most: documents of a position.
    """
    counts = [[len(d) for d in _documents(*p, position=position)] for p in pieces(False)]
    totals = np.sum(counts, axis=0).tolist()
    drawn = [
        np.random.default_rng(0).choice(n, most, replace=False) if n > most else np.arange(n)
        for n in totals
    ]
    out = [Shown(np.empty((len(d), n_features), np.float32), np.empty(len(d), bool)) for d in drawn]
    first_query, before = 0, [0] * len(position)
    for data, lists in pieces(True):
        inputs = data.inputs()
        for k, found in enumerate(_documents(data, lists, position=position)):
            at = drawn[k] - before[k]
            is_here = (at >= 0) & (at < len(found))
            documents = found[at[is_here]]
            out[k].inputs[is_here] = inputs[documents]
            out[k].half[is_here] = (data.doc_query[documents] + first_query) % 2 == 0
            before[k] += len(found)
        first_query += len(data.query_id)
    return out


def separation(shown: Sequence[Shown]) -> float:
    """The highest AUC, over neighbouring positions, of telling them apart by features.

    Documents at both positions are left out of neither side. A linear discriminant is fitted on
    half of the queries and measured on the other half, so that it is .5 where features say nothing.

    Args:
        shown: documents of each of at least two positions, ascending.
    """
    return max(_auc_of_pair(one, other) for one, other in itertools.pairwise(shown))


def _documents(
    data: Lists, lists: Bools, *, position: NDArray[np.integer[Any]]
) -> list[NDArray[np.intp]]:
    """The documents that some lists show at each position, ascending."""
    document, at = data.document[lists], data.position[lists]
    out = []
    for k in position:
        is_shown = np.zeros(data.n_documents, bool)
        is_shown[document[at == k]] = True
        out.append(np.flatnonzero(is_shown))
    return out


def _auc_of_pair(one: Shown, other: Shown) -> float:
    fitted = [s.inputs[s.half].astype(np.float64) for s in (one, other)]
    tested = [s.inputs[~s.half].astype(np.float64) for s in (one, other)]
    if min(map(len, (*fitted, *tested))) < 2:
        return 1.0  # nothing to compare: no overlap that could be shown
    centred = np.concatenate([x - x.mean(axis=0) for x in fitted])
    covariance = centred.T @ centred / len(centred)
    diagonal = np.diag(np.maximum(np.diag(covariance), 1e-9))
    shrunk = (1 - _SHRINKAGE) * covariance + _SHRINKAGE * diagonal
    weight = np.linalg.solve(shrunk, fitted[0].mean(axis=0) - fitted[1].mean(axis=0))
    return auc(tested[0] @ weight, tested[1] @ weight)


def auc(high: Floats, low: Floats) -> float:
    """P(a value of `high` is above one of `low`), ties counted half.

    Example:
        >>> auc(np.array([2.0, 3.0]), np.array([1.0, 2.0]))
        0.875
    """
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, side="left")
    not_above = np.searchsorted(ordered, high, side="right")
    return float((below + not_above).mean() / 2 / len(low))
