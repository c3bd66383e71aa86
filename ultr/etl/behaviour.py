"""Behaviour of the past as features: what users did with a document before a period began.

A value of period P is made of periods before P alone, so no click can be seen by the feature that
is to predict it. The state after the last period (period null) is for evaluation and scoring.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ultr.commit import Commit
from ultr.etl.feature_checks import marks
from ultr.etl.feature_groups import BEHAVIOUR, Group
from ultr.etl.feature_log import DAYS, UNTIMED, first_day_sql, period_sql, require_time
from ultr.etl.feature_rows import Block, write_rows
from ultr.etl.features_config import BehaviourConfig
from ultr.transform import Kind

_BATCH = 1 << 16

_FEATURES: dict[str, Kind] = {
    "impressions": "log1p+standardise",
    "clicks": "log1p+standardise",
    "ctr": "standardise",
    "dwell_s": "log1p+standardise",
    "days_since_shown": "log1p+standardise",
    "days_since_clicked": "log1p+standardise",
}

SCOPES = {"pair": "query_id, doc_id", "document": "doc_id"}
"""What is counted: the document for this query, and the document for any query."""

NAMES: dict[str, Kind] = {
    f"{BEHAVIOUR}.{scope}.{name}": kind for scope in SCOPES for name, kind in _FEATURES.items()
}


def behaviour(
    connection: duckdb.DuckDBPyConnection, change: Commit, *, period: str, config: BehaviourConfig
) -> tuple[Group, dict[str, Any]]:
    """Make the group `behaviour`, for each period in which a pair was shown and for its end.

    Per (query, document), and per document over all queries, from strictly earlier periods:
    impressions; clicks; `ctr` = (clicks + prior · m) / (impressions + prior), with m the CTR of all
    earlier impressions (missing before there are any); `dwell_s`, the mean time on the document
    of clicks that have one; days from the first day of the period in which it was last shown
    (clicked) to the first day of this one. What never happened is missing, a count of it is 0.

    Args:
        connection: has the views `sessions` and `judgments`, and the table `pairs`.
        change: the commit to write to.
        period: day or week.
        config: the prior.

    Returns:
        The group, and `rows`, `periods` and `untimed_sessions`, which have no past and are none.

    Raises:
        DataError: the log has no time.
    """
    require_time(period)
    _count(connection, period=period)
    for scope, keys in SCOPES.items():
        _accumulate(connection, scope=scope, keys=keys)
    _overall(connection)
    n_rows = write_rows(change, _blocks(connection, period, config), group=BEHAVIOUR)
    ((untimed, periods),) = connection.execute(
        f"select (select count(*) from sessions where {period_sql(period)} = '{UNTIMED}'),"  # noqa: S608
        " (select count(distinct period) from counted)"
    ).fetchall()
    for table in ("counted", *(f"past_{s}" for s in SCOPES), "overall"):
        connection.execute(f"drop table {table}")
    facts = {"rows": n_rows, "periods": periods, "untimed_sessions": untimed}
    more = {"prior": config.prior, "made_from": marks(change.manifest, BEHAVIOUR)}
    group = Group(BEHAVIOUR, tuple(NAMES), tuple(NAMES.values()), is_timed=True, facts=facts | more)
    return group, facts


def _count(connection: duckdb.DuckDBPyConnection, *, period: str) -> None:
    """Make `counted`: sums per (period, pair), with the first day of the period.

    Time is summed in whole milliseconds, so that the sum does not depend on the order of pages.
    """
    connection.execute(
        "create temp table counted as"  # noqa: S608  constants
        f" select query_id, doc_id, period, {first_day_sql(period, 'period')} as day,"
        " sum(n)::bigint as impressions, sum(n * click)::bigint as clicks,"
        " sum(n * round(dwell_s::double * 1000)::bigint) filter (is_dwelt)::bigint as dwell_ms,"
        " coalesce(sum(n) filter (is_dwelt), 0)::bigint as dwelt"
        " from (select *, click = 1 and isfinite(dwell_s) is true as is_dwelt from ("
        " select query_id, period, n, unnest(doc_id) as doc_id, unnest(click) as click,"
        " unnest(dwell_s) as dwell_s"
        f" from (select query_id, {period_sql(period)} as period, doc_id, click, dwell_s,"
        " count(*) as n from sessions group by all)))"
        f" where period != '{UNTIMED}' group by query_id, doc_id, period"
    )


def _accumulate(connection: duckdb.DuckDBPyConnection, *, scope: str, keys: str) -> None:
    """Make `past_<scope>`: per key and period what came before it, and (period null) all of it."""
    before = f"over (partition by {keys} order by day rows between unbounded preceding and "
    names = ("impressions", "clicks", "dwell_ms", "dwelt")
    sums = [f"sum({c})::bigint as {c}" for c in names]
    past = [f"coalesce(sum({c}) {before} 1 preceding), 0)::bigint as {c}" for c in names]
    last = {"shown_on": "max(day)", "clicked_on": "max(if(clicks > 0, day, null))"}
    since = [f"{latest} {before} 1 preceding) as {c}" for c, latest in last.items()]
    ever = [f"{latest} as {c}" for c, latest in last.items()]
    connection.execute(
        f"create temp table past_{scope} as with daily as ("  # noqa: S608  constants
        f" select {keys}, period, day, {', '.join(sums)} from counted group by all),"
        f" earlier as (select {keys}, period, {', '.join([*past, *since])} from daily),"
        f" total as (select {keys}, null::varchar as period, {', '.join([*sums, *ever])}"
        f" from daily group by {keys})"
        " from earlier union all by name from total"
    )


def _overall(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `overall`: per period its first day, and the CTR of everything before it."""
    connection.execute(
        "create temp table overall as with daily as ("
        " select period, day, sum(impressions) as shown, sum(clicks) as clicked"
        " from counted group by all)"
        " select period, day, sum(clicked) over earlier / sum(shown) over earlier as ctr"
        " from daily window earlier as"
        " (order by day rows between unbounded preceding and 1 preceding)"
    )


def _blocks(
    connection: duckdb.DuckDBPyConnection, period: str, config: BehaviourConfig
) -> Iterator[Block]:
    found = connection.execute("select period, day, ctr from overall order by day").fetchall()
    for name, day, ctr in found:
        pairs = connection.sql(
            "select query_id, doc_id from counted where period = $1", params=[name]
        )
        rows = _joined(connection, pairs, name=name, day=day, ctr=ctr, prior=config.prior)
        yield from _read(rows, name)
    sums = "select sum(clicks) / sum(impressions), max(day) + $1::integer from counted"
    ((ctr, day),) = connection.execute(sums, [DAYS[period]]).fetchall()
    pairs = connection.sql("select query_id, doc_id from pairs")
    rows = _joined(connection, pairs, name=None, day=day, ctr=ctr, prior=config.prior)
    yield from _read(rows, None)


def _joined(
    connection: duckdb.DuckDBPyConnection, pairs: duckdb.DuckDBPyRelation, *,
    name: str | None, day: Any, ctr: float | None, prior: float,
) -> duckdb.DuckDBPyRelation:  # fmt: skip
    """The features of pairs at the beginning of a period, by (query, document)."""
    pairs.create_view("wanted", replace=True)
    columns = ", ".join(f"{e} as {s}_{c}" for s in SCOPES for c, e in _expressions(s).items())
    joins = " ".join(
        f"left join (select * from past_{s} where period is not distinct from $name) as {s}"  # noqa: S608  constants
        f" using ({keys})"
        for s, keys in SCOPES.items()
    )
    return connection.sql(
        f"select query_id, doc_id, {columns} from wanted {joins} order by query_id, doc_id",  # noqa: S608
        params={"name": name, "day": day, "ctr": ctr, "prior": prior},
    )


def _expressions(scope: str) -> dict[str, str]:
    shown, clicked = (f"coalesce({scope}.{c}, 0)" for c in ("impressions", "clicks"))
    return {
        "impressions": shown,
        "clicks": clicked,
        "ctr": f"({clicked} + $prior::double * $ctr::double) / ({shown} + $prior::double)",
        "dwell_s": f"{scope}.dwell_ms / 1000 / nullif({scope}.dwelt, 0)",
        "days_since_shown": f"$day::date - {scope}.shown_on",
        "days_since_clicked": f"$day::date - {scope}.clicked_on",
    }


def _read(rows: duckdb.DuckDBPyRelation, period: str | None) -> Iterator[Block]:
    for batch in rows.to_arrow_reader(_BATCH):
        columns = [batch.column(i).cast(pa.float32()) for i in range(2, batch.num_columns)]
        values = np.stack([c.to_numpy(zero_copy_only=False) for c in columns], axis=1)
        yield Block(batch.column(0), batch.column(1), values, period)
