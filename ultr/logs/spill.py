"""Rows that belong together but stand apart in a file too large for memory."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa

PART_BYTES = 32 << 20
"""Text of the file that one part stands for, more or less."""

MAX_PARTS = 256
"""Each is an open file while rows are dealt out."""


def by_key(
    frames: Iterable[pl.DataFrame], *, keys: Sequence[str], text_bytes: int
) -> Iterator[pl.DataFrame]:
    """Deal rows out by the hash of their keys, on disk, and give each share back whole.

    Args:
        frames: of one schema; they are consumed before the first share comes.
        keys: rows that agree on them come in one share, in the order of the file.
        text_bytes: about how large the file is as text.
    """
    parts = min(MAX_PARTS, 2 + text_bytes // PART_BYTES)
    with tempfile.TemporaryDirectory(prefix="ultr-ingest-") as folder:
        paths = [Path(folder) / f"{i}.arrow" for i in range(parts)]
        _deal(frames, paths, keys)
        for path in paths:
            if path.exists():
                with pa.OSFile(str(path)) as file:
                    yield pl.DataFrame(pa.ipc.open_stream(file).read_all())
                path.unlink()


def _deal(frames: Iterable[pl.DataFrame], paths: list[Path], keys: Sequence[str]) -> None:
    with contextlib.ExitStack() as stack:
        writers: dict[int, pa.RecordBatchStreamWriter] = {}
        for frame in frames:
            part = (frame.select(keys).hash_rows(seed=0) % len(paths)).alias("#part")
            shares = frame.with_columns(part).partition_by("#part", as_dict=True, include_key=False)
            for (number,), share in shares.items():
                table = share.to_arrow()
                if number not in writers:
                    writer = pa.ipc.new_stream(str(paths[number]), table.schema)
                    writers[number] = stack.enter_context(writer)
                writers[number].write_table(table)
