"""The SELECT behind each table's view, made from the registry and the manifest's list of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from ultr.lake import Lake
from ultr.schema import ONE_ROW_PER_KEY, Column, Table
from ultr.sql.runs import RUN_QUERIES

LIST_PERIODS = Table(
    "list_periods",
    row="period that `ultr lists` built, as it noted",
    columns=(
        Column("period", pa.string(), "the time window, `all` without time"),
        Column("sessions", pa.int64(), "pages in its lists"),
        Column("dropped", pa.int64(), "pages that filters took"),
    ),
    key=("period",),
)
"""What the manifest says of lists; not a folder of the lake."""

_DUCKDB_TYPES = {
    pa.string(): "varchar",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    # Without zone, in UTC: what a date function gives must not depend on the reader's time zone,
    # and fetching a time with a zone needs a package (pytz) that DuckDB does not bring along.
    pa.timestamp("us", "UTC"): "timestamp",
}


def duckdb_type(arrow: pa.DataType) -> str:
    """The DuckDB type that holds an Arrow type of the registry.

    Example:
        >>> duckdb_type(pa.list_(pa.int16()))
        'smallint[]'
    """
    if pa.types.is_list(arrow):
        return duckdb_type(arrow.value_type) + "[]"
    if pa.types.is_struct(arrow):
        return "struct(" + ", ".join(f"{f.name} {duckdb_type(f.type)}" for f in arrow) + ")"
    return _DUCKDB_TYPES[arrow]


def table_select(table: Table, paths: Sequence[Path]) -> str:
    """One SELECT that gives the table's rows, partition columns included.

    Args:
        table: a table of the registry.
        paths: its files, absolute; none gives an empty relation with the right types.
    """
    if not paths:
        return empty_select(table)
    files = ", ".join(map(literal, paths))
    if table.partitions and _are_plain(table, paths):
        types = ", ".join(f"'{c.name}': {duckdb_type(c.type)}" for c in table.partitions)
        source = f"read_parquet([{files}], hive_partitioning = true, hive_types = {{{types}}})"
        folders = [f'"{c.name}"' for c in table.partitions]
    else:
        source = f"read_parquet([{files}], hive_partitioning = false, filename = true)"
        folders = _partition_columns(table)
    picked = [*map(_stored_column, table.columns), *folders]
    if table.name in ONE_ROW_PER_KEY:
        key = table.key[0]
        rest = [f'min("{c.name}") as "{c.name}"' for c in table.columns if c.name != key]
        return f'select "{key}", {", ".join(rest)} from {source} group by "{key}"'  # noqa: S608
    return f"select {', '.join(picked)} from {source}"  # noqa: S608  escaped above


def empty_select(table: Table) -> str:
    """One SELECT that gives the table's columns and no row."""
    columns = (*table.columns, *table.partitions)
    nulls = ", ".join(f'null::{duckdb_type(c.type)} as "{c.name}"' for c in columns)
    return f"select {nulls} where false"


def run_queries_select(files: Mapping[str, Path]) -> str:
    """One SELECT that gives `run, query_id, metric, value` of files with a column per metric.

    Args:
        files: run -> its metrics per query, absolute.
    """
    if not files:
        return empty_select(RUN_QUERIES)
    return " union all ".join(
        f"select {literal(run)} as run, query_id, metric, value from (unpivot"  # noqa: S608
        f" (select query_id, columns(* exclude query_id)::double from read_parquet({literal(path)},"
        " hive_partitioning = false)) on columns(* exclude query_id) into name metric value value)"
        for run, path in files.items()
    )


def literal(value: object) -> str:
    """A SQL string literal; settings and file lists cannot be bound."""
    return "'" + str(value).replace("'", "''") + "'"


def list_periods_select(lake: Lake) -> str:
    """One SELECT that gives what `ultr lists` noted of each period: pages in lists, and left out.

    Names of periods are hashes, dates or `all`; they are escaped all the same.
    """
    by_period = lake.manifest.meta.get("lists", {}).get("by_period", {})
    rows = [
        f"({literal(period)}, {counts['sessions']:d},"
        f" {counts.get('logged_sessions', counts['sessions']) - counts['sessions']:d})"
        for period, counts in by_period.items()
    ]
    values = ", ".join(rows) or "(null, null, null)"
    columns = "period::varchar as period, sessions::bigint as sessions, dropped::bigint as dropped"
    given = f"(values {values}) as given(period, sessions, dropped)"
    return f"select {columns} from {given} where period is not null"  # noqa: S608  escaped above


def _stored_column(column: Column) -> str:
    if pa.types.is_timestamp(column.type):
        return f'make_timestamp(epoch_us("{column.name}")) as "{column.name}"'
    return f'"{column.name}"'


def _are_plain(table: Table, paths: Sequence[Path]) -> bool:
    """Whether DuckDB's own hive partitioning gives the values of the folders next to each file.

    It is twice as fast, but looks at the whole path and takes the first match, so that a lake below
    a folder called `period=x` would get that value everywhere; and it decodes what looks escaped.
    """
    names = [c.name for c in table.partitions]
    return all(
        [part.partition("=")[0] for part in folder.parts if "=" in part] == names
        and "%" not in str(folder)
        for folder in {path.parent for path in paths}
    )


def _partition_columns(table: Table) -> list[str]:
    """Partition values from the folders next to the file, wherever the lake is.

    Filters on these expressions still skip files that cannot match.
    """
    depth = len(table.partitions)
    return [
        f"split_part(split_part(filename, '/', {i - depth - 1}), '=', 2)"
        f'::{duckdb_type(c.type)} as "{c.name}"'
        for i, c in enumerate(table.partitions)
    ]
