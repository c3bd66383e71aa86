"""Counting and replacing single bytes of a block, many times faster than text by text.

Blocks are looked at in slices that a core's cache holds: what is made of a slice takes the memory
that the slice before it left, and the system need not find new pages for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_SLICE_BYTES = 1 << 18


def count(data: bytes, letter: bytes) -> int:
    """How often `letter` occurs in `data`."""
    return sum(int(np.count_nonzero(part == ord(letter))) for _, part in _slices(data))


def places(data: bytes, letter: bytes) -> Ints:
    """[N] where `letter` occurs in `data`."""
    found = [np.flatnonzero(part == ord(letter)) + begin for begin, part in _slices(data)]
    return np.concatenate([np.empty(0, np.int64), *found])


def counts_between(data: bytes, letter: bytes, begin: Ints, end: Ints) -> Ints:
    """[N] how often `letter` occurs in each `data[begin:end]`.

    One bit per byte and a running sum of the bits per word: a count is a difference of two ranks.

    Example:
        >>> counts_between(b"a b c", b" ", np.array([0, 2]), np.array([5, 3])).tolist()
        [2, 0]
    """
    packed = np.zeros(len(data) // 64 * 8 + 8, np.uint8)
    for first, part in _slices(data):
        bits = np.packbits(part == ord(letter), bitorder="little")
        packed[first // 8 : first // 8 + len(bits)] = bits
    word = packed.view("<u8")
    in_word = np.bitwise_count(word)
    before = np.cumsum(in_word, dtype=np.int64) - in_word

    def rank(at: Ints) -> Ints:
        below = (np.uint64(1) << (at % 64).astype(np.uint64)) - np.uint64(1)
        part: Ints = before[at // 64] + np.bitwise_count(word[at // 64] & below)
        return part

    return rank(end) - rank(begin)


def replaced(data: bytes, letter: bytes, by: bytes) -> bytes:
    """`data` with another byte wherever `letter` stands; not slower where there are many.

    Example:
        >>> replaced(b"1-2-3", b"-", b" ")
        b'1 2 3'
    """
    out = np.empty(len(data), np.uint8)
    step = np.uint8((ord(by) - ord(letter)) % 256)
    for begin, part in _slices(data):
        is_letter = (part == ord(letter)).view(np.uint8)
        np.add(part, is_letter * step, out=out[begin : begin + len(part)])
    return out.tobytes()


def _slices(data: bytes) -> Iterator[tuple[int, Any]]:
    whole = np.frombuffer(data, np.uint8)
    for begin in range(0, len(whole), _SLICE_BYTES):
        yield begin, whole[begin : begin + _SLICE_BYTES]
