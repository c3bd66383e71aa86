"""Files of the lake written anew: merged, without doubles, or without some rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from ultr.commit import Commit
from ultr.manifest import File
from ultr.parquet import iter_batches, open_parquet
from ultr.schema import TABLES

KEYED = {"queries": "query_id", "documents": "doc_id"}
"""Tables with a row per id, which each source writes by itself."""

DERIVED = ("exposures", "candidates", "lists")
"""Tables that `ultr lists` makes from others."""

_BATCH_ROWS = 1 << 16


def paths(change: Commit, files: Iterable[File]) -> list[str]:
    """Where files are."""
    return [str(change.root / f.path) for f in files]


def write_batches(
    change: Commit, table: str, batches: Iterable[pa.RecordBatch], **keys: object
) -> int:
    """Write one file from a stream of batches and add it, if there is a row; returns the rows."""
    schema, rows = TABLES[table].arrow(), 0
    path = change.new_file(table, **keys)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in batches:
            if batch.num_rows:
                writer.write_table(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
                rows += batch.num_rows
    if rows:
        change.add(table, path, rows=rows, **keys)
    else:
        path.unlink()
    return rows


def merge(change: Commit, table: str, files: Sequence[File]) -> None:
    """One file instead of several with the same keys: the same rows in the same order."""
    write_batches(change, table, _rows_of(change, files), **files[0].keys)
    gone = {f.path for f in files}
    change.remove(table, lambda f: f.path in gone)


def _rows_of(change: Commit, files: Iterable[File]) -> Iterable[pa.RecordBatch]:
    for file in files:
        with open_parquet(change.root / file.path) as opened:
            yield from iter_batches(opened, _BATCH_ROWS)


def one_row_per_id(connection: duckdb.DuckDBPyConnection, change: Commit, table: str) -> None:
    """All files of `queries` or `documents` as one, with the row that the view shows of each id."""
    files, key = change.manifest.tables.get(table, []), KEYED[table]
    if len(files) < 2:
        return
    connection.read_parquet(paths(change, files), hive_partitioning=False).create_view("every")
    rest = ", ".join(f"min({c.name}) as {c.name}" for c in TABLES[table].columns if c.name != key)
    found = connection.sql(f"select {key}, {rest} from every group by {key} order by {key}")  # noqa: S608
    gone = {f.path for f in files}
    write_batches(change, table, found.to_arrow_reader(_BATCH_ROWS))
    change.remove(table, lambda f: f.path in gone)
    connection.execute("drop view every")


def drop_unreferenced(connection: duckdb.DuckDBPyConnection, change: Commit, table: str) -> int:
    """Take rows out of `queries` or `documents` that no other table names; returns how many."""
    key, dropped = KEYED[table], 0
    _refer(connection, change, key)
    for file in list(change.manifest.tables.get(table, [])):
        rows = connection.read_parquet(paths(change, [file]), hive_partitioning=False)
        kept = rows.filter(f"{key} in (select id from referred)").to_arrow_table()  # noqa: S608
        if kept.num_rows == file.rows:
            continue
        dropped += file.rows - kept.num_rows
        change.remove(table, lambda f, gone=file.path: f.path == gone)  # type: ignore[misc]
        if kept.num_rows:
            write_batches(change, table, kept.to_batches(), **file.keys)
    connection.execute("drop table referred")
    return dropped


def _refer(connection: duckdb.DuckDBPyConnection, change: Commit, key: str) -> None:
    """The ids that sessions and the user's own tables name, as a table."""
    connection.execute("create temp table referred (id bigint)")
    for name, table in TABLES.items():
        files = change.manifest.tables.get(name, [])
        column = next((c for c in table.columns if c.name == key), None)
        if name in (*KEYED, *DERIVED) or column is None or not files:
            continue
        source = connection.read_parquet(paths(change, files), hive_partitioning=False)
        is_list = pa.types.is_list(column.type)
        ids = source.project(f"unnest({key})" if is_list else key).distinct()
        ids.insert_into("referred")
