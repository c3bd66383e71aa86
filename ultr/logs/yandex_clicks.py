"""Which page of its session a click belongs to.

The rule is `_in_session`. Nearly all clicks belong to the page line just before them, which is told
without sorting or joining anything; the others, and sessions out of order, go by the rule.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from ultr.logs.letters import Ints

_QUICK_PLACES = 100
"""Pages with more urls are rare, and each place costs a pass over the clicks."""


def attach(good: pl.DataFrame, pages: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give each click its page and place; and the clicks that fit none.

    Args:
        good: `line, session, time, kind, field, text` of the lines, in the order of the file.
        pages: `page, ordinal, session, time, doc_key, size, begin` of those that are pages, with
            `page` from 0 and `begin` where its urls begin among those of all.

    Returns:
        `page, begin, place, session, time, line, doc_key` of the clicks that have a page, in the
        order of the file, and the clicks that do not.
    """
    is_click = pl.Series(good["kind"] == "C")
    clicks = good.filter(is_click).select(
        "session", "time", "line", doc_key=pl.col("field").list.get(3)
    )
    before = np.cumsum(~is_click.to_numpy())[is_click.to_numpy()] - 1
    place = _place_on(before, clicks, pages)
    is_told = pl.Series(place >= 0) & ~clicks["session"].is_in(_odd_sessions(good).implode())
    at_once = pages.select("page", "begin")[before[is_told.to_numpy()]].with_columns(
        *clicks.filter(is_told), place=pl.Series(place).filter(is_told)
    )
    found, unmatched = _in_session(clicks.filter(~is_told), pages)
    columns = [pl.col(name).cast(kind) for name, kind in at_once.schema.items()]
    return pl.concat([at_once, found.select(columns)]).sort("line"), unmatched


def _odd_sessions(good: pl.DataFrame) -> pl.Series:
    """Sessions whose lines stand apart, or not in the order of time."""
    session, time = good["session"], good["time"]
    goes_on = (session == session.shift(1)).fill_null(value=False)
    begun = session.filter(~goes_on)
    back = session.filter(goes_on & (time < time.shift(1)).fill_null(value=False))
    return pl.concat([begun.filter(begun.is_duplicated()), back]).unique()


def _place_on(page: Ints, clicks: pl.DataFrame, pages: pl.DataFrame) -> Ints:
    """[C] where each click's url stands on its `page`, from 0; −1 where that page is not its."""
    place = np.full(len(page), -1)
    most = int(pages["size"].max() or 0)  # type: ignore[arg-type]
    if not len(page) or not 0 < most <= _QUICK_PLACES:
        return place
    is_after_one = page >= 0
    page = np.maximum(page, 0)
    theirs = pages["session"].gather(page) == clicks["session"]
    open_ = np.flatnonzero(theirs.to_numpy() & is_after_one)
    size, begin = (pages[name].to_numpy()[page] for name in ("size", "begin"))
    urls = pages["doc_key"].list.explode(keep_nulls=False, empty_as_null=False)
    shown, clicked = urls.hash().to_numpy(), clicks["doc_key"].hash().to_numpy()
    for k in range(most):
        open_ = open_[size[open_] > k]
        is_hit = shown[begin[open_] + k] == clicked[open_]
        place[open_[is_hit]] = k
        open_ = open_[~is_hit]
    same = urls.gather(begin + np.maximum(place, 0)) == clicks["doc_key"]
    return np.where(same.to_numpy(), place, -1)


def _in_session(clicks: pl.DataFrame, pages: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rule: the last page of its session, at or before the click, that shows the url."""
    shown = (
        # Only what was clicked somewhere in its session: one in ten of what was shown.
        pages.join(clicks, on="session", how="semi")
        .with_columns(place=pl.int_ranges(0, pl.col("size")))
        .select("session", "time", "page", "begin", "doc_key", "place", line="ordinal")
        .explode("doc_key", "place", empty_as_null=False, keep_nulls=False)
        .join(clicks, on=["session", "doc_key"], how="semi", maintain_order="left")
        # A url that its page shows twice: the higher position takes the click.
        .unique(["page", "doc_key"], keep="first", maintain_order=True)
    )
    order = (
        pl.concat([shown.select("time", "line"), clicks.select("time", "line")])
        .unique()
        .sort("time", "line")
        .with_row_index("order")
    )
    shown, clicks = (
        side.join(order, on=["time", "line"]).sort("order") for side in (shown, clicks)
    )
    joined = clicks.join_asof(
        shown.select("session", "doc_key", "order", "page", "begin", "place"),
        on="order",
        by=["session", "doc_key"],
        strategy="backward",
        check_sortedness=False,
    )
    has_page = pl.col("page").is_not_null()
    return joined.filter(has_page), joined.filter(~has_page)
