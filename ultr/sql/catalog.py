"""The views that SQL sees, with what stands in them."""

from __future__ import annotations

from dataclasses import dataclass

from ultr.schema import TABLES, Table
from ultr.sql.named import Named, named_queries, views
from ultr.sql.runs import RUN_TABLES
from ultr.sql.tables import LIST_PERIODS, duckdb_type


@dataclass(frozen=True)
class View:
    """A view as a person reads about it.

    Args:
        name: its name in SQL.
        purpose: what one row is, or what it is for.
        columns: (name, DuckDB type or nothing, meaning), in order.
        is_table: whether it is one of the lake's tables.
    """

    name: str
    purpose: str
    columns: tuple[tuple[str, str, str], ...]
    is_table: bool = False


def catalog() -> dict[str, View]:
    """Every view: the lake's tables, what `ultr lists` noted, runs, then those of `sql/views`.

    Example:
        >>> catalog()["judgments"].columns[-1]
        ('frequency_bucket', 'tinyint', 'how frequent the query is, 0 (head) to 9 (tail)')
    """
    found = [_of_table(t, is_table=True) for t in TABLES.values()]
    found += [_of_table(t) for t in (LIST_PERIODS, *RUN_TABLES.values())]
    found += [_of_named(v) for v in views()]
    return {v.name: v for v in found}


def named_catalog() -> dict[str, View]:
    """Every named query, with the columns it gives."""
    return {q.name: _of_named(q) for q in named_queries().values()}


def _of_table(table: Table, *, is_table: bool = False) -> View:
    columns = tuple(
        (c.name, duckdb_type(c.type), c.meaning) for c in (*table.columns, *table.partitions)
    )
    return View(table.name, table.row, columns, is_table)


def _of_named(query: Named) -> View:
    return View(query.name, query.purpose, tuple((n, "", m) for n, m in query.columns.items()))
