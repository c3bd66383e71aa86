"""Which split a session belongs to and which bucket holds a query, in NumPy and as DuckDB macros.

The hash and the split of a query are those of `ultr.split`, which the model side reads too.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ultr.split import (
    HIGH,
    LOW,
    MASK,
    MIX_1,
    MIX_2,
    QUERY_SALT,
    SPLITS,
    hash32,
    query_split,
    split_of,
)

__all__ = [
    "MACROS",
    "SPLITS",
    "bucket_of",
    "query_split",
    "session_split",
    "source_period",
    "source_seed",
]

# Another one than the splits', so that the split and the bucket of a query are independent.
_BUCKET_SALT = 0x2545F491

MACROS = f"""
create macro xorshift32(x, s) as xor(x, x >> s);
create macro times32(x, k) as (x * k) & {MASK}::ubigint;
create macro fmix32(x) as xorshift32(times32(xorshift32(times32(
    xorshift32(x, 16), {MIX_1}::ubigint), 13), {MIX_2}::ubigint), 16);
create macro hash32(key, salt) as fmix32(
    (times32((key & {MASK})::ubigint, {LOW}::ubigint)
     + times32(((key >> 32) & {MASK})::ubigint, {HIGH}::ubigint) + salt) & {MASK}::ubigint);
create macro split_of(h) as
    (case when h % 10 < 8 then 0 when h % 10 = 8 then 1 else 2 end)::tinyint;
create macro query_split(query_id) as split_of(hash32(query_id, {QUERY_SALT}::ubigint));
create macro session_split(source_seed, ordinal) as split_of(hash32(ordinal, source_seed));
create macro bucket_of(query_id, buckets) as
    (hash32(query_id, {_BUCKET_SALT}::ubigint) % buckets)::integer;
"""
"""The same functions as DuckDB macros; `source_seed` is a `ubigint` made by `source_seed`."""


def session_split(source: str, ordinal: ArrayLike) -> NDArray[np.int8]:
    """The split of each session of a source, 80% train, 10% validation, 10% test.

    Args:
        source: the raw file, as `sessions.source` has it.
        ordinal: lines on which the pages start, any shape.

    Returns:
        Indices into `SPLITS`, of the same shape.
    """
    return split_of(hash32(ordinal, source_seed(source)))


def bucket_of(query_id: ArrayLike, *, buckets: int) -> NDArray[np.int32]:
    """The bucket of each query, `hash(query_id) mod buckets`; independent of the query's split."""
    return (hash32(query_id, _BUCKET_SALT) % np.uint64(buckets)).astype(np.int32)


def source_seed(source: str) -> int:
    """A 32-bit number that stands for a source: the first bytes of the BLAKE2b of its name."""
    return int.from_bytes(_digest(source)[:4], "big")


def source_period(source: str) -> str:
    """A source's name as a period: safe as a folder's name, whatever the file is called."""
    return f"s-{_digest(source).hex()}"


def _digest(source: str) -> bytes:
    return hashlib.blake2b(source.encode("utf-8", "surrogatepass"), digest_size=8).digest()
