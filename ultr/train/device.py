"""Lists as arrays on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
from jax import numpy as jnp

from ultr.data import Lists
from ultr.model import RankerSpec
from ultr.train.sharding import everywhere
from ultr.train.step import Arrays

_CHUNK = 4096
"""Rows that are transformed at once: few enough to stay in the cache."""


def on_device(data: Lists, spec: RankerSpec, weighting: str) -> Arrays:
    """What the steps read, in float32, with one empty row at the end of each array for padding.

    Args:
        data: the lists.
        spec: says whether the ranker reads features or rows.
        weighting: what a query counts for: `session`, `query` or `sqrt`.
    """
    return everywhere(arrays_of(data, spec=spec, weight=query_weight(data, weighting)))


def arrays_of(
    data: Lists,
    *,
    spec: RankerSpec,
    weight: np.ndarray[Any, np.dtype[np.float64]],
    features_dtype: str = "float32",
    documents: int | None = None,
    lists: int | None = None,
    width: int | None = None,
) -> Arrays:
    """The same on the host, `Arrays` of NumPy arrays of chosen sizes: the rest is empty rows.

    Args:
        data: the lists.
        spec: says whether the ranker reads features or rows.
        weight: `[Q]` what a click of each query counts for.
        features_dtype: of the features.
        documents: N + 1 and more; just enough by default.
        lists: L + 1 and more.
        width: K and more.
    """
    n = documents or data.n_documents + 1
    shape = (lists or data.n_lists + 1, width or data.where.shape[1])
    clicks = data.clicks * weight[data.list_query][:, None]
    if spec.reads == "features":
        inputs = _features(data, n, np.dtype(jnp.dtype(features_dtype)))
    else:
        inputs = _padded(data.doc_row, (n,))
    # NumPy arrays stand where the device's will: `Arrays` is their shape, not their place.
    host: dict[str, Any] = {
        "inputs": inputs,
        "query": _padded(data.doc_query, (n,), empty=-1),
        "document": _padded(data.document, shape),
        "position": _padded(np.where(data.where, data.position, 0), shape),
        "clicks": _padded(np.where(data.where, clicks, 0.0).astype(np.float32), shape),
        "context": _padded(data.context, (*shape, len(data.bias))),
    }
    return Arrays(**host)


def query_weight(data: Lists, weighting: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """`[Q]` what a click of each query counts for, 1 on average over clicks."""
    clicks = data.query_clicks
    weight = relative_weight(clicks, weighting)
    return np.asarray(weight * clicks.sum() / (weight * clicks).sum())


def relative_weight(
    clicks: np.ndarray[Any, np.dtype[np.float64]], weighting: str
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """`[Q]` what a click counts for, up to a constant, given the clicks of its query."""
    power = {"session": 0.0, "sqrt": 0.5, "query": 1.0}[weighting]
    return np.asarray(clicks.clip(1e-12) ** -power)


def _features(data: Lists, n: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
    """Transformed features, chunk by chunk: there is no second copy."""
    out = np.zeros((n, data.n_features), dtype)
    for begin in range(0, data.n_documents, _CHUNK):
        part = slice(begin, min(begin + _CHUNK, data.n_documents))
        out[part] = data.inputs(part)
    return out


def _padded(
    values: np.ndarray[Any, Any], shape: tuple[int, ...], *, empty: int = 0
) -> np.ndarray[Any, Any]:
    out = np.full(shape, empty, values.dtype)
    out[tuple(slice(size) for size in values.shape)] = values
    return out
