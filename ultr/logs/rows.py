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


def read_text(path: Path, *, delimiter: str, header: bool) -> Iterator[Rows]:
    """Read JSON lines, or delimited text, told apart by the first letter.

    Raises:
        DataError: missing, empty or damaged file.
    """
    if head(path).lstrip()[:1] == b"{":
        for block in blocks(path):
            yield _json_lines(block)
        return
    names: list[str] | None = None
    for block in blocks(path, cut=_outside_quotes):
        quoted = b'"' in block.data
        rows, ignored = _quoted(block, delimiter) if quoted else _split(block, delimiter)
        if names is None and rows.height:
            first = rows["field"][0].to_list()
            names = _distinct(first) if header else [str(i) for i in range(len(first))]
            if header:
                rows, ignored = rows[1:], ignored + int(rows[SPAN][0])
        yield Rows(_delimited(rows, names or []), ignored, block.size)


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


def _json_lines(block: Block) -> Rows:
    frame, ignored = _texts(block)
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
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter)
    line, span, rows, why, ignored = [], [], [], [], 0
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
    own = {LINE: line, SPAN: span, TEXT: [delimiter.join(r) for r in rows], WHY: why}
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
