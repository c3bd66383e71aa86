"""Exposures read by bucket: all rows of a query stand in one chunk, and a chunk fits in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.lake import Lake
from ultr.manifest import File
from ultr.parquet import readable_parquet

Longs = NDArray[np.int64]

_COLUMNS = ("query_id", "doc_id", "position", "context", "impressions", "clicks")


class Chunk(NamedTuple):
    """Rows of `exposures`, `[E]` each.

    Attributes:
        query: ids.
        document: ids.
        position: ranks from 1.
        context: codes of `Contexts`.
        window: time windows from 0.
        impressions: times shown.
        clicks: times clicked.
    """

    query: Longs
    document: Longs
    position: Longs
    context: Longs
    window: Longs
    impressions: Longs
    clicks: Longs


@dataclass
class Contexts:
    """Codes of bias contexts in the order in which they were met; threads may share one."""

    texts: list[str] = field(default_factory=list)
    _codes: dict[str, int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def code(self, text: str) -> int:
        """The code of a context."""
        with self._lock:
            if text not in self._codes:
                self._codes[text] = len(self.texts)
                self.texts.append(text)
            return self._codes[text]


@dataclass(frozen=True)
class Windows:
    """Periods, merged to windows of consecutive ones.

    Args:
        names: of the windows: the first and the last period, or the only one.
        of_period: period -> place in `names`.
    """

    names: tuple[str, ...]
    of_period: dict[str, int]

    @classmethod
    def of(cls, lake: Lake, *, most: int) -> Windows:
        """Cut the lake's periods into at most so many windows."""
        periods = sorted({f.keys.get("period", "all") for f in lake.files("exposures")})
        parts = [p.tolist() for p in np.array_split(np.array(periods), most) if len(p)]
        names = tuple(p[0] if len(p) == 1 else f"{p[0]} to {p[-1]}" for p in parts)
        return cls(names, {period: i for i, part in enumerate(parts) for period in part})


def buckets(lake: Lake) -> list[list[File]]:
    """The files of `exposures`, those of one bucket together."""
    found: dict[str, list[File]] = {}
    for file in lake.files("exposures"):
        found.setdefault(file.keys.get("bucket", ""), []).append(file)
    return [found[b] for b in sorted(found)]


def read_chunk(lake: Lake, files: Sequence[File], windows: Windows, contexts: Contexts) -> Chunk:
    """Read a bucket.

    Raises:
        DataError: a file is gone or damaged.
    """
    parts = [_read(lake, file, windows, contexts) for file in files]
    return Chunk(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def highest_position(lake: Lake) -> int:
    """The lowest rank of the page that was ever shown, 0 without exposures; from the footers."""
    return max((p for f in lake.files("exposures") for p in _positions(lake, f)), default=0)


def _positions(lake: Lake, file: File) -> Iterator[int]:
    path = lake.root / file.path
    with readable_parquet(path):
        footer = pq.read_metadata(path)
        column = footer.schema.names.index("position")
        for group in range(footer.num_row_groups):
            statistics = footer.row_group(group).column(column).statistics
            if statistics is not None and statistics.has_min_max:
                yield int(statistics.max)


def _read(lake: Lake, file: File, windows: Windows, contexts: Contexts) -> Chunk:
    path = lake.root / file.path
    with readable_parquet(path):
        table = pq.ParquetFile(path, read_dictionary=["context"]).read(columns=_COLUMNS)
    texts = table["context"].combine_chunks()
    if table.num_rows:
        codes = np.array([contexts.code(t or "") for t in texts.dictionary.to_pylist()], np.int64)
        context = codes[texts.indices.to_numpy(zero_copy_only=False)]
    else:
        context = np.zeros(0, np.int64)
    numbers = {
        n: table[n].to_numpy().astype(np.int64, copy=False) for n in _COLUMNS if n != "context"
    }
    window = np.full(table.num_rows, windows.of_period[file.keys.get("period", "all")], np.int64)
    return Chunk(
        numbers["query_id"], numbers["doc_id"], numbers["position"], context, window,
        numbers["impressions"], numbers["clicks"],
    )  # fmt: skip
