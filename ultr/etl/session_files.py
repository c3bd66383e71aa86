"""Files of `sessions`: new ones of a useful size, and old ones of which pages changed."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

import polars as pl
import pyarrow as pa

from ultr.commit import Commit
from ultr.etl.counts import Delta
from ultr.etl.replace import as_rows, count, replace_pages
from ultr.schema import SESSIONS

FILE_ROWS = 1 << 16
HELD_ROWS = 1 << 19
"""Pages of all sources that wait for more of theirs; some 300 bytes each."""

_REPEAT = [
    "feedback.list.element.action",
    *(
        f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
        for field in SESSIONS.arrow()
        if field.name not in ("ordinal", "doc_id")
    ),
]
"""Paths of the columns that get a dictionary, as Parquet writes them."""


class SessionFiles:
    """Writes pages of many sources into few files, each of one source.

    A context manager. A thread encodes a file while the pages of the next are made; no more than
    one waits for it.

    Args:
        change: the commit.
    """

    def __init__(self, change: Commit) -> None:
        self._change = change
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="ultr-encode")
        self._encoded: Future[None] | None = None
        self._held: defaultdict[str, list[pl.DataFrame]] = defaultdict(list)
        self._deltas: defaultdict[str, Delta] = defaultdict(Delta)

    def __enter__(self) -> Self:
        """Nothing is written before pages come."""
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """End the thread."""
        self._encoder.shutdown()

    def add(self, pages: pl.DataFrame) -> None:
        """Take pages; files are written as they fill.

        Raises:
            OSError: the disk refused some.
        """
        for (source,), own in pages.partition_by("source", as_dict=True).items():
            count(self._deltas[str(source)], own)
            self._held[str(source)].append(own)
        sizes = {s: sum(p.height for p in parts) for s, parts in self._held.items()}
        while sizes and (max(sizes.values()) >= FILE_ROWS or sum(sizes.values()) >= HELD_ROWS):
            fullest = max(sizes, key=lambda s: sizes[s])
            self._flush(fullest)
            del sizes[fullest]

    def close(self) -> dict[str, Delta]:
        """Write what is left; returns what was written of each source.

        Raises:
            OSError: as of `add`.
        """
        for source in list(self._held):
            self._flush(source)
        self._settle()
        return dict(self._deltas)

    def _flush(self, source: str) -> None:
        rows = self._held.pop(source)
        self._settle()
        self._encoded = self._encoder.submit(self._write, rows, source)

    def _settle(self) -> None:
        """Wait for the file that is being written; its error is raised here."""
        encoded, self._encoded = self._encoded, None
        if encoded is not None:
            encoded.result()

    def _write(self, rows: list[pl.DataFrame], source: str) -> None:
        data = as_rows(pl.concat(rows)).to_arrow()
        self._change.write("sessions", data, dictionary=_REPEAT, delta=["ordinal"], source=source)


class Changed:
    """Pages of sources that the lake already has, kept on disk until all are known.

    Args:
        folder: for them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._files = folder, 0
        self._pages: defaultdict[str, list[Path]] = defaultdict(list)
        self._made: defaultdict[str, list[pl.Series]] = defaultdict(list)

    def add(self, pages: pl.DataFrame) -> None:
        """Take pages as they are now."""
        for (source,), own in pages.partition_by("source", as_dict=True).items():
            path = self._folder / f"{self._files}.arrow"
            as_rows(own).write_ipc(path, compression="uncompressed")
            self._pages[str(source)].append(path)
            self._files += 1

    def made(self, rows: pl.DataFrame) -> None:
        """Note `source, line` of all pages that were made again, also of those that are gone."""
        for (source,), own in rows.partition_by("source", as_dict=True).items():
            self._made[str(source)].append(own["line"])

    def replace(self, change: Commit) -> dict[str, Delta]:
        """Put them in the place of what the lake has; returns what changed of each source."""
        deltas = {}
        for source, lines in self._made.items():
            parts = [pl.read_ipc(p) for p in self._pages[source]]
            pages = (
                pl.concat(parts) if parts else as_rows(pl.DataFrame(schema={"source": pl.String}))
            )
            deltas[source] = replace_pages(
                change, source=source, pages=pages, ordinals=pl.concat(lines)
            )
        return deltas
