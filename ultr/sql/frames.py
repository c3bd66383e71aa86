"""A table of the lake as a Polars LazyFrame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ultr.errors import UsageError
from ultr.lake import Lake
from ultr.schema import ONE_ROW_PER_KEY, TABLES, Table

if TYPE_CHECKING:
    import polars as pl

_PATH = "__path"


def scan(lake: Lake, name: str) -> pl.LazyFrame:
    """The rows of a table, lazily, with the columns of the registry and its partitions.

    Args:
        lake: the commit to look at.
        name: a table of the registry.

    Raises:
        UsageError: no such table; the known ones are listed.

    Example:
        >>> scan(lake, "sessions").filter(pl.col("period") == "2026-01-01")  # doctest: +SKIP
    """
    import polars as pl  # noqa: PLC0415  SQL alone does not need Polars, and it takes 0.2 s

    if name not in TABLES:
        raise UsageError(
            "a lake's table is one of the registry", got=repr(name), hint=", ".join(TABLES)
        )
    table, paths = TABLES[name], lake.paths(name)
    if not paths:
        return _empty(table)
    # Partition values come from the folders beside the file: Polars' hive parsing reads the whole
    # path and stops at a folder above the lake that happens to hold a `=`.
    frame = pl.scan_parquet(paths, hive_partitioning=False, include_file_paths=_PATH)
    types = _empty(table).collect_schema()
    partitions = [
        pl.col(_PATH)
        .str.extract(rf"/{c.name}=([^/]*)/(?:[^/]*=[^/]*/)*[^/]*$")
        .cast(types[c.name])
        .alias(c.name)
        for c in table.partitions
    ]
    frame = frame.with_columns(partitions).select(types.names())
    if name in ONE_ROW_PER_KEY:
        frame = frame.group_by(table.key[0]).agg(pl.all().min()).select(types.names())
    return frame


def _empty(table: Table) -> pl.LazyFrame:
    import polars as pl  # noqa: PLC0415  as above
    import pyarrow as pa  # noqa: PLC0415

    fields = [pa.field(c.name, c.type) for c in (*table.columns, *table.partitions)]
    frame = pl.from_arrow(pa.schema(fields).empty_table())
    assert isinstance(frame, pl.DataFrame)  # noqa: S101  a table gives a frame, not a series
    return frame.lazy()
