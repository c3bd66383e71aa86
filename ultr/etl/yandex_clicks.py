"""Clicks to the pages of their session, where its rows stand in several files or blocks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa

from ultr.logs.yandex import NO_PAGE


class Attached(NamedTuple):
    """Pages with their clicks, and what is left over.

    Attributes:
        sessions: the pages, with `click` made again.
        unattached: `source, line, reason, waits_from` of clicks that no page takes.
        repeated: `source, line` of clicks on what was clicked before.
    """

    sessions: pl.DataFrame
    unattached: pl.DataFrame
    repeated: pl.DataFrame


def attach(pages: pl.DataFrame, clicks: pl.DataFrame) -> Attached:
    """Give clicks to the last page of their session, at or before them, that shows the url.

    Where pages of several files are the last at one time, it is the one of the click's own file,
    in which the order of lines is known.

    Args:
        pages: rows of `sessions`, all of their sessions.
        clicks: `source, line, session_id, elapsed_ms, doc_id`, all of those sessions.
    """
    pages = pages.with_row_index("page")
    size = pl.col("doc_id").list.len().cast(pl.Int64)
    places = (
        pages.select("page", "source", "session_id", "elapsed_ms", "doc_id", line="ordinal",
                     place=pl.int_ranges(size.cum_sum() - size, size.cum_sum()))
        .explode("doc_id", "place", empty_as_null=False, keep_nulls=False)
    )  # fmt: skip
    shown = places.unique(["page", "doc_id"], keep="first", maintain_order=True)
    found = _found(clicks, shown).sort("source", "line")
    there = pl.col("place").is_not_null()
    is_first = pl.col("place").is_first_distinct()
    click = np.zeros(places.height, np.int8)
    click[found["place"].drop_nulls().to_numpy()] = 1
    ends = np.concatenate([[0], np.cumsum(pages["doc_id"].list.len().to_numpy())])
    lists = pa.LargeListArray.from_arrays(pa.array(ends, pa.int64()), pa.array(click))
    return Attached(
        sessions=pages.drop("page").with_columns(click=pl.Series(lists)),
        unattached=unattached(found.filter(~there)),
        repeated=found.filter(there & ~is_first).select("source", "line"),
    )


def unattached(clicks: pl.DataFrame) -> pl.DataFrame:
    """Clicks (`source, line, elapsed_ms`) as rows of the table."""
    since = (pl.col("elapsed_ms") * 1000).cast(pl.Datetime("us", "UTC"))
    return clicks.select("source", "line", reason=pl.lit(NO_PAGE), waits_from=since)


def _found(clicks: pl.DataFrame, shown: pl.DataFrame) -> pl.DataFrame:
    key = ["session_id", "doc_id"]
    order = (
        pl.concat([side.select("elapsed_ms", "line") for side in (shown, clicks)])
        .unique()
        .sort("elapsed_ms", "line")
        .with_row_index("order")
    )
    shown, clicks = (
        s.join(order, on=["elapsed_ms", "line"]).sort("order") for s in (shown, clicks)
    )
    own = clicks.join_asof(
        shown.select("source", *key, "order", "place", since="elapsed_ms"),
        on="order", by=["source", *key], check_sortedness=False,
    )  # fmt: skip
    other = shown.sort("elapsed_ms", "source", "line").select(
        *key, "elapsed_ms", other_place="place", other_since="elapsed_ms"
    )
    both = own.sort("elapsed_ms").join_asof(other, on="elapsed_ms", by=key, check_sortedness=False)
    is_own = (pl.col("since") >= pl.col("other_since")).fill_null(value=False)
    return both.with_columns(place=pl.when(is_own).then("place").otherwise("other_place"))
