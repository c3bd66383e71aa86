"""Counting and replacing single bytes of many texts, many times faster than text by text.

Blocks are looked at in slices that a core's cache holds: what is made of a slice takes the memory
that the slice before it left, and the system need not find new pages for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_SLICE_BYTES = 1 << 18


def count(data: bytes, letter: bytes) -> int:
    """How often `letter` occurs in `data`."""
    return sum(int(np.count_nonzero(part == ord(letter))) for _, part in _slices(data))


def places(data: bytes, letter: bytes) -> Ints:
    """[N] where `letter` occurs in `data`."""
    found = [np.flatnonzero(part == ord(letter)) + begin for begin, part in _slices(data)]
    return np.concatenate([np.empty(0, np.int64), *found])


def texts(column: pl.Series) -> tuple[Bytes, Ints]:
    """The bytes of a column's N texts, one after the other, and [N + 1] where each begins.

    Nothing stands for null.
    """
    text = column.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, bounds, data = text.buffers()
    begin = np.frombuffer(bounds, np.int64)[text.offset : text.offset + len(text) + 1]
    return np.frombuffer(data, np.uint8), begin


def counts_within(column: pl.Series, letters: bytes) -> Ints:
    """[N] how often one of `letters` occurs in each text of a column.

    One bit per byte and a running sum of the bits per word: a count is a difference of two ranks.

    Example:
        >>> counts_within(pl.Series(["a b-c", None, "d"]), b" -").tolist()
        [2, 0, 0]
    """
    data, begin = texts(column)
    packed = np.zeros(len(data) // 64 * 8 + 8, np.uint8)
    for first, part in _slices(data):
        bits = np.packbits(reduce(np.logical_or, (part == i for i in letters)), bitorder="little")
        packed[first // 8 : first // 8 + len(bits)] = bits
    word = packed.view("<u8")
    in_word = np.bitwise_count(word)
    before = np.cumsum(in_word, dtype=np.int64) - in_word
    below = (np.uint64(1) << (begin % 64).astype(np.uint64)) - np.uint64(1)
    rank: Ints = before[begin // 64] + np.bitwise_count(word[begin // 64] & below)
    return rank[1:] - rank[:-1]


def has(column: pl.Series, letter: bytes) -> bool:
    """Whether `letter` occurs in a text of a column."""
    return any((part == ord(letter)).any() for _, part in _slices(texts(column)[0]))


def replaced(data: bytes, letter: bytes, by: bytes) -> bytes:
    """`data` with another byte wherever `letter` stands; not slower where there are many.

    Example:
        >>> replaced(b"1-2-3", b"-", b" ")
        b'1 2 3'
    """
    return _replaced(data, letter, by).tobytes()


def replaced_within(text: pa.LargeStringArray, letter: bytes, by: bytes) -> pa.LargeStringArray:
    """`replaced` of each text.

    Example:
        >>> replaced_within(pa.array(["1-2", None], pa.large_string()), b"-", b" ").to_pylist()
        ['1 2', None]
    """
    valid, bounds, data = text.buffers()
    buffers = [valid, bounds, pa.py_buffer(_replaced(data, letter, by))]
    return pa.Array.from_buffers(text.type, len(text), buffers, text.null_count, text.offset)


def _replaced(data: bytes | pa.Buffer, letter: bytes, by: bytes) -> Bytes:
    out = np.empty(len(data), np.uint8)
    step = np.uint8((ord(by) - ord(letter)) % 256)
    for begin, part in _slices(data):
        is_letter = (part == ord(letter)).view(np.uint8)
        np.add(part, is_letter * step, out=out[begin : begin + len(part)])
    return out


def _slices(data: bytes | pa.Buffer | Bytes) -> Iterator[tuple[int, Any]]:
    whole = np.frombuffer(data, np.uint8)
    for begin in range(0, len(whole), _SLICE_BYTES):
        yield begin, whole[begin : begin + _SLICE_BYTES]
