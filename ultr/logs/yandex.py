"""Yandex relevance prediction (WSCD 2012), and NAVER CLARA2, which uses its format.

Tab-separated rows of two kinds: `session, time, "Q", query, region, url × n` and
`session, time, "C", url`. A click belongs to the last page of its session, at or before it, that
shows the url. The reader joins what a chunk holds; a session that other chunks or files continue
is joined again by `ultr.etl.yandex_join`, so a session has one id in all files of a lake.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from ultr.logs.chunk import EVENT_STATES, Chunk, as_events, as_pages, as_rejects
from ultr.logs.raw import Block, blocks, first_lines, lines_of
from ultr.logs.yandex_clicks import attach

_FIRST_URL = 5

NO_PAGE = "click on a url that no page of its session shows at or before it"


def read(path: Path) -> Generator[Chunk]:
    """Read a Yandex log in chunks cut between sessions.

    The query's key is `query:region`, since the same words ask for other things elsewhere. Pages
    with fewer urls than others are padded with tabs: a row with another number of columns than
    most at the head of its file was cut or joined.

    Raises:
        DataError: the file is missing, empty, damaged, or not text.
    """
    width = _usual_width(path)
    for block in blocks(path, cut=_after_last_session):
        rows, bad_bytes = lines_of(block)
        rows = _fields(rows)
        if width is None:
            width = next(iter(_widths(rows)), None)
        yield _chunk(rows, bad_bytes, width=width or 0, block=block)


def _after_last_session(data: bytes) -> int:
    """Cut where the session of the last whole line begins: the next block may continue it."""
    end = data.rfind(b"\n")
    if end < 0:
        return 0
    begin = data.rfind(b"\n", 0, end) + 1
    session = data[begin : data.find(b"\t", begin) + 1]
    while begin > 0:
        previous = data.rfind(b"\n", 0, begin - 1) + 1
        if not data.startswith(session, previous):
            return begin
        begin = previous
    return 0


def _fields(rows: pl.DataFrame) -> pl.DataFrame:
    text, field = pl.col("text").str.strip_chars_end("\r"), pl.col("field").list
    return rows.with_columns(
        field=text.str.strip_chars_end("\t").str.split("\t"),
        width=text.str.count_matches("\t", literal=True) + 1,
    ).with_columns(
        session=field.get(0, null_on_oob=True).fill_null(""),
        time=field.get(1, null_on_oob=True).cast(pl.Int64, strict=False),
        kind=field.get(2, null_on_oob=True).fill_null(""),
    )


def _usual_width(path: Path) -> int | None:
    """The columns of most pages at the head of the file; None where there is no page."""
    usual = _widths(_fields(lines_of(first_lines(path))[0])).mode()
    return int(usual.to_numpy().max()) if len(usual) else None


def _widths(rows: pl.DataFrame) -> pl.Series:
    return rows.filter(pl.col("kind") == "Q")["width"]


def _chunk(rows: pl.DataFrame, bad_bytes: pl.DataFrame, *, width: int, block: Block) -> Chunk:
    lines = rows.height + bad_bytes.height
    blank = pl.col("text").str.strip_chars().str.len_bytes() == 0
    rows, ignored = rows.filter(~blank), rows.select(blank.sum()).item()
    rows = rows.with_columns(reason=_reason(width))
    good = rows.filter(pl.col("reason").is_null())
    pages = _pages(good)
    attached, unmatched = attach(good, pages)
    is_first = attached.select(pl.struct("page", "place").is_first_distinct()).to_series()
    first = attached.filter(is_first)
    click = np.zeros(int(pages["size"].sum()), np.int8)
    click[first["begin"].to_numpy() + first["place"].to_numpy()] = 1
    return Chunk(
        pages=as_pages(_with_clicks(pages, click)),
        rejects=as_rejects(
            [
                bad_bytes,
                rows.filter(pl.col("reason").is_not_null()),
            ]
        ),
        lines=lines,
        used=pages.height + first.height + unmatched.height,
        repeated=attached.height - first.height,
        ignored=ignored,
        size=block.size,
        events=_events(first, attached.filter(~is_first), unmatched),
    )


def _events(*by_state: pl.DataFrame) -> pl.DataFrame:
    click = pl.lit("click")
    parts = [
        clicks.select(
            "line",
            "doc_key",
            kind=click,
            action=click,
            session_id="session",
            elapsed_ms="time",
            state=pl.lit(state),
        )
        for clicks, state in zip(by_state, EVENT_STATES, strict=True)
    ]
    return as_events(pl.concat(parts))


def _reason(width: int) -> pl.Expr:
    """Why a line cannot be used; null where it can."""
    field = pl.col("field").list
    key = field.get(3, null_on_oob=True).fill_null("")
    is_page = pl.col("kind") == "Q"
    return (
        pl.when(pl.col("width") < 4)
        .then(pl.lit("fewer than 4 columns"))
        .when(~pl.col("kind").is_in(["Q", "C"]))
        .then(pl.lit("third column is neither Q nor C"))
        .when(pl.col("session") == "")
        .then(pl.lit("no session"))
        .when(pl.col("time").is_null() | (pl.col("time") < 0))
        .then(pl.lit("time is not a whole number from 0"))
        .when(is_page & (pl.col("width") != width))
        .then(pl.lit("page with another number of columns than most at the head of its file"))
        .when(is_page & (key == ""))
        .then(pl.lit("no query"))
        .when(is_page & (field.len() <= _FIRST_URL))
        .then(pl.lit("page without a url"))
        # Padding stands at the end: a gap would shift the positions of all results after it.
        .when(is_page & field.slice(_FIRST_URL).list.contains(""))
        .then(pl.lit("page with a gap between urls"))
        .when(~is_page & (key == ""))
        .then(pl.lit("click without a url"))
        .when(~is_page & (field.len() > 4))
        .then(pl.lit("click with more than 4 columns"))
    )


def _pages(good: pl.DataFrame) -> pl.DataFrame:
    field = pl.col("field").list
    region = field.get(4).str.replace(r"^(\d+)\.0$", "$1")  # CLARA2 writes regions as 0.0
    pages = good.filter(pl.col("kind") == "Q").select(
        "session",
        "time",
        ordinal="line",
        query_key=pl.concat_str(field.get(3), region, separator=":"),
        doc_key=field.slice(_FIRST_URL),
    )
    size = pl.col("doc_key").list.len().cast(pl.Int64)
    return pages.with_row_index("page").with_columns(size=size, begin=size.cum_sum() - size)


def _with_clicks(
    pages: pl.DataFrame, click: np.ndarray[tuple[int], np.dtype[np.int8]]
) -> pl.DataFrame:
    offsets = np.concatenate([[0], np.cumsum(pages["size"].to_numpy())])
    lists = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(click))
    return pages.with_columns(
        position=pl.int_ranges(1, pl.col("size") + 1),
        click=pl.Series("click", lists),
        session_id="session",
        elapsed_ms="time",
    )
