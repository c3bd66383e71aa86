"""Optional filters: users above a number of pages, click-all, repeats of a page.

All look at one UTC day at a time (the whole log where it has no times), so that a new night decides
nothing about the nights before it. They apply in this order, and a page is counted under the first
that takes it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import duckdb

from ultr.errors import UsageError
from ultr.etl.click_when import parse_click_when

ClickAll = Literal["none", "sessions", "users"]

REASONS = ("busy_users", "click_all", "repeats")
"""Names of the filters; `dropped` in `make_filtered` is the place here, from 1."""


MEASURES = ("sessions", "impressions", "clicks")
"""What is counted of the log, and of what each filter takes."""


@dataclass(frozen=True)
class Filters:
    """Which pages are left out of lists and exposures; `sessions` keeps them all.

    Args:
        max_pages_per_user: users with more pages in a day are left out for that day.
        drop_click_all: `sessions` leaves out pages of at least two documents with every document
            clicked; `users` leaves out users who clicked every document of a day, two at least.
        drop_repeats: consecutive pages of one visit and day with the same query, documents and
            positions (reload, back, paging) become one page: the first, with the clicks and the
            dwell times of all.
        click_when: what counts as a click: `click`, `dwell_s>=SECONDS`, `feedback:ACTION`.
    """

    max_pages_per_user: int | None = None
    drop_click_all: ClickAll = "none"
    drop_repeats: bool = False
    click_when: str = "click"

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: fewer than one page, an unknown choice or click definition.
        """
        if self.max_pages_per_user is not None and self.max_pages_per_user < 1:
            raise UsageError(
                "max_pages_per_user is at least 1",
                got=str(self.max_pages_per_user),
                hint="leave it out to keep all users",
            )
        if self.drop_click_all not in ("none", "sessions", "users"):
            raise UsageError(
                "drop_click_all is none, sessions or users",
                got=repr(self.drop_click_all),
                hint="choose one",
            )
        parse_click_when(self.click_when)

    @property
    def drops(self) -> bool:
        """Whether pages may be left out."""
        return self.drop_repeats or self.looks_at_users or self.drop_click_all != "none"

    @property
    def changes(self) -> bool:
        """Whether lists may differ from what the log says."""
        return self.drops or self.click_when != "click"

    def takes(self, name: str) -> bool:
        """Whether there is something to report: of a filter, or of the log as it was (`logged`)."""
        if name == "logged":
            return self.changes
        is_set = (self.max_pages_per_user, self.drop_click_all != "none", self.drop_repeats)
        return bool(is_set[REASONS.index(name)])

    @property
    def looks_at_users(self) -> bool:
        """Whether a page's fate depends on other pages of its user."""
        return self.max_pages_per_user is not None or self.drop_click_all == "users"


def make_filtered(connection: duckdb.DuckDBPyConnection, filters: Filters, *, clicks: str) -> None:
    """Make the view `filtered`: `sessions` with `dropped` (0 where kept) and `logged_clicks`.

    Its `click` and `dwell_s` are those to be counted: by the click definition, and of a page with
    repeats those of all of them.

    Args:
        connection: has the view `sessions`.
        filters: what to leave out.
        clicks: expression from `click_sql`.
    """
    _make_users(connection, filters)
    busy = "u.pages > getvariable('max_pages_per_user')"
    if filters.drop_click_all == "users":
        click_all = "u.clicks = u.documents and u.documents > 1"
    elif filters.drop_click_all == "sessions":
        click_all = "len(s.click) > 1 and list_sum(s.click) = len(s.click)"
    else:
        click_all = "false"
    dropped = f"case when {busy} then 1 when {click_all} then 2 else 0 end::tinyint"
    if not filters.looks_at_users:
        dropped = f"case when {click_all} then 2 else 0 end::tinyint"
    join = "left join users as u using (period, user_id)" if filters.looks_at_users else ""
    connection.execute(
        "create view judged as select s.* exclude (click), "  # noqa: S608  constants
        f"s.click as logged_click, {clicks} as click, {dropped} as dropped"
        f" from sessions as s {join}"
    )
    if filters.drop_repeats:
        _make_repeats(connection)
        _join_repeats(connection)
    else:
        connection.execute("create view kept as select * from judged")
    connection.execute(
        "create view filtered as select * exclude (logged_click),"
        " list_sum(logged_click)::bigint as logged_clicks from kept"
    )


def _make_users(connection: duckdb.DuckDBPyConnection, filters: Filters) -> None:
    if not filters.looks_at_users:
        return
    most = filters.max_pages_per_user
    connection.execute("set variable max_pages_per_user = $1::bigint", [most])
    connection.execute(
        "create temp table users as select period, user_id, count(*) as pages,"
        " sum(len(click)) as documents, sum(list_sum(click)) as clicks"
        " from sessions where user_id is not null group by all"
        " having pages > getvariable('max_pages_per_user') or clicks = documents"
    )


def _make_repeats(connection: duckdb.DuckDBPyConnection) -> None:
    """Make `repeats`: the pages of runs of two or more, with the page that stands for the run."""
    connection.execute(
        "create temp table compared as select period, session_id, user_id, source, ordinal,"
        " row_number() over visit as place,"
        " coalesce(lag(query_id) over visit = query_id and lag(doc_id) over visit = doc_id"
        " and lag(position) over visit = position, false) as is_repeat from judged"
        " where dropped = 0 and (session_id is not null or user_id is not null)"
        " window visit as (partition by period, session_id, user_id"
        " order by shown_at, elapsed_ms, source, ordinal)"
    )
    connection.execute(
        "create temp table repeats as with numbered as (select *, sum((not is_repeat)::integer)"
        " over (partition by period, session_id, user_id order by place) as run from compared),"
        " runs as (select *, count(*) over run_of as pages,"
        " first_value(struct_pack(source, ordinal)) over (run_of order by place) as page"
        " from numbered window run_of as (partition by period, session_id, user_id, run))"
        " select source, ordinal, is_repeat, page from runs where pages > 1"
    )
    connection.execute("drop table compared")


def _join_repeats(connection: duckdb.DuckDBPyConnection) -> None:
    """Make the view `kept`: repeats are dropped; their clicks and times go to the first page."""
    connection.execute(
        "create temp table merged as with documents as ("
        " select r.page, generate_subscripts(click, 1) as place, unnest(click) as click,"
        " unnest(dwell_s) as dwell_s from judged join repeats as r using (source, ordinal)),"
        " summed as (select page, place, max(click) as click, sum(dwell_s)::float as dwell_s"
        " from documents group by all)"
        " select page.source as source, page.ordinal as ordinal,"
        " list(click order by place) as click, list(dwell_s order by place) as dwell_s,"
        " count(dwell_s) as times from summed group by page"
    )
    connection.execute(
        "create view kept as select j.* exclude (click, dwell_s, dropped),"
        " coalesce(m.click, j.click) as click,"
        " case when m.times > 0 then m.dwell_s else j.dwell_s end as dwell_s,"
        " case when r.is_repeat then 3 else j.dropped end::tinyint as dropped"
        " from judged as j left join repeats as r using (source, ordinal)"
        " left join merged as m using (source, ordinal)"
    )
