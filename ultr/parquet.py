"""Parquet files: read piece by piece in bounded memory, and told of when they are damaged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ultr.errors import DataError


def open_parquet(path: Path, *, dictionary: Sequence[str] = ()) -> pq.ParquetFile:
    """Open a file for `iter_batches`.

    By default pyarrow keeps the bytes of every row group that it has read until the file is closed,
    so that reading in batches takes as much memory as the whole file.

    Args:
        path: the file.
        dictionary: columns that come as dictionaries where the file has such.

    Raises:
        OSError: no such file.
        pyarrow.ArrowInvalid: no Parquet.
    """
    return pq.ParquetFile(path, pre_buffer=False, read_dictionary=list(dictionary) or None)


def iter_batches(
    file: pq.ParquetFile, rows: int, *, columns: Sequence[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """All rows of an open file, at most so many at a time.

    pyarrow ends without an error where the pages of damaged columns run out early.

    Raises:
        pyarrow.ArrowException: the file is damaged, or has fewer rows than it says.
    """
    names, found = None if columns is None else list(columns), 0
    for batch in file.iter_batches(rows, columns=names):
        found += batch.num_rows
        yield batch
    if found != file.metadata.num_rows:
        raise pa.ArrowInvalid(f"{found:,} of {file.metadata.num_rows:,} rows can be read")


@contextlib.contextmanager
def readable_parquet(path: Path) -> Iterator[None]:
    """Around reading one Parquet file of a lake.

    Raises:
        DataError: the file is gone or damaged.
    """
    try:
        yield
    except (OSError, KeyError, pa.ArrowException) as error:
        first = next(iter(str(error).strip().splitlines()), "")
        raise DataError(
            "every file that the lake's manifest names must be readable Parquet",
            got=f"{path}: {type(error).__name__}: {first}",
            hint="restore the file from a backup, or ingest into a new lake",
        ) from error
