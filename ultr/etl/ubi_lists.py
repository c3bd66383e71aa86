"""Pages, places and clicks as rows of the table `sessions`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from ultr.schema import SESSIONS

Ints = npt.NDArray[np.int64]


def as_sessions(
    pages: pl.DataFrame, places: pl.DataFrame, clicks: pl.DataFrame, events: pl.DataFrame
) -> pl.DataFrame:
    """Rows of `sessions`, lists by position.

    Args:
        pages: one row per page that shows something, in order.
        places: `place, page, doc_id, position`, by page and position.
        clicks: `place, kind, action` of the events on documents; null places are left out.
        events: all other events with their `page`, for who saw it.
    """
    size = places["page"].rle().struct.field("len").cast(pl.Int64)
    offsets = np.concatenate([[0], np.cumsum(size.to_numpy())]).astype(np.int64)
    attached = clicks.filter(pl.col("place").is_not_null())
    is_click = attached["kind"] == "click"
    times = _counts(attached.filter(is_click)["place"], places.height)
    names = ("session_id", "user_id", "client_id")
    who = events.group_by("page").agg(pl.col(names).min())
    pages = pages.join(who, on="page", how="left", suffix="_event", maintain_order="left")
    return pages.select(
        "source",
        "page_id",
        "query_id",
        ordinal="line",
        session_id=pl.coalesce("session_id", "session_id_event"),
        user_id=pl.coalesce("user_id", "user_id_event", "client_id", "client_id_event"),
        shown_at="at",
        period=pl.col("at").dt.strftime("%Y-%m-%d"),
        doc_id=_listed(places["doc_id"].to_arrow(), offsets),
        position=_listed(places["position"].cast(pl.Int16).to_arrow(), offsets),
        click=_listed(pa.array((times > 0).astype(np.int8)), offsets),
        click_count=_listed(pa.array(times.astype(np.int32)), offsets),
        feedback=_feedback(attached.filter(~is_click), places["page"], offsets),
        weight=pl.lit(1.0),
    )


def _feedback(actions: pl.DataFrame, page: pl.Series, offsets: Ints) -> pl.Series:
    """Per page the other actions, each with its counts by document; null where there are none."""
    n_pages = len(offsets) - 1
    if not actions.height:
        return pl.Series(values=[None] * n_pages, dtype=_FEEDBACK)
    # Pages are counted as they stand in the lists here.
    row = (page != page.shift()).fill_null(value=False).cum_sum().cast(pl.Int64)
    place = actions["place"].cast(pl.Int64)
    found = pl.DataFrame({"row": row.gather(place), "action": actions["action"], "place": place})
    kinds = found.select("row", "action").unique().sort("row", "action")
    size = np.diff(offsets)[kinds["row"].to_numpy()]
    ends = np.concatenate([[0], np.cumsum(size)])
    begin = pl.Series("begin", ends[:-1] - offsets[kinds["row"].to_numpy()])
    at = found.join(kinds.with_columns(begin), on=["row", "action"])
    counts = _counts(at["place"] + at["begin"], int(ends[-1])).astype(np.int32)
    structs = pa.StructArray.from_arrays(
        [kinds["action"].to_arrow(), pa.LargeListArray.from_arrays(pa.array(ends), counts)],
        names=["action", "count"],
    )
    per_page = _counts(kinds["row"], n_pages)
    mask = pa.array(per_page == 0)
    listed = np.concatenate([[0], np.cumsum(per_page)])
    return pl.Series(pa.LargeListArray.from_arrays(pa.array(listed), structs, mask=mask))


_FEEDBACK = pl.DataFrame(SESSIONS.arrow().empty_table()).schema["feedback"]


def _counts(index: pl.Series, size: int) -> Ints:
    return np.bincount(index.to_numpy(), minlength=size).astype(np.int64)


def _listed(values: pa.Array, offsets: Ints) -> pl.Series:
    return pl.Series(pa.LargeListArray.from_arrays(pa.array(offsets), values))
