"""Events that were just written, kept in memory for the join that would read them back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from ultr.commit import Commit
from ultr.etl.events import read_files
from ultr.logs.lean import lean
from ultr.manifest import File

HELD_BYTES = 448 << 20
"""Rows of so many bytes are kept; a source with more than is left of it is read back.

With what reading takes, and dealing out as much again, a process stays below 2 GiB.
"""


class Held:
    """Rows by source, as long as they are few; which of the two ways they come is not to be seen.

    Args:
        columns: that are wanted of the table `events`.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = columns
        self._rows: dict[str, list[pl.DataFrame]] = {}
        self._bytes: dict[str, int] = {}
        self._total = 0
        self._too_large = set[str]()

    def add(self, rows: pl.DataFrame, *, source: str) -> None:
        """Take rows that were written, in their order."""
        if source in self._too_large:
            return
        kept, size = lean(rows.select(self._columns))
        self._rows.setdefault(source, []).append(kept)
        self._bytes[source] = self._bytes.get(source, 0) + size
        self._total += size
        if self._total > HELD_BYTES:
            self.drop(source)
            self._too_large.add(source)

    def drop(self, source: str) -> None:
        """Forget the rows of a source."""
        self._rows.pop(source, None)
        self._total -= self._bytes.pop(source, 0)

    def frames(self, change: Commit, files: Sequence[File]) -> Iterator[pl.DataFrame]:
        """The rows of files in order, each source once: what was given is let go of."""
        for file in files:
            rows = self._rows.pop(file.keys["source"], None)
            if rows is None:
                yield from read_files(change, [file], columns=self._columns)
                continue
            rows.reverse()
            while rows:
                yield rows.pop()
