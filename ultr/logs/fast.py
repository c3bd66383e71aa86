"""Columnar parsers for blocks without a flaw; `ultr.logs.rows` reads all others exactly.

Each returns None where it is not certain to say what the exact parser says.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.json as pj

_PEEK_LINES = 1000
"""Lines that are looked at for the kinds of values, where the first lack some."""

_MOST_CSV_FIELD = 131_072
"""Longer cells break the exact parser (the limit of the standard library's)."""

_KINDS: Mapping[type, pa.DataType] = {
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    str: pa.string(),
}


class Wanted(NamedTuple):
    """Which of a table's columns are read.

    Attributes:
        names: columns to read.
        required: those that must be there; the others are read where they are.
        numeric: those that are taken as numbers however they are written, 1 or 1.0.
    """

    names: tuple[str, ...]
    required: tuple[str, ...]
    numeric: frozenset[str]


def json_columns(data: bytes, text: pl.Series, wanted: Wanted) -> pl.DataFrame | None:
    """The wanted columns of JSON lines; None where a line is odd or a column is of mixed kinds.

    Args:
        data: the block.
        text: its lines that are not blank.
        wanted: keys to read.
    """
    # With whole lines in braces, and as many rows as lines, no object can span two of them.
    stripped = text.str.strip_chars()
    if not (stripped.str.starts_with("{") & stripped.str.ends_with("}")).all():
        return None
    fields = _peek(text.head(_PEEK_LINES), wanted)
    if fields is None or not set(wanted.required) <= set(fields):
        return None
    if any(_holds_float(kind) for name, kind in fields.items() if name not in wanted.numeric):
        return None  # a key must keep its letters, and 1 among floats would become 1.0
    is_open = wanted.required != wanted.names  # a key may first come on a late line
    options = pj.ParseOptions(
        explicit_schema=pa.schema(list(fields.items())),
        newlines_in_values=False,
        unexpected_field_behavior="infer" if is_open else "ignore",
    )
    longest = int(text.str.len_bytes().max() or 0)  # type: ignore[arg-type]
    blocks = pj.ReadOptions(block_size=max(longest + 2, 1 << 20))
    try:
        table = pj.read_json(pa.BufferReader(data), read_options=blocks, parse_options=options)
    except pa.ArrowException:
        return None
    late = [n for n in table.column_names if n in wanted.names and n not in fields]
    if table.num_rows != len(text) or late:
        return None
    return pl.DataFrame(table.select(list(fields)))


def csv_columns(
    data: bytes, text: pl.Series, wanted: Wanted, *, names: Sequence[str], delimiter: str
) -> pl.DataFrame | None:
    """The wanted columns of delimited text; None where a row is torn or oddly quoted.

    Args:
        data: rows, one a line.
        text: the same lines; none is blank.
        wanted: columns to read.
        names: what the columns are called.
        delimiter: between the columns.
    """
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n")
    if b"\r" in data or not set(wanted.required) <= set(names) or delimiter == '"':
        return None
    if (text.str.len_bytes() > _MOST_CSV_FIELD).any():
        return None
    quoted = b'"' in data
    if quoted:
        cell = f'(?:"(?:[^"]|"")*"|[^"{re.escape(delimiter)}]*)'
        row = f"^{cell}(?:{re.escape(delimiter)}{cell}){{{len(names) - 1}}}\r?$"
        is_clean = text.str.contains(row)
    else:
        is_clean = text.str.count_matches(delimiter, literal=True) == len(names) - 1
    if not is_clean.all():
        return None
    rows = pl.scan_csv(
        io.BytesIO(data),
        has_header=False,
        separator=delimiter,
        quote_char='"' if quoted else None,
        schema=dict.fromkeys(names, pl.String()),
        empty_string_is_null=False,
    )
    frame = rows.select(name for name in names if name in wanted.names).collect()
    return frame if frame.height == len(text) else None


def _peek(lines: pl.Series, wanted: Wanted) -> dict[str, pa.DataType] | None:
    """The kinds of the wanted keys' first values; None where one is neither a value nor a list."""
    fields: dict[str, pa.DataType] = {}
    for line in lines:
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return None
        for name in wanted.names:
            value = row.get(name)
            if name in fields or value is None or value == []:
                continue
            kind = _kind(value, is_number=name in wanted.numeric)
            if kind is None:
                return None
            fields[name] = kind
        if len(fields) == len(wanted.names):
            break
    return fields


def _kind(value: object, *, is_number: bool) -> pa.DataType | None:
    if isinstance(value, list):
        inner = _kind(next((v for v in value if v is not None), None), is_number=is_number)
        return None if inner is None or pa.types.is_list(inner) else pa.list_(inner)
    kind = _KINDS.get(type(value))
    return pa.float64() if kind == pa.int64() and is_number else kind


def _holds_float(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind.value_type if pa.types.is_list(kind) else kind))
