"""How far features tell the documents of one position from those of the next."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists

Floats = NDArray[np.float64]

_DOCUMENTS = 20_000
"""Of each position, at most: an AUC to .005."""

_SHRINKAGE = 0.1
"""Of the covariance towards its diagonal: few documents must not look separable."""


def separation(
    data: Lists, lists: NDArray[np.bool_], *, position: NDArray[np.integer[Any]]
) -> float:
    """The highest AUC, over neighbouring positions, of telling them apart by features.

    Documents at both positions are left out of neither side. A linear discriminant is fitted on
    half of the queries and measured on the other half, so that it is .5 where features say nothing.

    Args:
        data: the lists, with features.
        lists: `[L]` which of them to use.
        position: `[P]` at least two positions, ascending.
    """
    inputs = data.inputs()
    shown = [_documents(data.document[lists], data.position[lists] == k) for k in position]
    half = data.doc_query % 2 == 0
    pairs = itertools.pairwise(shown)
    return max(_auc_of_pair(inputs, one, other, half) for one, other in pairs)


def _documents(document: NDArray[np.int32], is_there: NDArray[np.bool_]) -> NDArray[np.int32]:
    found = np.unique(document[is_there])
    if len(found) > _DOCUMENTS:
        found = np.random.default_rng(0).choice(found, _DOCUMENTS, replace=False)
    return found


def _auc_of_pair(
    inputs: NDArray[np.float32],
    one: NDArray[np.int32],
    other: NDArray[np.int32],
    half: NDArray[np.bool_],
) -> float:
    fitted = [inputs[d[half[d]]].astype(np.float64) for d in (one, other)]
    tested = [inputs[d[~half[d]]].astype(np.float64) for d in (one, other)]
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
