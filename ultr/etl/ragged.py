"""Lists of different lengths as flat NumPy arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Longs = NDArray[np.int64]


def starts(size: NDArray[np.integer[Any]]) -> Longs:
    """`[R + 1]` where each list begins in the flat array, and the end."""
    out = np.zeros(len(size) + 1, np.int64)
    np.cumsum(size, out=out[1:])
    return out


def common_size(size: NDArray[np.integer[Any]]) -> int:
    """The length that all lists have, 0 where they differ or there is none."""
    return int(size[0]) if len(size) and (size == size[0]).all() else 0


def entries(size: NDArray[np.integer[Any]], order: Longs) -> Longs:
    """Indices into the flat array that give the lists `order`, one after the other."""
    lengths = size[order].astype(np.int64)
    begin = starts(size)[order]
    return np.arange(int(lengths.sum())) + np.repeat(begin - starts(lengths)[:-1], lengths)


def gather(flat: NDArray[Any], size: NDArray[np.integer[Any]], order: Longs) -> NDArray[Any]:
    """The flat values of the lists `order`.

    Args:
        flat: values of all lists.
        size: `[R]` lengths of the lists.
        order: `[N]` lists to give.
    """
    width = common_size(size)
    if width:  # whole rows are copied at once
        return flat.reshape(-1, width).take(order, axis=0).reshape(-1)
    return flat[entries(size, order)]


def as_lists(flat: NDArray[Any] | pa.Array, size: NDArray[np.integer[Any]]) -> pa.ListArray:
    """An Arrow list array; at most 2^31 values."""
    offsets = pa.array(starts(size).astype(np.int32))
    return pa.ListArray.from_arrays(offsets, pa.array(flat))


def totals(flat: NDArray[Any], size: NDArray[np.integer[Any]]) -> Longs:
    """`[R]` the sum of each list."""
    width = common_size(size)
    if width:
        rows: Longs = flat.reshape(-1, width).sum(axis=1, dtype=np.int64)
        return rows
    until = np.zeros(len(flat) + 1, np.int64)
    np.cumsum(flat, out=until[1:])
    bounds = starts(size)
    return until[bounds[1:]] - until[bounds[:-1]]
