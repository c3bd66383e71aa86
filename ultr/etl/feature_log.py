"""What features are computed from: the log's pages by period, and its (query, document) pairs."""

from __future__ import annotations

import duckdb

from ultr.errors import DataError
from ultr.etl.features_config import TimePeriod

UNTIMED = "all"
"""Period of pages without a time; they are nobody's past."""

_PERIOD_SQL = {
    "day": "period",
    # Through epoch_us: the date must not depend on the machine's time zone.
    "week": f"coalesce(strftime(make_timestamp(epoch_us(shown_at)), '%G-W%V'), '{UNTIMED}')",
    UNTIMED: f"'{UNTIMED}'",
}

DAYS = {"day": 1, "week": 7}
"""Length of a period."""


def has_time(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether any page has a time."""
    ((times,),) = connection.execute("select count(shown_at) from sessions").fetchall()
    return bool(times)


def require_time(period: str) -> None:
    """Check that there is an earlier and a later.

    Raises:
        DataError: the log has no times.
    """
    if period == UNTIMED:
        raise DataError(
            "behaviour of the past needs the time at which pages were shown: without it a feature "
            "would see the click it is to predict",
            got="a log without time",
            hint="map a column to shown_at (ultr ingest), or leave --behaviour out",
        )


def period_sql(period: str) -> str:
    """Expression over `sessions` for the period of a page."""
    return _PERIOD_SQL[period]


def first_day_sql(period: TimePeriod | str, column: str) -> str:
    """Expression for the first day of a period that `period_sql` named, null for `all`."""
    # `%G-W%V` alone is no date: its Monday is.
    form, suffix = ("%Y-%m-%d", "") if period == "day" else ("%G-W%V-%u", " || '-1'")
    return f"try_strptime({column}{suffix}, '{form}')::date"


def make_pairs(connection: duckdb.DuckDBPyConnection) -> int:
    """Make the table `pairs` (query_id, doc_id, is_shown): shown or judged; count the shown."""
    # Distinct pages first: unrolling them all would cost what the log costs.
    connection.execute(
        "create temp table pairs as"
        " with pages as (select distinct query_id, doc_id from sessions),"
        " shown as (select query_id, unnest(doc_id) as doc_id, true as is_shown from pages),"
        " judged as (select query_id, doc_id, false as is_shown from judgments)"
        " select query_id, doc_id, bool_or(is_shown) as is_shown"
        " from (from shown union all from judged) group by query_id, doc_id"
    )
    return _count(connection, "pairs")


def matched(connection: duckdb.DuckDBPyConnection, view: str) -> int:
    """How many of the shown pairs are among the distinct `query_id, doc_id` of a view."""
    return _count(connection, f"pairs semi join {view} using (query_id, doc_id)")


def _count(connection: duckdb.DuckDBPyConnection, pairs: str) -> int:
    sql = f"select count(*) from {pairs} where is_shown"  # noqa: S608  constants
    ((count,),) = connection.execute(sql).fetchall()
    return int(count)


def check_match(count: int, total: int, *, what: str, min_match: float, hint: str) -> None:
    """Check the share of the log's pairs that have features.

    Raises:
        DataError: it is below `min_match`.
    """
    if count < min_match * total:
        raise DataError(
            f"at least {min_match:.0%} of the log's (query, document) pairs need features",
            got=f"{what} {count:,} of {total:,} ({count / total:.1%})",
            hint=hint,
        )
