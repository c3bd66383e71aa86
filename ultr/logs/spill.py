"""Rows on disk, dealt out by a number, so that those that belong together fit into memory."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ultr.logs.lean import lean

PART_BYTES = 32 << 20
"""Text of the file that one part stands for, more or less."""

MAX_PARTS = 4096

HELD_BYTES = 448 << 20
"""Rows that are dealt out in memory; more of them go to the disk, which takes four times longer."""


@dataclass
class Spill:
    """Arrow batches in one file that are read by partition; several threads may add at once.

    One file, whatever the number of partitions: that may follow the size of the log, where open
    files are few.

    Args:
        path: the file; made when there is something, and its owner removes it.
    """

    path: Path
    _places: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    _schema: pa.Schema | None = None
    _file: Any = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, batch: pa.RecordBatch, bounds: NDArray[np.int64]) -> None:
        """Add rows to partitions: those of partition p are `bounds[p]` to `bounds[p + 1]`."""
        with self._lock:
            if self._file is None:
                self._schema, self._file = batch.schema, pa.OSFile(str(self.path), "wb")
            for partition in np.flatnonzero(np.diff(bounds)).tolist():
                begin, end = int(bounds[partition]), int(bounds[partition + 1])
                part = batch.slice(begin, end - begin).serialize()
                self._places.setdefault(partition, []).append((self._file.tell(), part.size))
                self._file.write(part)

    def finish(self) -> None:
        """Close the file, before it is read."""
        if self._file is not None:
            self._file.close()

    def read(self, partition: int) -> pa.Table | None:
        """What a partition holds; None where that is nothing."""
        if partition not in self._places:
            return None
        # Mapped anew each time: what was read must not stay in memory.
        with pa.memory_map(str(self.path)) as file:
            batches = []
            for at, size in self._places[partition]:
                file.seek(at)
                batches.append(pa.ipc.read_record_batch(file.read_buffer(size), self._schema))
        return pa.Table.from_batches(batches)


def by_partition(
    partition: NDArray[np.integer[Any]], partitions: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What sorts rows by partition, and the bounds of each partition then."""
    order = np.argsort(partition.astype(np.int16), kind="stable")
    counts = np.bincount(partition, minlength=partitions)
    return order, np.concatenate([[0], np.cumsum(counts)])


def by_key(
    frames: Iterable[pl.DataFrame], *, keys: Sequence[str], text_bytes: int
) -> Iterator[pl.DataFrame]:
    """Deal rows out by the hash of their keys, and give each share back whole.

    Few rows stay in memory, more lie on disk; the shares are the same.

    Args:
        frames: of one schema; they are consumed before the first share comes.
        keys: rows that agree on them come in one share, in the order of the file.
        text_bytes: about how large the file is as text.
    """
    parts = min(MAX_PARTS, 2 + text_bytes // PART_BYTES)
    with tempfile.TemporaryDirectory(prefix="ultr-ingest-") as folder:
        dealt = _Dealt(Spill(Path(folder) / "rows.arrow"))
        for frame in frames:
            part = (frame.select(keys).hash_rows(seed=0) % parts).cast(pl.Int16).to_numpy()
            dealt.add(frame, *by_partition(part, parts))
        dealt.finish()
        for number in range(parts):
            share = dealt.read(number)
            if share is not None:
                yield share


@dataclass
class _Dealt:
    """Rows by partition, the last of them in memory.

    Args:
        spill: for those before, once they are many.
    """

    spill: Spill
    _held: list[tuple[pl.DataFrame, NDArray[np.int64]]] = field(default_factory=list)
    _bytes: int = 0

    def add(self, frame: pl.DataFrame, order: NDArray[np.int64], bounds: NDArray[np.int64]) -> None:
        """Add rows that `order` sorts by partition."""
        ordered, size = lean(frame[order])
        self._held.append((ordered, bounds))
        self._bytes += size
        if self._bytes > HELD_BYTES:
            for rows, at in self._held:
                for batch in rows.to_arrow().combine_chunks().to_batches():
                    self.spill.add(batch, at)
            self._held, self._bytes = [], 0

    def finish(self) -> None:
        """End adding, before anything is read."""
        self.spill.finish()

    def read(self, partition: int) -> pl.DataFrame | None:
        """What a partition holds, in the order it came; None where that is nothing."""
        spilled = self.spill.read(partition)
        found = [] if spilled is None else [pl.DataFrame(spilled)]
        for rows, at in self._held:
            if at[partition] < at[partition + 1]:
                found.append(rows[int(at[partition]) : int(at[partition + 1])])
        return pl.concat(found) if found else None
