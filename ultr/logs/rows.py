"""Rows of a user's table, whatever the file is, block by block.

A row that cannot be read keeps what could be read of it, and its reason: the page it names is
rejected with it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ultr.logs.fast import Wanted, csv_columns, json_columns
from ultr.logs.raw import Block, after_last_line, blocks, head, lines_of

LINE, SPAN, TEXT, WHY = "#line", "#span", "#text", "#reason"
"""Our columns beside the user's: first line, lines, the row as it stood, why it is no row."""

_OWN = {LINE: pl.Int64, SPAN: pl.Int64, TEXT: pl.String, WHY: pl.String}
_STRAY_QUOTE_BYTES = 1 << 20
"""A quoted cell this long is a quote that was never closed."""


class Rows(NamedTuple):
    """A block of a table.

    Attributes:
        frame: `LINE, SPAN, TEXT, WHY` and the user's columns.
        ignored: header and blank lines.
        size: bytes on disk.
    """

    frame: pl.DataFrame
    ignored: int
    size: int


def read_text(
    path: Path, *, delimiter: str, header: bool, wanted: Wanted | None = None
) -> Iterator[Rows]:
    """Read JSON lines, or delimited text, told apart by the first letter.

    Args:
        path: the file.
        delimiter: between the columns of delimited text.
        header: whether its first line names the columns; they are numbered else.
        wanted: columns to read; by default all, which takes longer.

    Raises:
        DataError: missing, empty or damaged file.
    """
    if head(path).lstrip()[:1] == b"{":
        for block in blocks(path):
            yield _json_lines(block, wanted)
        return
    names: list[str] = []
    for block in blocks(path, cut=_outside_quotes, needs_all=True):
        rest, ignored = block, 0
        if not names:
            names, end = _first_row(block, delimiter)
            if header and names:
                names, ignored = _distinct(names), end
                rest = _after(block, lines=end)
            else:
                names = [str(i) for i in range(len(names))]
        rows = _clean(rest, wanted, names, delimiter) or _any(rest, names, delimiter)
        yield Rows(rows.frame, rows.ignored + ignored, block.size)


def _first_row(block: Block, delimiter: str) -> tuple[list[str], int]:
    """The cells of the first row that is not blank, and how many lines end with it."""
    end = _row_end(block.data)
    rows, ignored = _exact(_part(block, 0, end, skipped=0), delimiter)
    if not rows.height:
        return [], ignored
    first = rows.row(0, named=True)
    return first["field"], first[LINE] - block.first_line + first[SPAN]


def _row_end(data: bytes) -> int:
    """An offset behind the first row that is not blank: where its quotes are even, if anywhere."""
    at, text = 0, b""
    while at < len(data) and (not text.strip() or text.count(b'"') % 2):
        begin, at = at, data.index(b"\n", at) + 1
        text = data[begin:at] if not text.strip() else text + data[begin:at]
    return at


def _after(block: Block, *, lines: int) -> Block:
    at = 0
    for _ in range(lines):
        at = block.data.index(b"\n", at) + 1
    return _part(block, at, len(block.data), skipped=lines)


def _part(block: Block, begin: int, end: int, *, skipped: int) -> Block:
    """Some whole lines of a block, after `skipped` others."""
    data, first = block.data[begin:end], block.first_line + skipped
    lines = data.count(b"\n")
    too_long = tuple(t for t in block.too_long if first <= t[0] < first + lines)
    return Block(first, data, block.size, lines, too_long)


def _clean(block: Block, wanted: Wanted | None, names: list[str], delimiter: str) -> Rows | None:
    """The wanted columns of a block without a flaw; None where there is one."""
    if wanted is None or not block.data:
        return None
    frame, ignored = _texts(block)
    if ignored or frame[WHY].null_count() < frame.height:
        return None
    columns = csv_columns(block.data, frame[TEXT], wanted, names=names, delimiter=delimiter)
    return None if columns is None else Rows(frame.hstack(columns), 0, block.size)


def _any(block: Block, names: list[str], delimiter: str) -> Rows:
    rows, ignored = _exact(block, delimiter)
    return Rows(_delimited(rows, names), ignored, block.size)


def _exact(block: Block, delimiter: str) -> tuple[pl.DataFrame, int]:
    return _quoted(block, delimiter) if b'"' in block.data else _split(block, delimiter)


def _outside_quotes(data: bytes) -> int:
    """Cut where the number of quotes so far is even: quoted cells may hold line breaks."""
    last, quotes = after_last_line(data), data.count(b'"')
    at, after = last, data.count(b'"', last)
    while at and (quotes - after) % 2:
        previous = data.rfind(b"\n", 0, at - 1) + 1
        after += data.count(b'"', previous, at)
        at = previous
    return last if last - at > _STRAY_QUOTE_BYTES else at


def _texts(block: Block) -> tuple[pl.DataFrame, int]:
    """Lines that are not blank, those with bad UTF-8 among them; and how many are blank."""
    lines, bad = lines_of(block)
    blank = pl.col("text").str.strip_chars().str.len_bytes() == 0
    kept, ignored = lines.filter(~blank), lines.select(blank.sum()).item()
    joined = (
        pl.concat([kept, bad], how="diagonal") if bad.height else kept.with_columns(reason=None)
    )
    frame = joined.sort("line").select(
        pl.col("line").alias(LINE),
        pl.lit(1, pl.Int64).alias(SPAN),
        pl.col("text").alias(TEXT),
        pl.col("reason").cast(pl.String).alias(WHY),
    )
    return frame, ignored


def _json_lines(block: Block, wanted: Wanted | None) -> Rows:
    frame, ignored = _texts(block)
    if wanted is not None and frame.height and frame[WHY].null_count() == frame.height:
        found = json_columns(block.data, frame[TEXT], wanted)
        if found is not None:
            return Rows(frame.hstack(found), ignored, block.size)
    objects = [_parsed(text) for text in frame[TEXT]]
    names = {name: None for row in objects if row is not None for name in row}
    columns = [_series(n, [None if r is None else r.get(n) for r in objects]) for n in names]
    broken = pl.Series([r is None for r in objects], dtype=pl.Boolean)
    why = pl.when(broken).then(pl.lit("not a JSON object"))
    frame = frame.with_columns(pl.coalesce(WHY, why).alias(WHY))
    return Rows(frame.with_columns(c for c in columns if c.name not in _OWN), ignored, block.size)


def _parsed(text: str) -> dict[str, object] | None:
    try:
        value = json.loads(text)
        if "\\u" in text:  # half a surrogate pair is no text, and replaced it would be another key
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _series(name: str, values: list[object]) -> pl.Series:
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, pl.exceptions.PolarsError, OverflowError):
        # A column of mixed kinds: as text, each value the way it stood.
        text = [v if isinstance(v, str) or v is None else json.dumps(v) for v in values]
        return pl.Series(name, text, dtype=pl.String)


def _split(block: Block, delimiter: str) -> tuple[pl.DataFrame, int]:
    frame, ignored = _texts(block)
    text = pl.col(TEXT).str.strip_chars_end("\r")
    return frame.with_columns(field=text.str.split(delimiter)), ignored


def _quoted(block: Block, delimiter: str) -> tuple[pl.DataFrame, int]:
    """Quotes may hold delimiters and line breaks: the standard library knows how."""
    text = block.data.decode("utf-8", errors="surrogateescape")
    stood = block.data.decode("utf-8", errors="replace").split("\n")
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter)
    line, span, rows, why, texts, ignored = [], [], [], [], [], 0
    while True:
        begin = reader.line_num
        try:
            row, reason = next(reader), None
        except StopIteration:
            break
        except csv.Error as error:
            row, reason = [""], f"not a row of text: {error}"
        if not any(cell.strip() for cell in row) and reason is None and len(row) < 2:
            ignored += reader.line_num - begin
            continue
        if not _is_text(row):
            row, reason = [_replaced(cell) for cell in row], "not UTF-8"
        line.append(block.first_line + begin)
        span.append(reader.line_num - begin)
        rows.append(row)
        why.append(reason)
        texts.append("\n".join(stood[begin : reader.line_num]))
    own = {LINE: line, SPAN: span, TEXT: texts, WHY: why}
    return pl.DataFrame(
        {**own, "field": rows}, schema={**_OWN, "field": pl.List(pl.String)}
    ), ignored


def _is_text(row: list[str]) -> bool:
    try:
        "".join(row).encode()
    except UnicodeEncodeError:
        return False
    return True


def _replaced(cell: str) -> str:
    return cell.encode("utf-8", errors="surrogateescape").decode("utf-8", errors="replace")


def _delimited(rows: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    field = pl.col("field").list
    torn = pl.when(field.len() != len(names)).then(
        pl.lit("another number of columns than the first line's")
    )
    columns = [field.get(i, null_on_oob=True).alias(name) for i, name in enumerate(names)]
    return rows.select(LINE, SPAN, TEXT, pl.coalesce(WHY, torn).alias(WHY), *columns)


def _distinct(names: list[str]) -> list[str]:
    """Column names that may stand beside ours, and beside each other."""
    seen = dict.fromkeys(_OWN, 1)
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out
