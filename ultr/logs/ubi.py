"""User Behavior Insights 1.3: queries, and the events that tell what was shown and clicked.

Queries and events may be mixed or stand in separate files, in any order. This reader only reads;
`ultr.etl.ubi_pages` makes pages of what all files hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ultr.ahead import ahead
from ultr.logs.chunk import PAGE_SCHEMA, Chunk, as_events, as_pages, as_rejects
from ultr.logs.moments import moments
from ultr.logs.ubi_actions import Actions
from ultr.logs.ubi_files import read_records
from ultr.logs.ubi_rows import Records

_NO_PAGES = as_pages(PAGE_SCHEMA.to_frame())


def read(path: Path, *, actions: Actions | None = None) -> Iterator[Chunk]:
    """Read a UBI export (JSON lines, JSON array, OpenSearch bulk, Parquet) as events.

    An impression that cannot be used spoils its page, since a page with a hole would show a false
    non-click: it is kept with its reason. Action lines of a bulk file, and events that are not
    about a document, are ignored.

    Raises:
        DataError: a missing, empty or damaged file.
    """
    for block in ahead(read_records(path)):
        yield _chunk(block, actions or Actions())


def _chunk(block: Records, actions: Actions) -> Chunk:
    frame = block.frame.with_columns(
        moments(block.frame["timestamp"]).alias("at"), kind=_kind(block.frame, actions)
    ).with_columns(reason=_reason())
    is_event, is_spoiling = pl.col("reason").is_null(), _is_spoiling()
    ignored = pl.col("kind") == "ignored"
    if frame["reason"].null_count() == frame.height:
        rejects, good = [block.rejects], frame
    else:
        lost = frame.filter(~is_event & ~is_spoiling & ~ignored)
        told = lost.select("line", "reason").join(block.texts(), on="line", how="left")
        rejects = [block.rejects, told]
        good = frame.filter(is_event | is_spoiling)
    events = as_events(_events(good.filter(~ignored)))
    refused = as_rejects(rejects)
    return Chunk(
        pages=_NO_PAGES,
        rejects=refused,
        lines=block.lines,
        used=events.height,
        ignored=block.lines - events.height - refused.height,
        size=block.size,
        events=events,
    )


def _kind(frame: pl.DataFrame, actions: Actions) -> pl.Expr:
    """query, impression, click, action, or ignored; few names are told apart, not many rows."""
    names = frame["action_name"].unique().drop_nulls()
    kinds = {"impression": actions.impression, "click": actions.click}
    known = {
        name: kind
        for name in names
        for kind, own in kinds.items()
        if name.lower() in {n.lower() for n in own}
    }
    named = pl.col("action_name").replace_strict(known, default=None, return_dtype=pl.String)
    is_event, has_object = _told("action_name"), _told("object_id")
    no_event = pl.when(pl.col("is_bulk") & pl.col("user_query").is_null())
    other = pl.when(has_object).then(pl.lit("action")).otherwise(pl.lit("ignored"))
    return (
        pl.when(is_event)
        .then(pl.coalesce(named, other))
        .otherwise(no_event.then(pl.lit("ignored")).otherwise(pl.lit("query")))
    )


def _reason() -> pl.Expr:
    """Why a record cannot be used; null where it can, or is ignored."""
    kind = pl.col("kind")
    is_query, is_shown = kind == "query", kind == "impression"
    rank = pl.col("ordinal").cast(pl.Int32, strict=False)
    return (
        pl.when(kind == "ignored")
        .then(pl.lit(None, pl.String))
        .when(is_query & pl.col("user_query").is_null())
        .then(pl.lit("neither a query nor an event"))
        .when(is_query & ~_told("user_query"))
        .then(pl.lit("no query"))
        .when(is_query & ~pl.col("is_hit_list"))
        .then(pl.lit("hits that are no list"))
        .when(~_told("query_id") & ~_told("client_id"))
        .then(pl.lit("no query_id and no client_id"))
        .when(pl.col("at").is_null())
        .then(pl.lit("timestamp is neither ISO text nor epoch milliseconds"))
        .when(~is_query & ~_told("object_id"))
        .then(kind + pl.lit(" without a document"))
        .when(is_shown & _told("ordinal") & rank.is_null())
        .then(pl.lit("position is not a whole number"))
    )


def _is_spoiling() -> pl.Expr:
    return (pl.col("kind") == "impression") & _told("query_id")


def _told(name: str) -> pl.Expr:
    return pl.col(name).is_not_null() & (pl.col(name) != "")


def _events(good: pl.DataFrame) -> pl.DataFrame:
    named = {n: pl.when(_told(n)).then(pl.col(n)) for n in
             ("session_id", "client_id", "user_id", "application")}  # fmt: skip
    is_query = pl.col("kind") == "query"
    holed = pl.col("hits").list.eval(pl.element().is_null() | (pl.element() == "")).list.any()
    return good.select(
        "line",
        "kind",
        "at",
        action=pl.when(is_query).then(pl.lit("query")).otherwise("action_name"),
        page_id=pl.when(_told("query_id")).then("query_id"),
        query_key=pl.when(is_query).then("user_query"),
        doc_key=pl.when(~is_query & _told("object_id")).then("object_id"),
        log_position=pl.when(~is_query).then(pl.col("ordinal").cast(pl.Int32, strict=False)),
        hit_doc_key=pl.when(is_query & ~holed.fill_null(value=False)).then("hits"),
        reason=pl.when(is_query & holed)
        .then(pl.lit("hit list with a document that has no id"))
        .otherwise("reason"),
        **named,
    )
