"""Group rows by a hash, exactly: equal hashes are compared, and what differs is told apart."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Longs = NDArray[np.int64]
Words = NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)

_MOST_KEYS = 2**62


class Groups(NamedTuple):
    """Rows in the order of their groups.

    Attributes:
        order: `[R]` the rows, those of a group side by side.
        start: `[G]` where each group begins in `order`.
    """

    order: Longs
    start: Longs

    @property
    def first(self) -> Longs:
        """`[G]` one row of each group."""
        return self.order[self.start]

    @property
    def number(self) -> Longs:
        """`[R]` the group of each row, in the rows' own order."""
        counts = np.diff(self.start, append=len(self.order))
        out = np.empty(len(self.order), np.int64)
        out[self.order] = np.repeat(np.arange(len(self.start)), counts)
        return out

    def sum(self, values: NDArray[Any]) -> NDArray[Any]:
        """Sums over the groups of values `[R]`."""
        return np.add.reduceat(values[self.order], self.start) if len(self.start) else values

    def min(self, values: NDArray[Any]) -> NDArray[Any]:
        """Minima over the groups of values `[R]`."""
        return np.minimum.reduceat(values[self.order], self.start) if len(self.start) else values


def mix(values: NDArray[Any]) -> Words:
    """A 64-bit hash of integers, of the same shape: the finaliser of SplitMix64."""
    x = values.astype(np.uint64) + _GOLDEN
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


def group(
    hashed: Words, *, equal: Callable[[Longs, Longs], NDArray[np.bool_]], key: Callable[[int], Any]
) -> Groups:
    """Group equal rows.

    Args:
        hashed: `[R]`, the same for equal rows.
        equal: whether rows `i [N]` equal rows `j [N]`, `[N]`.
        key: of one row, comparable, the same for equal rows and no others; asked for only where
            different rows share a hash.
    """
    order = np.argsort(hashed)
    ordered = hashed[order]
    is_first = np.ones(len(order), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    again = np.flatnonzero(~is_first)
    differs = again[~equal(order[again], order[again - 1])]
    for shared in np.unique(ordered[differs]):
        begin, end = np.searchsorted(ordered, shared), np.searchsorted(ordered, shared, "right")
        keys = sorted((key(row), row) for row in order[begin:end].tolist())
        order[begin:end] = [row for _, row in keys]
        is_first[begin + 1 : end] = [a[0] != b[0] for a, b in pairwise(keys)]
    return Groups(order, np.flatnonzero(is_first))


def order_by(*columns: NDArray[np.integer[Any]]) -> Longs:
    """What sorts rows `[R]` by the first column, then by the next.

    Rows that agree on all of them come in any order. As `np.lexsort`, several times faster: each
    column becomes small numbers, the columns one number, which is sorted once.
    """
    key, bound = _dense(columns[0])
    for column in columns[1:]:
        rank, size = _dense(column)
        if bound * size > _MOST_KEYS:
            key, bound = _dense(key)
        key, bound = key * size + rank, bound * size
    return np.argsort(key)


def _dense(values: NDArray[np.integer[Any]]) -> tuple[Longs, int]:
    """Numbers from 0 in the order of the values, and how many there may be."""
    order = np.argsort(values)
    ordered = values[order]
    is_new = np.zeros(len(values), np.int64)
    is_new[1:] = ordered[1:] != ordered[:-1]
    out = np.empty(len(values), np.int64)
    out[order] = np.cumsum(is_new)
    return out, len(values) + 1


def sort_pairs(a: Longs, b: Longs) -> Groups:
    """Group equal pairs of integers `[R]`, the groups in the order of `a`, then of `b`.

    One sort of one number a pair: the rank of `a`, which is cheap where equal ones stand side by
    side, and as many of the high bits of `b` as there is room for.
    """
    if not len(a):
        return Groups(np.zeros(0, np.int64), np.zeros(0, np.int64))
    rank, ranks = _rank_runs(a)
    offset = b.astype(np.uint64) - np.uint64(int(b.min()) % 2**64)
    room, needed = 64 - ranks.bit_length(), int(offset.max()).bit_length()
    key = rank << np.uint64(room)
    key |= offset >> np.uint64(needed - room) if needed > room else offset
    order = np.argsort(key)
    ordered, value = key[order], b[order]
    is_first = np.ones(len(a), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    if needed > room and (value[1:] != value[:-1])[~is_first[1:]].any():
        # Different ones that agree in their high bits: hashes do not, running numbers might.
        order = order_by(a, b)
        is_first[1:] = (a[order][1:] != a[order][:-1]) | (b[order][1:] != b[order][:-1])
    return Groups(order, np.flatnonzero(is_first))


def _rank_runs(values: Longs) -> tuple[Words, int]:
    """Numbers from 0 in the order of values that come in runs, and the largest."""
    is_first = np.ones(len(values), bool)
    is_first[1:] = values[1:] != values[:-1]
    begin = np.flatnonzero(is_first)
    rank, size = _dense(values[begin])
    length = np.diff(begin, append=len(values))
    return np.repeat(rank.astype(np.uint64), length), size


def hash_pairs(a: Longs, b: Longs) -> Words:
    """A 64-bit hash of pairs of integers `[R]`."""
    return mix(a) ^ (mix(b) * _GOLDEN)


class Near:
    """Which hashes may be among known ones, and a few that are not: a Bloom filter of one bit.

    Args:
        known: `[C]`.
    """

    _PER_HASH = 8

    def __init__(self, known: Words) -> None:
        self._bits = np.zeros(1 << max(10, (self._PER_HASH * len(known)).bit_length()), np.bool_)
        self._mask = np.uint64(len(self._bits) - 1)
        self._bits[known & self._mask] = True

    def __call__(self, hashes: Words) -> NDArray[np.bool_]:
        """`[R]` whether each may be among them; never False for one that is."""
        near: NDArray[np.bool_] = self._bits[hashes & self._mask]
        return near
