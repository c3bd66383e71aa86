"""Propensity error against a planted truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ultr.errors import DataError

Floats = NDArray[np.float64]


def propensity_rmse(
    propensity: ArrayLike, truth: ArrayLike, *, position: NDArray[np.integer[Any]]
) -> float:
    """Root mean squared error of relative propensities over the positions that both have.

    Args:
        propensity: `[P]` estimates relative to the lowest of `position`.
        truth: `[T]` truth relative to position 1, for positions 1 to T.
        position: `[P]` position of each estimate, from 1.

    Raises:
        DataError: no position in common.

    Example:
        >>> propensity_rmse([1.0, 0.5], [1.0, 0.5, 0.2], position=np.array([1, 2]))
        0.0
    """
    known = np.asarray(truth, np.float64)
    is_common = (position >= 1) & (position <= len(known))
    if not is_common.any():
        raise DataError(
            "the run and the truth must share positions",
            got=f"positions {position.tolist()[:10]} against 1 to {len(known)}",
            hint="give the truth.json of the log that the run was trained on",
        )
    at = position[is_common] - 1
    # Where the log has no position 1, both are relative to its first position.
    error = np.asarray(propensity, np.float64)[is_common] - known[at] / known[at.min()]
    return float(np.sqrt(np.mean(error**2)))


def read_truth(path: Path) -> Floats:
    """`relative_propensity` of a `truth.json`, `[T]` for positions 1 to T.

    Raises:
        DataError: no such file, or not one that `ultr simulate` wrote.
    """
    try:
        truth = json.loads(path.read_text(encoding="utf-8"))["relative_propensity"]
        values = np.asarray(truth, np.float64)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _not_truth(path, f"{type(error).__name__}: {error}") from error
    if values.ndim != 1 or not len(values) or not np.isfinite(values).all() or values[0] <= 0:
        raise _not_truth(path, f"relative_propensity is {truth!r:.80}")
    return np.asarray(values / values[0])


def _not_truth(path: Path, got: str) -> DataError:
    return DataError(
        "the truth is a JSON file with a list relative_propensity",
        got=f"{path}: {got}",
        hint="give the truth.json that ultr simulate wrote beside the log",
    )
