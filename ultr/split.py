"""Which split a query belongs to: a fixed hash, the same for the table side and the model side.

The hash depends on the key alone, so an old row never moves when new logs arrive, and every machine
and version agrees. It is MurmurHash3's 32-bit finaliser on a folded 64-bit key: DuckDB's integers
do not wrap, and 32-bit factors keep every product below 2^64, so that NumPy and SQL give the same
(`ultr.etl.split` has the SQL).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

SPLITS = ("train", "validation", "test")
"""Names of the splits; functions here give indices into them."""

MASK = 0xFFFFFFFF
LOW, HIGH = 0x9E3779B1, 0x85EBCA77
MIX_1, MIX_2 = 0x85EBCA6B, 0xC2B2AE35
QUERY_SALT = 0x51ED270B  # arbitrary and fixed for ever


def query_split(query_id: ArrayLike) -> NDArray[np.int8]:
    """The split of each query, 80% train, 10% validation, 10% test.

    Args:
        query_id: int64 ids, any shape.

    Returns:
        Indices into `SPLITS`, of the same shape.

    Example:
        >>> SPLITS[int(query_split(7))]
        'train'
    """
    return split_of(hash32(query_id, QUERY_SALT))


def hash32(key: ArrayLike, salt: int) -> NDArray[np.uint64]:
    """A 32-bit hash of int64 keys of any shape."""
    bits = np.asarray(key, np.int64).astype(np.uint64)
    mask, high = np.uint64(MASK), bits >> np.uint64(32)
    x = ((bits & mask) * np.uint64(LOW) & mask) + (high * np.uint64(HIGH) & mask)
    x = (x + np.uint64(salt)) & mask
    x = (x ^ (x >> np.uint64(16))) * np.uint64(MIX_1) & mask
    x = (x ^ (x >> np.uint64(13))) * np.uint64(MIX_2) & mask
    return x ^ (x >> np.uint64(16))


def split_of(hashed: NDArray[np.uint64]) -> NDArray[np.int8]:
    """Indices into `SPLITS` of hashed keys."""
    tenth = hashed % np.uint64(10)
    return (tenth >= 8).astype(np.int8) + (tenth >= 9).astype(np.int8)
