"""Exposures: how often each document was shown and clicked at each position, per period."""

from __future__ import annotations

import duckdb

from ultr.lake import Commit

_KEYS = "period, query_id, doc_id, position, context"


def write_exposures(
    connection: duckdb.DuckDBPyConnection, change: Commit, *, has_context: bool
) -> None:
    """Count from `collapsed`, add time on the document from `pages`, write one file per period.

    Time is summed in whole milliseconds, so that the sum does not depend on the order of pages.
    """
    context = "unnest(context)" if has_context else "''"
    unrolled = (
        f"select period, query_id, unnest(doc_id) as doc_id, unnest(position) as position,"
        f" {context} as context"
    )
    connection.execute(
        f"create temp table dwelt as select {_KEYS},"  # noqa: S608  constants
        " sum(round(dwell_s::double * 1000)::bigint)::double / 1000 as dwell_sum_s"
        f" from ({unrolled}, unnest(dwell_s) as dwell_s from pages where dwell_s is not null)"
        " where isfinite(dwell_s) group by all"
    )
    connection.execute(
        f"create temp table exposed as select {_KEYS}, impressions, clicks, dwell_sum_s from ("  # noqa: S608
        f" select {_KEYS}, sum(n)::bigint as impressions, sum(n * click)::bigint as clicks"
        f" from ({unrolled}, unnest(click) as click, n from collapsed) group by all)"
        f" left join dwelt using ({_KEYS}) order by {_KEYS}"
    )
    periods = connection.execute("select distinct period from exposed order by period").fetchall()
    for (period,) in periods:
        rows = connection.sql("select * from exposed where period = $1", params=[period])
        change.write("exposures", rows.to_arrow_table(), period=period)
    connection.execute("drop table dwelt")
    connection.execute("drop table exposed")
