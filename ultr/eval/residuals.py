"""Observed less expected clicks, by rank and by where the log tends to put the document.

Under a healthy model the residuals are flat: a slope over the logged rank at one position means
that the logging policy's relevance hides in the propensities, or the other way round (confounding).
Source: Hager et al. 2025, "Unidentified and Confounded? Understanding Two-Tower Models".
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.results import replacing

RESIDUALS = "residuals.parquet"
_DECILES = 10
_RIDGE = 10.0

Floats = NDArray[np.float64]


def residuals(f: NDArray[np.float32], g: NDArray[np.float32], data: Lists) -> pa.Table:
    """`rank, decile, impressions, clicks, expected`, one row per cell that occurs.

    The decile is that of the rank which the log would give the document by its features (ridge
    regression of the shown position), 1 the most favoured tenth of impressions; without features,
    of its mean logged position. Expected clicks are those of the list, shared out by
    `softmax(f + g)`: listwise objectives predict where a click goes, not whether there is one.

    Args:
        f: `[L, K]` ranker scores.
        g: `[L, K]` propensity logits.
        data: the lists.
    """
    where = data.where
    joint = np.where(where, (f + g).astype(np.float64), -np.inf)
    highest = joint.max(axis=1, initial=-np.inf, keepdims=True)
    odds = np.exp(joint - np.where(np.isfinite(highest), highest, 0.0))
    share = odds / np.maximum(odds.sum(axis=1, keepdims=True), 1e-300)
    total = np.where(where, data.clicks, 0.0).sum(axis=1, keepdims=True)
    shown = np.broadcast_to(data.weight[:, None].astype(np.float64), where.shape)[where]
    decile = _deciles(logged_rank(data)[data.document[where]], shown)
    cell = data.position[where].astype(np.int64) * (_DECILES + 1) + decile
    cells, of = np.unique(cell, return_inverse=True)

    def summed(values: Floats) -> Floats:
        return np.asarray(np.bincount(of, values, len(cells)), np.float64)

    return pa.table({
        "rank": pa.array(cells // (_DECILES + 1), pa.int16()),
        "decile": pa.array(cells % (_DECILES + 1), pa.int8()),
        "impressions": summed(shown),
        "clicks": summed(data.clicks[where].astype(np.float64)),
        "expected": summed((share * total)[where]),
    })  # fmt: skip


def write_residuals(root: Path, table: pa.Table) -> None:
    """Write `residuals.parquet` into a run's folder, at once or not at all.

    Raises:
        UsageError: the folder cannot be written to.
    """
    with replacing(root / RESIDUALS) as temporary:
        pq.write_table(table, temporary)


def logged_rank(data: Lists) -> Floats:
    """`[N]` the rank that the log tends to give each document."""
    where = data.where
    document = data.document[where]
    weight = np.broadcast_to(data.weight[:, None].astype(np.float64), where.shape)[where]
    shown = np.bincount(document, weight, data.n_documents)
    position = np.bincount(document, weight * data.position[where], data.n_documents)
    mean = position / np.maximum(shown, 1e-12)
    if not data.n_features:
        return np.asarray(mean)
    x = np.column_stack([data.inputs().astype(np.float64), np.ones(data.n_documents)])
    x = np.nan_to_num(x)
    weighted = x * shown[:, None]
    penalty = _RIDGE * shown.mean() * np.eye(x.shape[1])
    return np.asarray(x @ np.linalg.solve(weighted.T @ x + penalty, weighted.T @ mean))


def _deciles(values: Floats, weight: Floats) -> NDArray[np.int64]:
    """1 to 10 by share of weight; equal values share a decile."""
    distinct, of = np.unique(values, return_inverse=True)
    mass = np.bincount(of, weight, len(distinct))
    middle = (np.cumsum(mass) - mass / 2) / max(mass.sum(), 1e-12)
    return np.asarray(1 + np.minimum(_DECILES - 1, middle[of] * _DECILES).astype(np.int64))
