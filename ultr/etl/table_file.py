"""A file of the lake that is written piece by piece."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ultr.commit import Commit
from ultr.schema import TABLES

ROW_GROUP_ROWS, ROW_GROUP_BYTES = 1 << 14, 64 << 20
"""A row group ends at the first of the two: DuckDB reads by row group, and one is held here."""

_TEXTS = ("key", "title", "text")
"""Columns whose lengths stand before all letters: zstd shrinks them by a tenth more, and sooner."""

_HARDLY_REPEAT = ("ordinal", "session_id", "elapsed_ms", "doc_id", "line", *_TEXTS)
"""Columns whose values differ too much for a dictionary, which costs time until it is given up."""


class TableFile:
    """One Parquet file of `table`, made when the first rows come and added to the lake at the end.

    A thread encodes a row group while the rows of the next are made; no more than one waits for it.

    Args:
        change: the commit.
        table: a table of the registry.
        source: the raw file that the rows come from.
    """

    def __init__(self, change: Commit, table: str, *, source: str) -> None:
        self._change, self._table, self._source = change, table, source
        self._schema = TABLES[table].arrow()
        self._waiting: list[pa.Table] = []
        self._path: Path | None = None
        self._file: pq.ParquetWriter | None = None
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="ultr-encode")
        self._encoded: Future[None] | None = None
        self._rows = 0

    def write(self, data: pa.Table) -> None:
        """Append rows; optional columns that `data` lacks are null.

        Raises:
            OSError: the disk refused them, or those before.
        """
        for column in TABLES[self._table].columns:
            if column.is_optional and column.name not in data.column_names:
                data = data.append_column(column.name, pa.nulls(data.num_rows, column.type))
        self._waiting.append(data.select(self._schema.names).cast(self._schema))
        rows = sum(t.num_rows for t in self._waiting)
        if rows >= ROW_GROUP_ROWS or sum(t.nbytes for t in self._waiting) >= ROW_GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Have what waits encoded.

        Raises:
            OSError: the disk refused the rows before.
        """
        if not self._waiting:
            return
        if self._file is None:
            self._path = self._change.new_file(self._table)
            self._file = pq.ParquetWriter(
                self._path,
                self._schema,
                compression="zstd",
                use_dictionary=self._repeating(),
                column_encoding={
                    name: "DELTA_LENGTH_BYTE_ARRAY" for name in _TEXTS if name in self._schema.names
                },
                write_statistics=self._ordered(),
            )
        group = pa.concat_tables(self._waiting)
        self._waiting = []
        self._rows += group.num_rows
        self._settle()
        self._encoded = self._encoder.submit(
            self._file.write_table, group, row_group_size=group.num_rows
        )

    def _settle(self) -> None:
        """Wait for the row group that is being encoded; its error is raised here."""
        encoded, self._encoded = self._encoded, None
        if encoded is not None:
            encoded.result()

    def _repeating(self) -> list[str]:
        """Paths of the columns that get a dictionary, as Parquet writes them."""
        return [
            f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name
            for field in self._schema
            if field.name not in _HARDLY_REPEAT
        ]

    def _ordered(self) -> list[str]:
        """Columns of which the least and the greatest value help a reader to skip rows."""
        return [f.name for f in self._schema if not pa.types.is_nested(f.type)]

    def close(self) -> None:
        """Write what waits, and make the file part of the table.

        Raises:
            OSError: the disk refused it.
        """
        self.flush()
        self._settle()
        self._encoder.shutdown()
        if self._file is not None and self._path is not None:
            self._file.close()
            self._file = None
            self._change.add(self._table, self._path, rows=self._rows, source=self._source)

    def abandon(self) -> None:
        """Delete a file that is not finished: the commit may go on without this source."""
        self._encoder.shutdown()
        if self._file is not None and self._path is not None:
            with contextlib.suppress(OSError, pa.ArrowException):
                self._file.close()
            self._path.unlink(missing_ok=True)
