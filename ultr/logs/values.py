"""The values of a user's table: their columns to ours, as text, lists of text, and times."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import polars as pl

from ultr.errors import DataError
from ultr.logs.mapping import FEATURE, FEEDBACK, Mapping
from ultr.logs.rows import LINE, OBJECT, SPAN, TEXT, WHY, as_text

LISTS = (
    "document",
    "position",
    "click",
    "dwell_s",
    "media_type",
    "height_px",
    "max_height_px",
    "top_px",
    "abstract_length",
    "document_title",
    "document_text",
)
"""Ours that have a value per document."""

_ZONED, _DATE = "%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d"
_NAIVE = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def lists_in(names: Sequence[str]) -> list[str]:
    """Those of our names that have a value per document."""
    return [n for n in names if n in LISTS or n.startswith((FEATURE, FEEDBACK))]


def named(
    frame: pl.DataFrame, mapping: Mapping, path: Path, *, is_strict: bool = True
) -> pl.DataFrame:
    """Our names for the mapped columns: text, but for the time and, in a table of pages, lists.

    Args:
        frame: the user's columns.
        mapping: of them.
        path: where they are from.
        is_strict: whether lists and objects where one value is expected are an error, and no text.

    Raises:
        DataError: a mapped column is not there, or holds what is no text, number or list.
    """
    wanted = mapping.taken
    lists = lists_in(list(wanted)) if mapping.layout == "page" else []
    missing = [str(theirs) for theirs in wanted.values() if str(theirs) not in frame.columns]
    if missing:
        raise missing_columns(missing, frame.columns, path)
    out = frame.select(LINE, SPAN, TEXT, WHY)
    for ours, theirs in wanted.items():
        column = frame[str(theirs)]
        try:
            if ours in lists:
                out = out.with_columns(_as_list(column, mapping).alias(ours))
            elif ours == "time":
                one = _as_text(column, is_strict=is_strict) if column.dtype.is_nested() else column
                out = _with_time(out, one, mapping)
            else:
                out = out.with_columns(_as_text(column, is_strict=is_strict).alias(ours))
        except pl.exceptions.PolarsError as error:
            raise DataError(
                "a mapped column holds text, numbers or lists of them",
                got=f"{path}: {theirs} is of type {column.dtype}: {error}",
                hint="convert the column, or map another one",
            ) from error
    if mapping.columns.query is None:
        out = out.with_columns(query=pl.lit(mapping.constants.query))
    return out


def missing_columns(missing: Sequence[str], columns: Sequence[str], path: Path) -> DataError:
    """That mapped columns are not there, which are, and what the file may be instead."""
    known = [c for c in columns if c not in (LINE, SPAN, TEXT, WHY)]
    hint = f"its columns are: {', '.join(known[:40])}; give a --mapping file"
    if not known or known[0].lstrip()[:1] in ("[", "{"):
        hint = "a table of JSON has one object on each line, which jq -c makes of others"
    elif len(known) == 1 and any(d in known[0] for d in "\t;|"):
        hint = f"its only column is {known[0]!r}: say the delimiter in a --mapping file, "
        hint += "which ultr ingest --guess proposes"
    return DataError(
        "every mapped column must be in the file",
        got=f"{path} has no {', '.join(missing)}",
        hint=hint,
    )


def _with_time(out: pl.DataFrame, column: pl.Series, mapping: Mapping) -> pl.DataFrame:
    time = _time(column, mapping)
    said = column.is_not_null() & (column.cast(pl.String) != "")
    fits = time.is_between(_EARLIEST, _LATEST).fill_null(value=False)
    unit = mapping.options.time_unit
    why = pl.when(pl.Series(said & ~fits)).then(pl.lit(f"time cannot be read as {unit}"))
    return out.with_columns(
        pl.when(pl.Series(fits)).then(pl.Series(time)).alias("time"),
        pl.coalesce(WHY, why).alias(WHY),
    )


def _time(column: pl.Series, mapping: Mapping) -> pl.Series:
    """A point of time in UTC; text without a zone is UTC already."""
    zoned = pl.Datetime("us", "UTC")
    if isinstance(column.dtype, pl.Datetime):
        if column.dtype.time_zone is not None:
            return column.dt.convert_time_zone("UTC").cast(zoned)
        return column.dt.replace_time_zone("UTC").cast(zoned)
    if column.dtype == pl.Date:
        return column.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    if mapping.options.time_unit != "iso":
        factor = 1_000 if mapping.options.time_unit == "ms" else 1_000_000
        number = column.cast(pl.String).cast(pl.Float64, strict=False) * factor
        return number.round().cast(pl.Int64, strict=False).cast(zoned)
    return iso_times(column.cast(pl.String))


def iso_times(text: pl.Series) -> pl.Series:
    """Text in one of the forms, the usual one first; null where it fits none."""
    text = text.str.strip_chars().str.replace(r" ?UTC$", "Z").str.replace(" ", "T")
    time = text.str.to_datetime(_ZONED, time_unit="us", time_zone="UTC", strict=False)
    for form in (*_NAIVE, _DATE):
        if time.null_count() == text.null_count():
            break
        if form == _DATE:
            found = text.str.to_date(form, strict=False).cast(pl.Datetime("us"))
        else:
            found = text.str.to_datetime(form, time_unit="us", strict=False)
        time = time.fill_null(found.dt.replace_time_zone("UTC"))
    return time


def _as_text(column: pl.Series, *, is_strict: bool) -> pl.Series:
    if not column.dtype.is_nested():
        return column.cast(pl.String)
    if is_strict:
        raise pl.exceptions.InvalidOperationError("a cell holds one value")
    if isinstance(column.dtype, pl.Struct):
        return column.struct.field(OBJECT)
    return pl.Series(
        [as_text(v) for v in column.cast(pl.List(pl.String)).to_list()], dtype=pl.String
    )


def _as_list(column: pl.Series, mapping: Mapping) -> pl.Series:
    """Lists of text; text such as `[1, 2]` or `['a', 'b']` is parsed, never executed."""
    if isinstance(column.dtype, pl.List | pl.Array):
        if column.dtype.inner.is_nested():
            raise pl.exceptions.InvalidOperationError("an item of a list is one value")
        inner = pl.List(pl.String)
        return column.cast(pl.List(column.dtype.inner)).cast(inner)
    text = column.struct.field(OBJECT) if column.dtype == pl.Struct else column.cast(pl.String)
    parsed = parse_lists(text, mapping.options.list_format)
    return pl.Series(column.name, parsed, dtype=pl.List(pl.String))


def parse_lists(
    texts: Iterable[str | None], form: Literal["auto", "json", "python"]
) -> list[list[str | None] | None]:
    """The items of lists written as JSON or Python, as text; None where a text is no list."""
    with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
        # Python warns of odd escapes in what it is given to parse, which is not our code.
        return [_parse_list(text, form) for text in texts]


def _parse_list(
    text: str | None, form: Literal["auto", "json", "python"]
) -> list[str | None] | None:
    for parse, name in ((json.loads, "json"), (ast.literal_eval, "python")):
        if form not in ("auto", name):
            continue
        try:
            value = parse(text or "")
            if not isinstance(value, list | tuple):
                continue
            items = [as_text(v) for v in value]  # TypeError: bytes, sets and such of Python
            if text and "\\" in text:
                "".join(t for t in items if t).encode()  # half a surrogate pair is no text
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        return items
    return None
