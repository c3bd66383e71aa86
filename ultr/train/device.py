"""Lists as arrays on the device."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ultr.data import Lists
from ultr.model import RankerSpec
from ultr.train.step import Arrays


def on_device(data: Lists, spec: RankerSpec, weighting: str) -> Arrays:
    """What the steps read, with one empty row at the end of each array for padding.

    Args:
        data: the lists.
        spec: says whether the ranker reads features or rows.
        weighting: what a query counts for: `session`, `query` or `sqrt`.
    """
    clicks = data.clicks * _query_weight(data, weighting)[data.list_query][:, None]
    inputs = data.inputs() if spec.reads == "features" else data.doc_row
    return Arrays(
        inputs=_padded(inputs),
        query=_padded(data.doc_query),
        document=_padded(data.document),
        position=_padded(np.where(data.where, data.position, 0)),
        clicks=_padded(np.where(data.where, clicks, 0.0).astype(np.float32)),
    )


def _query_weight(data: Lists, weighting: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """`[Q]` what a click of each query counts for, 1 on average over clicks."""
    clicks = np.bincount(
        data.list_query, data.clicks.sum(axis=1), minlength=len(data.query_id)
    ).clip(1e-12)
    power = {"session": 0.0, "sqrt": 0.5, "query": 1.0}[weighting]
    weight = clicks**-power
    return np.asarray(weight * clicks.sum() / (weight * clicks).sum())


def _padded(values: np.ndarray[Any, Any]) -> jax.Array:
    return jnp.asarray(np.concatenate([values, np.zeros((1, *values.shape[1:]), values.dtype)]))
