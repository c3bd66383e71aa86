"""Rows of a Parquet file, block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ultr.errors import DataError
from ultr.logs.rows import LINE, SPAN, TEXT, WHY, Rows
from ultr.parquet import iter_batches, open_parquet

BLOCK_ROWS = 1 << 17


def read_parquet(path: Path, *, columns: Sequence[str]) -> Iterator[Rows]:
    """Read those of `columns` that the file has; a line is a row.

    Raises:
        DataError: an empty or damaged file.
    """
    try:
        yield from _batches(path, columns)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            "a Parquet file must be whole", got=f"{path}: {error}", hint="copy the file again"
        ) from error


def names_in(path: Path) -> list[str]:
    """The columns of a Parquet file.

    Raises:
        DataError: a damaged file.
    """
    try:
        return list(pq.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            "a Parquet file must be whole", got=f"{path}: {error}", hint="copy the file again"
        ) from error


def _batches(path: Path, columns: Sequence[str]) -> Iterator[Rows]:
    first, size = 1, path.stat().st_size
    with open_parquet(path) as file:
        total = file.metadata.num_rows
        if not total:
            raise DataError(
                "a log must not be empty", got=f"{path} has no row", hint="check the export"
            )
        wanted = [c for c in columns if c in file.schema_arrow.names]
        for batch in iter_batches(file, BLOCK_ROWS, columns=wanted):
            number = pl.int_range(first, first + batch.num_rows, dtype=pl.Int64, eager=True)
            frame = pl.DataFrame(pa.Table.from_batches([batch])).with_columns(
                number.alias(LINE),
                pl.lit(1, pl.Int64).alias(SPAN),
                pl.lit("").alias(TEXT),
                pl.lit(None, pl.String).alias(WHY),
            )
            yield Rows(frame, 0, size * batch.num_rows // total)
            first += batch.num_rows
