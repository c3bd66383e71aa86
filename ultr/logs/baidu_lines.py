"""Pages of a block of Baidu-ULTR lines in which something is odd: every line is looked at."""

from __future__ import annotations

import polars as pl

from ultr.logs.baidu_columns import (
    DOCUMENT_WIDTH,
    HEADER_WIDTH,
    NUMBERS,
    REAL,
    Pages,
    parsed_leniently,
    widths,
)
from ultr.logs.chunk import as_rejects
from ultr.logs.raw import Block, lines_of

NO_HEADER = "line before the first header of its file"
NO_DOCUMENT = "header without a document line"
WIDTH = f"neither {HEADER_WIDTH} columns (header) nor {DOCUMENT_WIDTH} (document)"
TWICE = "position used twice on its page"


def checked(block: Block) -> tuple[Pages, pl.DataFrame, int]:
    """The pages that can be used, the rejected lines, and how many are blank.

    A page takes the first reason of its lines; all its lines are rejected, its header included.
    """
    lines, ignored = _lines(block)
    lines = _with_values(lines)
    page = pl.col("page")
    is_second = pl.struct("page", "position").is_duplicated() & pl.col("position").is_not_null()
    why = (
        pl.when(page == 0)
        .then(pl.lit(NO_HEADER))
        .when(pl.col("reason").is_not_null())
        .then("reason")
        .when(is_second)
        .then(pl.lit(TWICE))
        .when(pl.len().over("page") == 1)
        .then(pl.lit(NO_DOCUMENT))
    )
    lines = lines.with_columns(reason=why).with_columns(
        reason=pl.col("reason").drop_nulls().first().over("page")
    )
    good = lines.filter(pl.col("reason").is_null())
    header = good.filter(is_header := pl.col("width") == HEADER_WIDTH)
    document = good.filter(~is_header).sort("page", "position", maintain_order=True)
    size = document.group_by("page", maintain_order=True).len()["len"]
    rejects = as_rejects([lines.filter(pl.col("reason").is_not_null())])
    return Pages(header, document, size.cast(pl.Int64).to_numpy()), rejects, ignored


def _lines(block: Block) -> tuple[pl.DataFrame, int]:
    """`line, text, width, page, reason` of lines that are not blank; and how many are."""
    good, bad = lines_of(block)
    # Columns may all be empty: a block may have been cut before such a header.
    blank = (good["text"].str.strip_chars().str.len_bytes() == 0) & ~good["text"].str.contains("\t")
    lines = pl.concat([good.filter(~blank), bad], how="diagonal").sort("line")
    width = pl.Series(widths(block.data)).gather(lines["line"] - block.first_line)
    why = pl.when(~pl.col("width").is_in([HEADER_WIDTH, DOCUMENT_WIDTH])).then(pl.lit(WIDTH))
    lines = lines.with_columns(width.alias("width")).with_columns(
        page=(pl.col("width") == HEADER_WIDTH).cum_sum().cast(pl.Int64),
        reason=pl.coalesce(pl.col("reason") if bad.height else None, why),
    )
    return lines, int(blank.sum())


def _with_values(lines: pl.DataFrame) -> pl.DataFrame:
    """The columns of lines of the right width, and why one cannot be used."""
    whole = lines.filter(pl.col("reason").is_null())
    joined = whole.select(pl.col("text").str.join("\n")).item()
    typed, text = parsed_leniently(f"{joined}\n".encode() if whole.height else b"")
    is_header = pl.col("width") == HEADER_WIDTH
    numbers = [
        (pl.lit(text[n].is_not_null() & typed[n].is_null()), n, "no number that the column takes")
        for n in NUMBERS.values()
    ]
    document = [
        (pl.col("key").is_null(), "document", "missing"),
        (pl.col("position").is_null() | (pl.col("position") < 1), "position", "no number from 1"),
        *numbers,
        (~pl.col("click").is_between(0, 1).fill_null(value=False), "click", "neither 0 nor 1"),
        *((~pl.col(n).is_finite(), n, "not finite") for n in REAL),
    ]
    first = pl.coalesce(*(pl.when(bad).then(pl.lit(f"{n} is {w}")) for bad, n, w in document))
    header = pl.when(pl.col("key").is_null()).then(pl.lit("no query"))
    typed = pl.concat([typed, whole.select("line", "width")], how="horizontal")
    values = typed.with_columns(
        found=pl.when(is_header).then(header).otherwise(first),
        position=pl.when(~is_header).then("position"),
        abstract_length=pl.col("abstract").str.count_matches(" ", literal=True) + 1,
    )
    found = lines.join(values.drop("width"), on="line", how="left", maintain_order="left")
    return found.with_columns(reason=pl.coalesce("reason", "found"))
