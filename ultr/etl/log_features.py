"""Features that stand in the log itself: a price, a freshness, a score of the old system."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ultr.commit import Commit
from ultr.errors import DataError
from ultr.etl.feature_checks import marks, refuse_outcomes
from ultr.etl.feature_groups import LOG, Group
from ultr.etl.feature_log import UNTIMED, period_sql
from ultr.etl.feature_rows import Block, write_rows
from ultr.transform import STANDARDISE

_BATCH = 1 << 16


def log_features(
    connection: duckdb.DuckDBPyConnection, change: Commit, *, period: str
) -> tuple[Group, dict[str, Any]]:
    """Make the group `log`: the mean over a pair's impressions of each period.

    The latest state of a pair is its value in the last period in which it was shown. A log without
    time has one value per pair.

    Args:
        connection: has the views `sessions` and `judgments`.
        change: the commit to write to.
        period: day, week, or all without time.

    Returns:
        The group, and `rows`, `differing_pairs` ((query, document, period) with several values
        of a feature) and `differing_share`.

    Raises:
        DataError: the log has no feature columns, or one that is known only after the click.
    """
    entry = change.manifest.meta.get("log_features") or {}
    names = tuple(entry.get("names", ()))
    if not names:
        raise DataError(
            "features of the log are named when it is read",
            got="a log without any",
            hint="name the columns under `features` in the mapping, and ingest again",
        )
    refuse_outcomes(names, where="the log")
    is_timed = period != UNTIMED
    _make_means(connection, period=period, size=len(names))
    rows = write_rows(change, _blocks(connection, size=len(names), is_timed=is_timed), group=LOG)
    ((cells, differing),) = connection.execute(
        "select count(*), count_if(differs) from log_means"
    ).fetchall()
    facts = {
        "rows": rows,
        "differing_pairs": differing,
        "differing_share": differing / max(cells, 1),
    }
    connection.execute("drop table log_means")
    full = tuple(f"{LOG}.{n}" for n in names)
    group = Group(
        LOG,
        full,
        (STANDARDISE,) * len(full),
        is_timed=is_timed,
        facts=facts | {"made_from": marks(change.manifest, LOG)},
    )
    return group, facts


def _make_means(connection: duckdb.DuckDBPyConnection, *, period: str, size: int) -> None:
    """Make `log_means`: query_id, doc_id, period, m1 … mF, differs; by number, never by name."""
    numbers = range(1, size + 1)
    # Means of float32 in doubles: the order of summing does not show after rounding back.
    means = ", ".join(f"avg(v{i}) as m{i}" for i in numbers)
    differs = " or ".join(f"coalesce(min(v{i}) != max(v{i}), false)" for i in numbers)
    # What is not a number is missing, not a mean that is not a number.
    values = ", ".join(f"if(isfinite(v[{i}]), v[{i}]::double, null) as v{i}" for i in numbers)
    connection.execute(
        f"create temp table log_means as select query_id, doc_id, period, {means},"  # noqa: S608  numbers
        f" {differs} as differs from (select query_id, doc_id, period, {values} from ("
        f" select query_id, {period_sql(period)} as period, unnest(doc_id) as doc_id,"
        " unnest(log_features) as v from sessions where log_features is not null))"
        " group by query_id, doc_id, period"
    )


def _blocks(connection: duckdb.DuckDBPyConnection, *, size: int, is_timed: bool) -> Iterator[Block]:
    columns = ", ".join(f"m{i}" for i in range(1, size + 1))
    pair = f"select query_id, doc_id, {columns} from log_means"  # noqa: S608  numbers
    if is_timed:
        found = connection.execute("select distinct period from log_means order by 1").fetchall()
        for (name,) in found:
            rows = connection.sql(f"{pair} where period = $1 order by all", params=[name])
            yield from _of(rows, size=size, period=name)
    # `all` is no time: it counts as the latest only where there is nothing else.
    latest = f"qualify row_number() over (partition by query_id, doc_id order by {_RANK} desc) = 1"
    yield from _of(connection.sql(f"{pair} {latest} order by all"), size=size, period=None)


_RANK = f"if(period = '{UNTIMED}', '', period)"


def _of(rows: duckdb.DuckDBPyRelation, *, size: int, period: str | None) -> Iterator[Block]:
    for batch in rows.to_arrow_reader(_BATCH):
        values = np.empty((batch.num_rows, size), np.float32)
        for i in range(size):
            # A pair whose value never stood in the log has a null: missing.
            values[:, i] = batch.column(2 + i).cast(pa.float32()).to_numpy(zero_copy_only=False)
        yield Block(batch.column(0), batch.column(1), values, period)
