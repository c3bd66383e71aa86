"""Rows that have to be seen together, in shares that fit into memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from ultr.logs.lean import lean
from ultr.logs.spill import by_key

SHARE_ROWS = 1 << 18
"""Rows that are joined at a time."""

_SPILL_BYTES = 128
"""What `by_key` is told a row weighs, so that a part holds about `SHARE_ROWS`."""

Hashes = npt.NDArray[np.uint64]
Groups = Callable[[pl.DataFrame], pl.Series]
"""Rows to the group they belong to."""


def shares(frames: Iterable[pl.DataFrame], *, rows: int, groups: Groups) -> Generator[pl.DataFrame]:
    """Events in shares of whole groups: at once if they are few, else dealt out on disk.

    Args:
        frames: of one schema.
        rows: at most so many.
        groups: tells events that belong together.
    """
    frames, held, count = iter(frames), list[pl.DataFrame](), 0
    for frame in frames:
        held.append(lean(frame)[0])  # what was filtered out of it is let go of
        count += frame.height
        if count > SHARE_ROWS:
            break
    if count <= SHARE_ROWS:
        if count:
            yield pl.concat(held)
        return
    keyed = (f.with_columns(groups(f).alias("#group")) for f in itertools.chain(held, frames))
    for share in by_key(keyed, keys=["#group"], text_bytes=rows * _SPILL_BYTES):
        yield share.drop("#group")


def within(values: pl.Series, known: Hashes) -> npt.NDArray[np.bool_]:
    """[values] whether each is among the sorted `known` ones."""
    found = values.fill_null(0).to_numpy()
    if not len(known):
        return np.zeros(len(found), bool)
    at = np.minimum(np.searchsorted(known, found), len(known) - 1)
    return np.asarray(known[at] == found)


def sorted_hashes(parts: Sequence[pl.Series]) -> Hashes:
    """All hashes once, in order."""
    return merged(*(p.to_numpy() for p in parts))


def repeated(*parts: Hashes) -> Hashes:
    """Hashes that several parts have, each of which has one once; in order."""
    ordered = np.sort(np.concatenate([np.empty(0, np.uint64), *parts]))
    return merged(ordered[1:][ordered[1:] == ordered[:-1]])


def merged(*parts: Hashes) -> Hashes:
    """All hashes once, in order.

    `np.unique` and `np.union1d` of NumPy 2.4 put integers into a hash table, which took 1.7 s of
    CPU for 2 million hashes, where this sort takes .02 s.
    """
    ordered = np.sort(np.concatenate([np.empty(0, np.uint64), *parts]))
    is_first = np.ones(len(ordered), np.bool_)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_first]
