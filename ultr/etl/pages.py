"""The pages that are to be collapsed, as a stream of Arrow batches out of DuckDB."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from ultr.etl.filters import Filters, make_filtered
from ultr.etl.periods import Windows
from ultr.etl.split import source_seed

BATCH = 250_000
"""Pages of a batch."""


def make_sessions(
    connection: duckdb.DuckDBPyConnection, windows: Windows, *, periods: Sequence[str]
) -> None:
    """Make the view `sessions`: those of some periods, with `period_code`, the period's place.

    Args:
        connection: has the view `every_session`.
        windows: which days or sources make a period.
        periods: sorted names.
    """
    code = {name: i for i, name in enumerate(periods)}
    kept = {w: code[p] for w, p in windows.names.items() if p in code}
    _table(connection, "windows", kept, ("name", pa.string()), ("code", pa.int32()))
    connection.execute(
        "create view sessions as select s.*, w.code as period_code"  # noqa: S608  a constant
        f" from every_session as s join windows as w on s.{windows.column} = w.name"
    )


def make_pages(
    connection: duckdb.DuckDBPyConnection, *, filters: Filters, clicks: str, context: str | None
) -> None:
    """Make the view `pages`: what the collapse needs of the view `sessions`.

    Its columns: `query_id, cell` (place of the period × 3 + session split), `doc_id, position,
    click, dwell_s`, `context` where there is one, `dropped, logged_clicks` where there are filters,
    and `weight` unless all weigh 1.

    Args:
        connection: has the views `every_session` and `sessions`.
        filters: what is left out, and what is a click.
        clicks: expression from `click_sql`.
        context: expression from `context_sql`, None without context.
    """
    found = connection.execute("select distinct source from every_session").fetchall()
    seeds = {name: source_seed(name) for (name,) in found}
    _table(connection, "seeds", seeds, ("source", pa.string()), ("seed", pa.uint64()))
    make_filtered(connection, filters, clicks=clicks)
    more = f", {context} as context" if context else ""
    more += ", dropped, logged_clicks" if filters.changes else ""
    # Not as a filter: the statistics of Parquet, which would answer it, leave NaN out.
    weights = connection.execute("select bool_or(weight is distinct from 1) from sessions")
    more += ", weight" if weights.fetchall()[0][0] else ""
    connection.execute(
        "create view pages as select query_id, doc_id, position, click, dwell_s,"  # noqa: S608  constants
        f" (period_code * 3 + session_split(seed, ordinal))::integer as cell{more}"
        " from filtered join seeds using (source)"
    )


def read_pages(connection: duckdb.DuckDBPyConnection) -> Iterator[pa.RecordBatch]:
    """The batches of the view `pages`."""
    yield from connection.sql("select * from pages").to_arrow_reader(BATCH)


def heavy_queries(connection: duckdb.DuckDBPyConnection, *, pages: int) -> dict[int, int]:
    """Queries with more pages than a number, whose lists may be too many for a bucket: pages."""
    return dict(
        connection.execute(
            "select query_id, count(*) as n from sessions group by query_id having n > $1", [pages]
        ).fetchall()
    )


def _table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    rows: dict[str, int],
    *columns: tuple[str, pa.DataType],
) -> None:
    (key, key_type), (value, value_type) = columns
    data = pa.table(
        {key: pa.array(rows.keys(), key_type), value: pa.array(rows.values(), value_type)}
    )
    connection.register("given_arrow", data)
    connection.execute(f"create temp table {name} as select * from given_arrow")  # noqa: S608  ours
    connection.unregister("given_arrow")
