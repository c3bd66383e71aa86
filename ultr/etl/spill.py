"""Collapsed rows on disk, by partition: each holds what belongs together and fits into memory."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass
class Spill:
    """Arrow files in a folder, one per partition; several threads may add at once.

    Args:
        folder: where they go; made, and its owner removes it.
    """

    folder: Path
    _writers: dict[int, pa.RecordBatchStreamWriter] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, batch: pa.RecordBatch, bounds: NDArray[np.int64]) -> None:
        """Add rows to partitions: those of partition p are `bounds[p]` to `bounds[p + 1]`."""
        with self._lock:
            for partition in np.flatnonzero(np.diff(bounds)).tolist():
                begin, end = int(bounds[partition]), int(bounds[partition + 1])
                self._writer(partition, batch.schema).write_batch(batch.slice(begin, end - begin))

    def finish(self) -> None:
        """Close the files, before they are read."""
        for writer in self._writers.values():
            writer.close()

    def read(self, partition: int) -> pa.Table | None:
        """What a partition holds, mapped and not copied; None where that is nothing."""
        if partition not in self._writers:
            return None
        with pa.memory_map(str(self._path(partition))) as file, pa.ipc.open_stream(file) as stream:
            return stream.read_all()

    def _writer(self, partition: int, schema: pa.Schema) -> Any:
        if partition not in self._writers:
            self.folder.mkdir(exist_ok=True)
            self._writers[partition] = pa.ipc.new_stream(str(self._path(partition)), schema)
        return self._writers[partition]

    def _path(self, partition: int) -> Path:
        return self.folder / f"{partition}.arrow"


def by_partition(
    partition: NDArray[np.integer[Any]], partitions: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What sorts rows by partition, and the bounds of each partition then."""
    order = np.argsort(partition.astype(np.int16), kind="stable")
    counts = np.bincount(partition, minlength=partitions)
    return order, np.concatenate([[0], np.cumsum(counts)])
