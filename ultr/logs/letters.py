"""Counting single bytes of a block, many times faster than text by text."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def count(data: bytes, letter: bytes) -> int:
    """How often `letter` occurs in `data`."""
    return int(np.count_nonzero(_is(data, letter)))


def places(data: bytes, letter: bytes) -> Ints:
    """[N] where `letter` occurs in `data`."""
    return np.flatnonzero(_is(data, letter))


def counts_between(data: bytes, letter: bytes, begin: Ints, end: Ints) -> Ints:
    """[N] how often `letter` occurs in each `data[begin:end]`.

    One bit per byte and a running sum of the bits per word: a count is a difference of two ranks.

    Example:
        >>> counts_between(b"a b c", b" ", np.array([0, 2]), np.array([5, 3])).tolist()
        [2, 0]
    """
    hit = np.zeros(len(data) // 64 * 64 + 64, np.bool_)
    hit[: len(data)] = _is(data, letter)
    word = np.packbits(hit, bitorder="little").view("<u8")
    bits = np.bitwise_count(word)
    before = np.cumsum(bits, dtype=np.int64) - bits

    def rank(at: Ints) -> Ints:
        below = (np.uint64(1) << (at % 64).astype(np.uint64)) - np.uint64(1)
        part: Ints = before[at // 64] + np.bitwise_count(word[at // 64] & below)
        return part

    return rank(end) - rank(begin)


def _is(data: bytes, letter: bytes) -> Any:
    return np.frombuffer(data, np.uint8) == ord(letter)
