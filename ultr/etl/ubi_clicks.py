"""Which shown document a click, or another action, belongs to."""

from __future__ import annotations

import polars as pl

NOT_SHOWN = "event on a document that its page does not show"
NO_QUERY = "event whose query is not in the lake"
NO_CLIENT = "event on a document that no page of its client shows at or before it"


def attach(events: pl.DataFrame, *, pages: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    """Give each event its place.

    With a `query_id` it goes to that page; without one, to the last page of its client at or before
    it that shows the document, and to the higher position where that is shown twice.

    Args:
        events: clicks and other actions, with `page` where their page is known.
        pages: `page, client_id, at, query_id, page_id` and `spoilt`, why a page is no page.
        places: `place, page, doc_id, position` of what good pages show, by page and position.

    Returns:
        `source, line, kind, action, place, is_repeat` (a further click on its place), and `reason,
        waits_from` of those that no page takes.
    """
    spoilt = pages.filter(pl.col("spoilt").is_not_null()).select("page", "spoilt")
    named, unnamed = (
        events.filter(pl.col("page_id").is_not_null()),
        events.filter(pl.col("page_id").is_null()),
    )
    # The few places that events are about, of ten times as many that were shown.
    about = places.join(named, on=["page", "doc_id"], how="semi", maintain_order="left")
    named = named.join(
        _highest(about).select("page", "doc_id", "place"), on=["page", "doc_id"], how="left"
    ).join(spoilt, on="page", how="left")
    why = (
        pl.when(pl.col("page").is_null())
        .then(pl.lit(NO_QUERY))
        .when(pl.col("place").is_null())
        .then(pl.coalesce("spoilt", pl.lit(NOT_SHOWN)))
    )
    waits = pl.when(pl.col("spoilt").is_null()).then("at")
    parts = [named.with_columns(reason=why, waits_from=waits)]
    if unnamed.height:
        parts.append(_by_client(unnamed, pages, places))
    columns = ("source", "line", "kind", "action", "place", "reason", "waits_from")
    found = pl.concat([p.select(columns) for p in parts])
    is_click = (pl.col("kind") == "click") & pl.col("place").is_not_null()
    clicked = pl.when(is_click).then(pl.col("place").cast(pl.Int64))
    return found.with_columns(is_repeat=is_click & ~clicked.is_first_distinct())


def _highest(places: pl.DataFrame) -> pl.DataFrame:
    return places.unique(["page", "doc_id"], keep="first", maintain_order=True)


def _by_client(events: pl.DataFrame, pages: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
    known = pages.filter(pl.col("client_id").is_not_null())
    about = places.join(events, on="doc_id", how="semi", maintain_order="left")
    shown = (
        _highest(about)
        .join(known.select("page", "client_id", "at", "query_id", "page_id"), on="page")
        .sort("at", "query_id", "page_id", "page")
        .select("client_id", "doc_id", "at", "place")
    )
    found = events.sort("at").join_asof(
        shown, on="at", by=["client_id", "doc_id"], strategy="backward", check_sortedness=False
    )
    why = pl.when(pl.col("place").is_null()).then(pl.lit(NO_CLIENT))
    return found.with_columns(reason=why, waits_from="at")
