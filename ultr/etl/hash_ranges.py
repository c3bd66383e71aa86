"""Sets of 64-bit hashes, more than fit into memory, looked at range by range."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, cast

import numpy as np

from ultr.etl.grouping import Longs
from ultr.etl.shares import Hashes

RANGES = 256
_BYTES = 8
HELD = 1 << 22
"""Hashes of one set that stay in memory, 8 bytes each."""

_STARTS = np.arange(1, RANGES, dtype=np.uint64) << np.uint64(64 - 8)
"""Where ranges begin, but for the first: the first 8 bits of a hash name its range."""


class HashRanges:
    """Hashes as they came, equal ones as often; few stay in memory, more in a file without a name.

    Args:
        held: hashes that stay in memory.
    """

    def __init__(self, *, held: int = HELD) -> None:
        self._most = held
        self._file: BinaryIO | None = None
        self._held: list[Hashes] = []
        self._is_sorted = False
        self._count = self._on_disk = 0
        self._bounds: list[Longs] = []

    def add(self, hashes: Hashes) -> None:
        """Take some, in any order."""
        self._held.append(hashes)
        self._is_sorted = False
        self._count += len(hashes)
        if self._count > self._most:
            self._spill()

    @property
    def is_spilled(self) -> bool:
        """Whether some lie on disk."""
        return bool(self._bounds)

    def whole(self) -> Hashes:
        """What is in memory, sorted."""
        if not self._is_sorted:
            self._held = [np.sort(np.concatenate([np.empty(0, np.uint64), *self._held]))]
            self._is_sorted = True
        return self._held[0]

    def range(self, number: int) -> Hashes:
        """All of one range, sorted."""
        held = self.whole()
        begin, end = _bounds_of(held)[number : number + 2]
        parts = [held[begin:end]]
        for bounds in self._bounds:
            begin, end = bounds[number : number + 2].tolist()
            parts.append(self._read(begin, end))
        return np.sort(np.concatenate(parts))

    def close(self) -> None:
        """Let go of what lies on disk."""
        if self._file is not None:
            self._file.close()

    def _read(self, begin: int, end: int) -> Hashes:
        assert self._file is not None  # noqa: S101  bounds are known of what was written
        self._file.seek(begin * _BYTES)
        return np.frombuffer(self._file.read((end - begin) * _BYTES), np.uint64)

    def _spill(self) -> None:
        found = self.whole()
        if self._file is None:
            unnamed = tempfile.TemporaryFile(prefix="ultr-ingest-")  # noqa: SIM115  see `close`
            self._file = cast("BinaryIO", unnamed)
        self._file.seek(0, os.SEEK_END)
        self._file.write(found.tobytes())
        self._bounds.append(_bounds_of(found) + self._on_disk)
        self._on_disk += len(found)
        self._held, self._is_sorted, self._count = [], False, 0


def aligned(*sets: HashRanges) -> Iterator[tuple[Hashes, ...]]:
    """The same range of each set, sorted, from the lowest range to the highest; closes the sets."""
    try:
        if any(s.is_spilled for s in sets):
            for number in range(RANGES):
                yield tuple(s.range(number) for s in sets)
        else:
            yield tuple(s.whole() for s in sets)
    finally:
        for one in sets:
            one.close()


def _bounds_of(found: Hashes) -> Longs:
    """[RANGES + 1] where each range of sorted hashes begins, and the end."""
    return np.concatenate([[0], np.searchsorted(found, _STARTS), [len(found)]])
