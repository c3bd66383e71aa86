"""Cells of delimited text, line by line where a block is odd.

A line without a quote is a row, unless a quoted cell that began before it goes on; the standard
library reads the others. So what a row is depends on the file alone, and not on where its blocks
end: a block begins where a row does, and a row that it does not end is left to the next one.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator

import numpy as np
import polars as pl

from ultr.errors import DataError
from ultr.logs.letters import places
from ultr.logs.raw import MAX_TOGETHER_BYTES, Block, lines_of, part_of

LINE, SPAN, TEXT, WHY = "#line", "#span", "#text", "#reason"
"""Our columns beside the user's: first line, lines, the row as it stood, why it is no row."""

OWN: dict[str, pl.DataType] = {
    LINE: pl.Int64(),
    SPAN: pl.Int64(),
    TEXT: pl.String(),
    WHY: pl.String(),
}

_QUOTE = b'"'


def lines_with(block: Block) -> pl.DataFrame:
    """`OWN` of every line, those with bad UTF-8 among them."""
    good, bad = lines_of(block)
    frame = pl.concat([good, bad], how="diagonal").sort("line") if bad.height else good
    why = pl.col("reason") if bad.height else pl.lit(None, pl.String)
    return frame.select(
        pl.col("line").alias(LINE),
        pl.lit(1, pl.Int64).alias(SPAN),
        pl.col("text").alias(TEXT),
        why.alias(WHY),
    )


def without_blank(lines: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Lines that are not blank, and how many are."""
    blank = lines[WHY].is_null() & (lines[TEXT].str.strip_chars().str.len_bytes() == 0)
    return lines.filter(~blank), int(blank.sum())


def first_row(block: Block, delimiter: str, *, is_last: bool) -> tuple[list[str], int]:
    """The cells of the first row that is not blank, and how many lines end with it.

    Args:
        block: begins where a row does.
        delimiter: between cells.
        is_last: whether nothing follows.

    Returns:
        No cell, and the lines before it, where the row does not end in the block.
    """
    lines = _Lines(block, delimiter)
    for number, text in enumerate(lines):
        if text.strip():
            row, _, is_open = lines.row(number)
            return ([], number) if is_open and not is_last else (row, lines.at)
    return [], block.lines


def cells_of(
    block: Block, delimiter: str, *, is_last: bool
) -> tuple[pl.DataFrame, int, Block | None]:
    """Rows with their cells in `field`, the number of blank lines, and what is left.

    Args:
        block: begins where a row does.
        delimiter: between cells.
        is_last: whether nothing follows, so that a quote that is open ends with the block.

    Raises:
        DataError: more is left than a row may hold.
    """
    frame = lines_with(block)
    if _QUOTE not in block.data:
        return *_split(frame, delimiter), None
    quoted, taken, end = _quoted(block, frame, delimiter, is_last=is_last)
    rest = None
    if end < block.lines:
        begin = int(places(block.data, b"\n")[end - 1]) + 1 if end else 0
        rest = part_of(block, begin, end)._replace(size=0)
        if len(rest.data) > MAX_TOGETHER_BYTES:
            raise DataError(
                f"a row must fit into {MAX_TOGETHER_BYTES >> 20} MiB",
                got=f"more of quoted cells from line {rest.first_line} on",
                hint="is this the right delimiter?",
            )
    plain, ignored = _split(frame[:end].filter(~pl.Series(taken[:end])), delimiter)
    blank = quoted.filter(pl.col("field").is_null())
    rows = pl.concat([plain, quoted.filter(pl.col("field").is_not_null())]).sort(LINE)
    return rows, ignored + int(blank[SPAN].sum()), rest


def _split(lines: pl.DataFrame, delimiter: str) -> tuple[pl.DataFrame, int]:
    rows, ignored = without_blank(lines)
    text = pl.col(TEXT).str.strip_chars_end("\r")
    return rows.with_columns(field=text.str.split(delimiter)), ignored


def _quoted(
    block: Block, frame: pl.DataFrame, delimiter: str, *, is_last: bool
) -> tuple[pl.DataFrame, np.ndarray[tuple[int], np.dtype[np.bool_]], int]:
    """Rows with quotes, null for a blank one; which lines they take; and where an open one begins.

    A row that is none keeps what a split gives, so that the page it names is rejected with it.
    """
    lines, taken, end = _Lines(block, delimiter), np.zeros(block.lines, np.bool_), block.lines
    why = dict(frame.filter(pl.col(WHY).is_not_null()).select(LINE, WHY).rows())
    found: list[tuple[int, int, str, str | None, list[str] | None]] = []
    for number in lines.with_quotes():
        if number < lines.at:
            continue  # within the row before
        row, reason, is_open = lines.row(number)
        if is_open and not is_last:
            end = number
            break
        taken[number : lines.at] = True
        own = range(block.first_line + number, block.first_line + lines.at)
        if why:
            reason = next((why[n] for n in own if n in why), reason)
        is_blank = reason is None and len(row) < 2 and not any(cell.strip() for cell in row)
        text = lines.text(number, lines.at)
        found.append((own.start, len(own), text, reason, None if is_blank else row))
    schema = pl.Schema({**OWN, "field": pl.List(pl.String)})
    return pl.DataFrame(found, schema=schema, orient="row"), taken, end


class _Lines:
    """Lines of a block as text, from any one on: what the standard library reads rows from.

    Attributes:
        at: the line that comes next.
    """

    def __init__(self, block: Block, delimiter: str) -> None:
        self.at = 0
        self._data, self._delimiter = block.data, delimiter
        self._ends = np.concatenate([[0], places(block.data, b"\n") + 1])
        self._reader = csv.reader(self, delimiter=delimiter)
        self._has_ended = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.at + 1 >= len(self._ends):
            self._has_ended = True
            raise StopIteration
        begin, end = self._ends[self.at], self._ends[self.at + 1]
        self.at += 1
        return self._data[begin:end].decode("utf-8", errors="replace")

    def text(self, begin: int, end: int) -> str:
        """Some lines as they stand, without the last line's end."""
        data = self._data[self._ends[begin] : self._ends[end]]
        return data.decode("utf-8", errors="replace").rstrip("\r\n")

    def with_quotes(self) -> list[int]:
        """The lines that hold a quote."""
        at = np.searchsorted(self._ends, places(self._data, _QUOTE), side="right") - 1
        return list(map(int, np.unique(at)))

    def row(self, number: int) -> tuple[list[str], str | None, bool]:
        """The row that begins with a line, why it is none, and whether it is open at the end."""
        self.at, self._has_ended = number, False
        try:
            return next(self._reader), None, self._has_ended
        except csv.Error as error:
            cells = self.text(number, self.at).split(self._delimiter)
            return cells, f"not a row of text: {error}", False
