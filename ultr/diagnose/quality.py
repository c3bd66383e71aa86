"""What the pages of a log look like: counts over `sessions`, in DuckDB, out of core."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import duckdb

from ultr.errors import DataError
from ultr.lake import Lake
from ultr.logs.quiet import without_bar
from ultr.schema import SESSIONS
from ultr.sql.tables import table_select

LEAST_IMPRESSIONS = 20
"""A user who saw fewer has shown no habit."""

_PAGES = """
select
    count(*)::bigint as pages,
    coalesce(sum(len(click)), 0)::bigint as impressions,
    coalesce(sum(list_sum(click)), 0)::bigint as clicks,
    count(*) filter (where coalesce(list_sum(click), 0) > 0)::bigint as clicked_pages,
    count(*) filter (where list_max("position") <> len("position"))::bigint as with_gaps,
    count(session_id)::bigint as with_session,
    count(user_id)::bigint as with_user
from sessions
"""

_REPEATED = """
select count(*) - count(distinct hash(session_id, query_id, doc_id)) as repeated
from sessions
where session_id is not null
"""

_EAGER = """
with by_user as (
    select
        count(*) as pages,
        sum(len(click)) as impressions,
        sum(list_sum(click)) as clicks
    from sessions
    where {who} is not null
    group by hash({who})
)

select
    count(*) filter (where impressions >= $least)::bigint as users,
    count(*) filter (where impressions >= $least and clicks >= .9 * impressions)::bigint as eager,
    coalesce(sum(clicks) filter (
        where impressions >= $least and clicks >= .9 * impressions
    ), 0)::bigint as eager_clicks,
    max(clicks)::bigint as most_clicks
from by_user
"""


class Pages(NamedTuple):
    """Counts over the pages of a log.

    Attributes:
        pages: result pages.
        impressions: documents on them.
        clicks: documents clicked.
        clicked_pages: pages with a click.
        with_gaps: pages whose ranks are not 1, 2, 3 … without a gap.
        with_session: pages that tell the visit they belong to.
        with_user: pages that tell their user.
        repeated: pages equal in visit, query and documents to another one, the first aside.
        users: users (visits, where there are none) of at least `LEAST_IMPRESSIONS`.
        eager: those that clicked at least 90% of what they saw.
        eager_clicks: their clicks.
        most_clicks: of one user, or visit.
    """

    pages: int
    impressions: int
    clicks: int
    clicked_pages: int
    with_gaps: int
    with_session: int
    with_user: int
    repeated: int
    users: int
    eager: int
    eager_clicks: int
    most_clicks: int


def count_pages(lake: Lake, *, memory_gib: float) -> Pages:
    """Count.

    Raises:
        DataError: a file of the lake is gone or damaged, or memory and disk do not suffice.
    """
    with tempfile.TemporaryDirectory(prefix="ultr-diagnose-") as folder:
        settings = {
            "memory_limit": f"{memory_gib * 1024:.0f}MiB",
            "temp_directory": str(Path(folder) / "duckdb"),
            "autoinstall_known_extensions": "false",
            "preserve_insertion_order": "false",
        }
        connection = duckdb.connect(":memory:", config=settings)
        try:
            without_bar(connection)
            return _count(connection, lake)
        except duckdb.OutOfMemoryException as error:
            raise DataError(
                f"the work must fit into {memory_gib:g} GiB of memory and the temporary folder",
                got=str(error).splitlines()[0],
                hint="give more memory with --memory-gib, or set TMPDIR to a larger disk",
            ) from error
        except (duckdb.IOException, duckdb.InvalidInputException) as error:
            raise DataError(
                "every file that the lake's manifest names must be readable Parquet",
                got=str(error).splitlines()[0],
                hint="restore the file from a backup, or ingest into a new lake",
            ) from error
        finally:
            connection.close()


def _count(connection: duckdb.DuckDBPyConnection, lake: Lake) -> Pages:
    select = table_select(SESSIONS, [p.resolve() for p in lake.paths("sessions")])
    connection.execute(f"create view sessions as {select}")
    first = connection.execute(_PAGES).fetchall()[0]
    with_session, with_user = first[-2:]
    repeated = connection.execute(_REPEATED).fetchall()[0][0] if with_session else 0
    users: tuple[int, ...] = (0, 0, 0, 0)
    if with_user or with_session:
        who = "user_id" if with_user else "session_id"
        sql = _EAGER.format(who=who)
        users = connection.execute(sql, {"least": LEAST_IMPRESSIONS}).fetchall()[0]
    return Pages._make([*first, repeated, *(n or 0 for n in users)])
