"""The blocks of records of a UBI file: text of either form, or Parquet."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ultr.errors import DataError
from ultr.logs.parquet import names_in, read_parquet
from ultr.logs.raw import Block, blocks, head, is_parquet
from ultr.logs.rows import LINE
from ultr.logs.ubi_rows import HITS, NOTHING, RECORD, TEXTS, Records, json_lines, parser

_ATTRIBUTES = "event_attributes"
_PATHS = {"object_id": ("object", "object_id"), "ordinal": ("position", "ordinal")}
_NESTED = pl.Struct({outer: pl.Struct({name: pl.String}) for name, (outer, _) in _PATHS.items()})
_SEPARATORS = np.frombuffer(b",[] \t\r\n", np.uint8)
Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]


def read_records(path: Path) -> Generator[Records]:
    """Read a file; a line is a line of text, an element of a JSON array, or a row of Parquet.

    Raises:
        DataError: a missing, empty or damaged file.
    """
    if is_parquet(path):
        yield from _parquet(path)
    elif head(path).lstrip()[:1] == b"[":
        yield from _array(path)
    else:
        with parser() as connection:
            for block in blocks(path):
                yield json_lines(connection, block)


def _array(path: Path) -> Generator[Records]:
    first = 1
    with parser() as connection:
        for block in blocks(path, cut=_after_last_element, needs_all=True):
            elements = [e.replace(b"\n", b" ") for e in _elements(block.data)]
            text = b"".join(e + b"\n" for e in elements)
            yield json_lines(connection, Block(first, text, block.size, len(elements)))
            first += len(elements)


def _after_last_element(data: bytes) -> int:
    """Cut behind the last object of the outer array that is whole."""
    is_outside, is_text = _outside(data)
    closing = np.frombuffer(data, np.uint8) == ord("}")
    ends = np.flatnonzero(closing & is_outside & ~is_text)
    return int(ends[-1]) + 1 if len(ends) else 0


def _elements(data: bytes) -> list[bytes]:
    """The elements of the outer array, objects or not."""
    is_outside, is_text = _outside(data)
    letters = np.frombuffer(data, np.uint8)
    is_separator = is_outside & ~is_text & np.isin(letters, _SEPARATORS)
    # Where runs of letters that separate nothing begin and end.
    edges = np.flatnonzero(np.diff(np.concatenate([[True], is_separator, [True]])))
    return [data[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _outside(data: bytes) -> tuple[Bools, Bools]:
    """[letters] whether no object is open behind the letter; and whether it is inside a text."""
    plain = data.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
    letters = np.frombuffer(plain, np.uint8)
    is_text = np.cumsum(letters == ord('"'), dtype=np.int32) % 2 == 1
    step = (letters == ord("{")).astype(np.int8) - (letters == ord("}"))
    depth = np.cumsum(np.where(is_text, 0, step), dtype=np.int32)
    return depth <= 0, is_text


def _parquet(path: Path) -> Generator[Records]:
    wanted = [n for n in names_in(path) if n in (*TEXTS, *HITS, _ATTRIBUTES)]
    for rows in read_parquet(path, columns=wanted):
        found = rows.frame.select(LINE, *(_column(rows.frame[n], path) for n in wanted))
        hits = [pl.col(n) for n in HITS if n in wanted] or [pl.lit(None)]
        columns = {
            "line": pl.col(LINE),
            **{n: pl.col(n) for n in TEXTS if n in wanted},
            "hits": pl.coalesce(hits),
            **{n: _inside(found, n) for n in ("object_id", "ordinal")},
            "is_hit_list": pl.lit(value=True),
            "is_bulk": pl.lit(value=False),
        }
        parsed = found.select(
            columns.get(name, pl.lit(None)).cast(dtype).alias(name)
            for name, dtype in RECORD.items()
        )
        yield Records(parsed, lambda: NOTHING, NOTHING, parsed.height, 0, rows.size)


def _column(column: pl.Series, path: Path) -> pl.Series:
    """A column of a table as the JSON form would give it.

    Raises:
        DataError: it holds something else than UBI has there.
    """
    name = column.name
    try:
        if column.dtype.is_temporal():
            return column.cast(pl.Datetime("us")).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
        if name in TEXTS:
            return column.cast(pl.String)
        if column.dtype == pl.String:  # nested values as JSON text
            kind = _NESTED if name == _ATTRIBUTES else pl.List(pl.String)
            return column.str.json_decode(kind)
        return column.cast(pl.List(pl.String)) if name in HITS else column
    except pl.exceptions.PolarsError as error:
        raise DataError(
            "the columns of a UBI table hold what UBI's fields do",
            got=f"{path}: {name} is of type {column.dtype}: {error}",
            hint="export the table with UBI's own field names and types",
        ) from error


def _inside(frame: pl.DataFrame, name: str) -> pl.Expr:
    """A value of `event_attributes`, null where the table has no such field."""
    kind: Any = frame.schema.get(_ATTRIBUTES)
    found = pl.col(_ATTRIBUTES)
    for field in _PATHS[name]:
        if not isinstance(kind, pl.Struct) or field not in {f.name for f in kind.fields}:
            return pl.lit(None)
        kind = dict(kind)[field]
        found = found.struct.field(field)
    return found
