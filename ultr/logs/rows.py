"""Rows of a user's table, whatever the file is, block by block.

A row that cannot be read keeps what could be read of it, and its reason: the page it names is
rejected with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ultr.logs.cells import (
    LINE,
    OWN,
    SPAN,
    TEXT,
    WHY,
    cells_of,
    first_row,
    lines_with,
    without_blank,
)
from ultr.logs.fast import Wanted, csv_columns, json_columns
from ultr.logs.raw import Block, blocks, first_lines, head, joined, part_of

__all__ = [
    "LINE",
    "OBJECT",
    "SPAN",
    "TEXT",
    "WHY",
    "Rows",
    "as_text",
    "is_json",
    "read_head",
    "read_text",
]


OBJECT = "json"
"""The field of a column of objects: their text."""


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
    if is_json(path):
        return (_json_lines(block, wanted) for block in blocks(path))
    return _delimited(blocks(path), delimiter=delimiter, header=header, wanted=wanted)


def read_head(path: Path, *, delimiter: str, header: bool, wanted: Wanted | None = None) -> Rows:
    """The rows of the first lines: what is decided from them does not depend on the blocks.

    Args:
        path: the file.
        delimiter: as of `read_text`.
        header: as of `read_text`.
        wanted: as of `read_text`.

    Raises:
        DataError: missing or damaged file.
    """
    block = first_lines(path)
    if is_json(path):
        return _json_lines(block, wanted)
    return next(_delimited(iter([block]), delimiter=delimiter, header=header, wanted=wanted))


def is_json(path: Path) -> bool:
    """Whether a table is of JSON lines.

    Raises:
        DataError: missing or damaged file.
    """
    return head(path).lstrip()[:1] == b"{"


def _delimited(
    found: Iterator[Block], *, delimiter: str, header: bool, wanted: Wanted | None
) -> Iterator[Rows]:
    """Rows of delimited text; a row that a block does not end is read with the next one."""
    names: list[str] = []
    ignored, block, rest = 0, next(found, None), None
    while block is not None:
        after = next(found, None)
        is_last = after is None
        rest = block if rest is None else joined(rest, block)
        if not names:
            names, skipped = first_row(rest, delimiter, is_last=is_last)
            if header or not names:
                ignored, rest = ignored + skipped, _after(rest, lines=skipped)
            names = _distinct(names) if header else [str(i) for i in range(len(names))]
        if names or is_last:
            rows, rest = _read(rest, wanted, names, delimiter, is_last=is_last)
            yield rows._replace(ignored=rows.ignored + ignored)
            ignored = 0
        block = after


def _read(
    block: Block, wanted: Wanted | None, names: list[str], delimiter: str, *, is_last: bool
) -> tuple[Rows, Block | None]:
    """The rows of a block, and what of it is left to the next one."""
    rows = _clean(block, wanted, names, delimiter)
    if rows is not None:
        return rows, None
    frame, ignored, rest = cells_of(block, delimiter, is_last=is_last)
    return Rows(_columns(frame, names), ignored, block.size), rest


def _after(block: Block, *, lines: int) -> Block:
    """A block without its first lines."""
    at = 0
    for _ in range(lines):
        at = block.data.index(b"\n", at) + 1
    return part_of(block, at, lines)


def _clean(block: Block, wanted: Wanted | None, names: list[str], delimiter: str) -> Rows | None:
    """The wanted columns of a block without a flaw; None where there is one."""
    if wanted is None or not block.data:
        return None
    frame, ignored = without_blank(lines_with(block))
    if ignored or frame[WHY].null_count() < frame.height:
        return None
    columns = csv_columns(block.data, frame[TEXT], wanted, names=names, delimiter=delimiter)
    return None if columns is None else Rows(frame.hstack(columns), 0, block.size)


def _json_lines(block: Block, wanted: Wanted | None) -> Rows:
    frame, ignored = without_blank(lines_with(block))
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
    return Rows(frame.with_columns(c for c in columns if c.name not in OWN), ignored, block.size)


def _parsed(text: str) -> dict[str, object] | None:
    try:
        value = json.loads(text)
        if "\\u" in text:  # half a surrogate pair is no text, and replaced it would be another key
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _series(name: str, values: list[object]) -> pl.Series:
    """Values as text, each the way it stands; lists of text, or `OBJECT`, where all are such.

    Kinds of numbers are not told apart: Polars would make `1` of the item of `[1.5]` after a `[1]`.
    """
    kinds = {type(value) for value in values if value is not None}
    if kinds == {list}:
        return pl.Series(name, [_items(v) for v in values], dtype=pl.List(pl.String))
    text = [as_text(value) for value in values]
    if kinds == {dict}:
        objects = [None if t is None else {OBJECT: t} for t in text]
        return pl.Series(name, objects, dtype=pl.Struct({OBJECT: pl.String}))
    return pl.Series(name, text, dtype=pl.String)


def _items(value: object) -> list[str | None] | None:
    return [as_text(item) for item in value] if isinstance(value, list) else None


def as_text(value: object) -> str | None:
    """A value of JSON as a column of text has it.

    Example:
        >>> [as_text(v) for v in ("a", True, 1.0, [1, "b"], None)]
        ['a', 'true', '1.0', '["1", "b"]', None]
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    return json.dumps(_items(value) or value, ensure_ascii=False)


def _columns(rows: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    field = pl.col("field").list
    torn = pl.when(field.len() != len(names)).then(
        pl.lit("another number of columns than the first line's")
    )
    columns = [field.get(i, null_on_oob=True).alias(name) for i, name in enumerate(names)]
    return rows.select(LINE, SPAN, TEXT, pl.coalesce(WHY, torn).alias(WHY), *columns)


def _distinct(names: list[str]) -> list[str]:
    """Column names that may stand beside ours, and beside each other."""
    seen = dict.fromkeys(OWN, 1)
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out
