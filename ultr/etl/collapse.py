"""Exact collapse: sessions that agree on query, ranked list, context and clicks become one row."""

from __future__ import annotations

from typing import Literal

import duckdb
import pyarrow as pa

from ultr.errors import UsageError
from ultr.etl.split import source_period, source_seed

Period = Literal["auto", "day", "week", "source", "all"]

_PERIOD_SQL = {
    "day": "period",
    # Through epoch_us: the date must not depend on the machine's time zone.
    "week": "coalesce(strftime(make_timestamp(epoch_us(shown_at)), '%G-W%V'), 'all')",
    "source": "source_period",
    "all": "'all'",
}


def make_pages(
    connection: duckdb.DuckDBPyConnection, *, period: str, context: str | None
) -> dict[str, str]:
    """Make the view `pages`: sessions with period, session split (0, 1, 2) and context.

    Args:
        connection: has the view `sessions`.
        period: day, week, source or all.
        context: expression from `ultr.etl.context.context_sql`, None without context.

    Returns:
        Name of the period -> source, where periods are sources.
    """
    found = connection.execute("select distinct source from sessions order by source").fetchall()
    names = [name for (name,) in found]
    sources = pa.table(
        {
            "source": pa.array(names, pa.string()),
            "source_seed": pa.array(map(source_seed, names), pa.uint64()),
            "source_period": pa.array(map(source_period, names), pa.string()),
        }
    )
    connection.register("sources_arrow", sources)
    connection.execute("create temp table sources as select * from sources_arrow")
    more = f", {context} as context" if context else ""
    connection.execute(
        "create view pages as select query_id, doc_id, position, click, dwell_s, weight,"  # noqa: S608  constants
        f" {_PERIOD_SQL[period]} as period,"
        f" session_split(source_seed, ordinal) as session_split{more}"
        " from sessions join sources using (source)"
    )
    return {source_period(n): n for n in names} if period == "source" else {}


def choose_period(connection: duckdb.DuckDBPyConnection, wanted: Period) -> str:
    """Settle `auto`: day where the log has times, else all.

    Raises:
        UsageError: day or week is asked for and the log has no times.
    """
    if wanted in ("source", "all"):
        return wanted
    row = connection.execute("select count(shown_at) from sessions").fetchone()
    has_time = bool(row and row[0])
    if wanted == "auto":
        return "day" if has_time else "all"
    if not has_time:
        raise UsageError(
            f"--period {wanted} needs the time at which pages were shown",
            got="a log without it",
            hint="use --period source or --period all",
        )
    return wanted


def collapse(connection: duckdb.DuckDBPyConnection, *, has_context: bool) -> None:
    """Make the table `grouped` from the view `pages`: one row per distinct session, by position.

    Its columns: `query_id, period, session_split, doc_id, position, click, [context,]
    n, weight, weight_sq`. The sums do not depend on the order in which pages are read.
    """
    lists = ["doc_id", "position", "click", *(["context"] if has_context else [])]
    keys = ", ".join(["query_id", "period", "session_split", *lists])
    # A sum of integers is exact in any order; of other weights only in a fixed order.
    row = connection.execute("select count(*) from sessions where weight != floor(weight)")
    order = " order by {}" if (row.fetchone() or (0,))[0] else ""
    sums = ", ".join(
        f"sum({x}{order.format(x)}) as {name}"
        for name, x in (("weight", "weight"), ("weight_sq", "weight * weight"))
    )
    connection.execute(
        f"create temp table grouped as select {keys}, count(*) as n, {sums} from pages group by all"  # noqa: S608
    )
    # Readers may give documents in any order. Sorting what is collapsed already costs less.
    row = connection.execute("select count(*) from grouped where position != list_sort(position)")
    if (row.fetchone() or (0,))[0]:
        _sort_by_position(connection, lists, order=order)


def _sort_by_position(
    connection: duckdb.DuckDBPyConnection, lists: list[str], *, order: str
) -> None:
    ordered = ", ".join(f"list_select({c}, rank) as {c}" for c in lists)
    sums = ", ".join(f"sum({c}{order.format(c)}) as {c}" for c in ("weight", "weight_sq"))
    connection.execute(
        "create temp table regrouped as"  # noqa: S608  constants
        " with ranked as (select *, list_grade_up(position) as rank from grouped)"
        f" select query_id, period, session_split, {', '.join(lists)}, sum(n)::bigint as n, {sums}"
        f" from (select query_id, period, session_split, {ordered}, n, weight, weight_sq"
        " from ranked) group by all"
    )
    connection.execute("drop table grouped")
    connection.execute("alter table regrouped rename to grouped")


def assign_buckets(
    connection: duckdb.DuckDBPyConnection, *, buckets: int, has_context: bool
) -> None:
    """Make `collapsed` from `grouped`: with bucket and query split, in storage order."""
    more = ", context" if has_context else ""
    connection.execute(
        "create temp table collapsed as"  # noqa: S608  constants and a number
        f" select bucket_of(query_id, {buckets:d}) as bucket, query_split(query_id) as query_split,"
        " * from grouped order by bucket, period, query_id, session_split, position, doc_id, click"
        f"{more}"
    )
    connection.execute("drop table grouped")
