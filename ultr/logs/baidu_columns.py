"""The 32 columns of a document line of Baidu-ULTR, and how a block of lines is parsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import polars as pl

from ultr.logs import letters
from ultr.logs.chunk import PAGE_SCHEMA

HEADER_WIDTH, DOCUMENT_WIDTH = 3, 32

NUMBERS = {
    5: "click", 8: "skip", 9: "height_px", 10: "displayed_s", 11: "displayed_middle_s",
    12: "first_click", 13: "displayed_count", 14: "max_height_px",
    15: "slip_off_after_click_count", 16: "dwell_s", 17: "displayed_top_s", 18: "top_px",
    19: "displayed_top_count", 20: "displayed_bottom_count", 21: "slip_off_count",
    23: "final_click", 24: "displayed_bottom_s", 25: "click_count", 28: "last_click",
    29: "reverse_displayed_count", 30: "displayed_middle_count",
}  # fmt: skip
"""Column number -> name in the registry, of numbers."""

TEXTS = {0: "first", 1: "key", 2: "title", 3: "abstract", 4: "media_type", 31: "end"}
"""Of the others: `first` is the position, or a header's qid; `key` the url, or its query; `title`
may be a header's reformulation; `end` says that the line has 32 columns."""

MISSING = "-"

_MAY_BE_MISSING = (*NUMBERS.values(), "abstract", "media_type")
_NAMES = [{**NUMBERS, **TEXTS}.get(i, f"unused_{i}") for i in range(DOCUMENT_WIDTH)]
_WANTED = [n for n in _NAMES if not n.startswith("unused")]


def _element(name: str) -> pl.DataType:
    kind = PAGE_SCHEMA[name]
    assert isinstance(kind, pl.List)  # noqa: S101  a value per document
    return kind.inner  # type: ignore[return-value]


NUMBER_TYPES = {name: _element(name) for name in NUMBERS.values()}
REAL = [name for name, kind in NUMBER_TYPES.items() if kind.is_float()]


class Pages(NamedTuple):
    """Whole pages, in the order of the file.

    Attributes:
        header: a row per page.
        document: a row per document, page after page, by position.
        size: documents of each page.
    """

    header: pl.DataFrame
    document: pl.DataFrame
    size: letters.Ints


def widths(data: bytes) -> letters.Ints:
    """Columns of each line."""
    tab, end = letters.places(data, b"\t"), letters.places(data, b"\n")
    return np.diff(np.searchsorted(tab, end), prepend=0) + 1


def parsed(data: bytes, *, first_line: int) -> pl.DataFrame:
    """A row per line: `line`, `position` and the columns above; `-` and empty cells are null.

    Raises:
        PolarsError: a number that is none, or a line with more than 32 columns.
    """
    frame = _scan(data, NUMBER_TYPES, strict=True).collect()
    line = pl.int_range(first_line, first_line + frame.height, dtype=pl.Int64)
    return frame.with_columns(line.alias("line"), position=POSITION)


def parsed_leniently(data: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """As `parsed`, but null where a number is none; and the numbers as text."""
    typed = _scan(data, NUMBER_TYPES, strict=False).collect()
    text = _scan(data, {}, strict=False).select(NUMBERS.values()).collect()
    return typed.with_columns(position=POSITION), text


POSITION = pl.col("first").cast(pl.Int16, strict=False)


def _scan(data: bytes, numbers: Mapping[str, pl.DataType], *, strict: bool) -> pl.LazyFrame:
    return pl.scan_csv(
        data,
        has_header=False,
        separator="\t",
        quote_char=None,
        schema={name: numbers.get(name, pl.String()) for name in _NAMES},
        null_values=dict.fromkeys(_MAY_BE_MISSING, MISSING),
        missing_columns="insert",
        extra_columns="raise",
        ignore_errors=not strict,
    ).select(_WANTED)
