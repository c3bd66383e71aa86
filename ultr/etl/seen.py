"""Which rows came before, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

SLOTS = 1 << 22


class Seen:
    """A cache of the hashes of rows: each has one slot, which the next with that slot takes over.

    So a row may be called new again, which the tables of distinct keys bear (their views take one
    row per key); it is never called old when it is new, but for one in 2⁶⁴ pairs.

    Args:
        slots: a power of two from 2; 8 bytes each, which the system gives only as they are used.
    """

    def __init__(self, *, slots: int = SLOTS) -> None:
        self._hash: Any = np.zeros(slots, np.uint64)
        self._hash[0] = 1  # no row with the hash 0 has been here; 1 belongs into another slot
        self._mask = np.uint64(slots - 1)

    def only_new(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows that did not come before, each once."""
        value = rows.hash_rows(seed=0).to_numpy()
        slot = value & self._mask
        is_new = self._hash[slot] != value
        self._hash[slot] = value
        new = pl.Series(is_new)
        first = pl.Series(value).filter(new).is_first_distinct()
        return rows.filter(new).filter(first)
