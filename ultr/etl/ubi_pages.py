"""Result pages of UBI from all that is known of them: a pure function of the events.

What a page shows, who clicked what and what is left over depends on what the events say, and not
on the files or the order they came in.
"""

from __future__ import annotations

from typing import NamedTuple

import polars as pl

from ultr.etl.ubi_clicks import NO_QUERY, attach
from ultr.etl.ubi_lists import as_sessions

_NEEDED = ("source", "line", "kind", "action", "page_id", "session_id", "client_id", "user_id",
           "doc_id", "log_position", "at", "reason", "base")  # fmt: skip


class Assembled(NamedTuple):
    """Pages, and what became of every event.

    Attributes:
        sessions: rows of the table, sorted by source and ordinal.
        unattached: `source, line, reason, waits_from`: events that no page takes.
        repeated: `source, line` of events that say again what another said.
        empty: `source, line` of queries of which nothing is known to have been shown.
        explicit: pages that impressions tell.
        implied: pages that the hit list tells.
    """

    sessions: pl.DataFrame
    unattached: pl.DataFrame
    repeated: pl.DataFrame
    empty: pl.DataFrame
    explicit: int
    implied: int


def assemble(events: pl.DataFrame) -> Assembled:
    """Make pages of events.

    A page is a query; the same query logged twice is a repeat. Where there are impressions they
    tell what was shown, and the hit list does where there are none. An impression without a
    `query_id` belongs to the last query without one of its client at or before it.

    Args:
        events: rows of the table `events` and `base`, the number of the first position; all rows
            of every page that is among them, and of every client that has some without a page.
    """
    is_query = pl.col("kind") == "query"
    pages, again = _pages(events.filter(is_query))
    rest = _with_page(events.select(_NEEDED).filter(~is_query), pages)
    is_shown = pl.col("kind") == "impression"
    impressions = rest.filter(is_shown)
    shown, twice, spoilt = _shown(impressions.filter(pl.col("page").is_not_null()), pages)
    pages = pages.join(spoilt, on="page", how="left", maintain_order="left")
    good = pages.filter(pl.col("spoilt").is_null()).select("page")
    twice = twice.join(good, on="page", how="semi")
    places = shown.join(good, on="page", how="semi", maintain_order="left").with_row_index("place")
    clicks = attach(rest.filter(~is_shown), pages=pages, places=places)
    full = good.join(shown, on="page", how="semi")
    sessions = pages.join(full, on="page", how="semi", maintain_order="left")
    explicit = full.join(impressions, on="page", how="semi").height
    return Assembled(
        sessions=as_sessions(sessions, places, clicks, rest),
        unattached=_unattached(impressions, pages, clicks),
        repeated=pl.concat(
            [f.select("source", "line") for f in (again, twice, clicks.filter("is_repeat"))]
        ),
        empty=pages.join(good.join(full, on="page", how="anti"), on="page", how="semi").select(
            "source", "line"
        ),
        explicit=explicit,
        implied=full.height - explicit,
    )


def _pages(queries: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Number the pages in the order of source and line; and the queries that repeat one."""
    hits, unnamed = pl.col("hit_doc_id").list, pl.col("page_id").is_null()
    key = ["page_id", *(f"key_{n}" for n in ("client_id", "at", "query_id"))]
    queries = queries.with_columns(
        pl.when(unnamed).then(pl.col(n)).alias(f"key_{n}") for n in ("client_id", "at", "query_id")
    )
    if queries.select(pl.struct(key).is_unique().all()).item():
        first, again = queries, queries.clear()
    else:
        told = queries.sort(
            "at", "query_id", hits.len(), hits.first(), "client_id", "source", "line",
            descending=[False, False, True, False, False, False, False],
        )  # fmt: skip
        is_first = pl.struct(key).is_first_distinct()
        first, again = told.filter(is_first), told.filter(~is_first)
    pages = first.drop(key[1:]).sort("source", "line").with_row_index("page")
    return pages.rename({"reason": "hits_reason"}), again


def _with_page(rest: pl.DataFrame, pages: pl.DataFrame) -> pl.DataFrame:
    """Give events their `page`: by its id, or an impression without one by its client and time."""
    named = pages.filter(pl.col("page_id").is_not_null()).select("page_id", "page")
    rest = rest.join(named, on="page_id", how="left", maintain_order="left")
    lost = pl.col("page_id").is_null() & (pl.col("kind") == "impression")
    unnamed = pages.filter(pl.col("page_id").is_null(), pl.col("client_id").is_not_null())
    if not unnamed.height or not rest.select(lost.any()).item():
        return rest
    by_client = unnamed.sort("at", "query_id").select("client_id", "at", last="page")
    found = (
        rest.filter(lost)
        .sort("at")
        .join_asof(by_client, on="at", by="client_id", strategy="backward", check_sortedness=False)
        .with_columns(page="last")
        .drop("last")
    )
    return pl.concat([rest.filter(~lost), found])


def _shown(
    impressions: pl.DataFrame, pages: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """What pages show: `page, doc_id, position`; impressions that repeat one; pages with a hole."""
    hits = _hits(pages)
    if impressions["log_position"].null_count():
        ranks = hits.unique(["page", "doc_id"], keep="first", maintain_order=True)
        impressions = impressions.join(ranks, on=["page", "doc_id"], how="left")
    else:
        impressions = impressions.with_columns(position=pl.lit(None, pl.Int32))
    counted = pl.col("log_position") + 1 - pl.col("base").cast(pl.Int32)
    impressions = impressions.with_columns(position=pl.coalesce(counted, "position"))
    why = pl.coalesce(
        "reason",
        pl.when(pl.col("position").is_null()).then(pl.lit("impression without a position")),
        pl.when(~pl.col("position").is_between(1, 32767)).then(
            pl.lit("position before the first or after 32,767")
        ),
    )
    impressions = impressions.with_columns(why=why)
    # Sorted by page and position, the lists need no other sort.
    rank = pl.col("page").cast(pl.Int64) * 65536 + pl.col("position").clip(0, 65535).fill_null(0)
    ordered = impressions.select("source", "line", "page", "doc_id", "position", "why", rank=rank)
    if not ordered["rank"].is_sorted():
        ordered = ordered.sort("rank", maintain_order=True)
    again = (pl.col("rank") == pl.col("rank").shift()).fill_null(value=False)
    if ordered.select(again.any()).item():
        again = ~pl.struct("rank", "doc_id").is_first_distinct()
    ordered = ordered.with_columns(is_first=~again)
    explicit = ordered.filter("is_first").select("page", "doc_id", "position", "why")
    told = pages.select("page").join(explicit, on="page", how="anti", maintain_order="left")
    implied = hits.join(told, on="page", how="semi", maintain_order="left")
    holes = pages.filter(pl.col("hits_reason").is_not_null()).join(told, on="page", how="semi")
    bad = pl.concat(
        [
            explicit.filter(pl.col("why").is_not_null()).select("page", spoilt="why"),
            _doubled(explicit),
            holes.select("page", spoilt="hits_reason"),
        ]
    )
    shown = pl.concat([explicit.drop("why"), implied])
    if implied.height and explicit.height:
        shown = shown.sort("page", maintain_order=True)
    return (
        shown,
        ordered.filter(~pl.col("is_first")),
        bad.group_by("page").agg(pl.col("spoilt").min()),
    )


def _hits(pages: pl.DataFrame) -> pl.DataFrame:
    listed = pages.filter(pl.col("hit_doc_id").list.len() > 0).select(
        "page",
        doc_id="hit_doc_id",
        position=pl.int_ranges(1, pl.col("hit_doc_id").list.len().cast(pl.Int32) + 1,
                               dtype=pl.Int32),
    )  # fmt: skip
    return listed.explode("doc_id", "position", empty_as_null=False, keep_nulls=False)


def _doubled(explicit: pl.DataFrame) -> pl.DataFrame:
    """Pages with two documents at one position; rows are sorted by page and position."""
    same = (pl.col("page") == pl.col("page").shift()) & (
        pl.col("position") == pl.col("position").shift()
    )
    return explicit.filter(same).select(
        "page", spoilt=pl.lit("position used twice on its page", pl.String)
    )


def _unattached(
    impressions: pl.DataFrame, pages: pl.DataFrame, clicks: pl.DataFrame
) -> pl.DataFrame:
    """Events that wait for a page, and all lines of the pages that are spoilt."""
    spoilt = pages.filter(pl.col("spoilt").is_not_null())
    lost = impressions.filter(pl.col("page").is_null()).select(
        "source", "line", reason=pl.lit(NO_QUERY), waits_from="at"
    )
    parts = [lost, clicks.filter(pl.col("reason").is_not_null())]
    if spoilt.height:
        never = pl.lit(None, pl.Datetime("us", "UTC")).alias("waits_from")
        shown = impressions.join(spoilt.select("page", "spoilt"), on="page")
        parts += [r.select("source", "line", never, reason="spoilt") for r in (spoilt, shown)]
    return pl.concat([p.select("source", "line", "reason", "waits_from") for p in parts])
