"""The values of a user's table: their columns to ours, typed and checked."""

from __future__ import annotations

import ast
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import polars as pl

from ultr.errors import DataError
from ultr.logs.mapping import Mapping, Name
from ultr.logs.rows import LINE, SPAN, TEXT, WHY

LISTS = ("document", "position", "click", "dwell_s", "media_type", "height_px")
_TRUE, _FALSE = ("1", "1.0", "true", "True", "TRUE"), ("0", "0.0", "false", "False", "FALSE")
_EARLIEST, _LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)


def named(frame: pl.DataFrame, mapping: Mapping, path: Path) -> pl.DataFrame:
    """Our names for the mapped columns: text, but for the time and, in a table of pages, lists.

    Raises:
        DataError: a mapped column is not there, or holds what is no text, number or list.
    """
    wanted: dict[str, Name] = {
        ours: theirs for ours, theirs in vars(mapping.columns).items() if theirs is not None
    }
    missing = [str(theirs) for theirs in wanted.values() if str(theirs) not in frame.columns]
    if missing:
        known = [c for c in frame.columns if c not in (LINE, SPAN, TEXT, WHY)]
        raise DataError(
            "every mapped column must be in the file",
            got=f"{path} has no {', '.join(missing)}",
            hint=f"its columns are: {', '.join(known[:40])}; give a --mapping file",
        )
    out = frame.select(LINE, SPAN, TEXT, WHY)
    for ours, theirs in wanted.items():
        column = frame[str(theirs)]
        try:
            if mapping.layout == "page" and ours in LISTS:
                out = out.with_columns(_as_list(column, mapping).alias(ours))
            elif ours == "time":
                out = _with_time(out, column, mapping)
            else:
                out = out.with_columns(column.cast(pl.String).alias(ours))
        except pl.exceptions.PolarsError as error:
            raise DataError(
                "a mapped column holds text, numbers or lists of them",
                got=f"{path}: {theirs} is of type {column.dtype}: {error}",
                hint="convert the column, or map another one",
            ) from error
    if mapping.columns.query is None:
        out = out.with_columns(query=pl.lit(mapping.constants.query))
    return out


def checked(frame: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """Typed columns, and why a row cannot be used; first what was found first."""
    base = mapping.options.position_base if mapping.columns.position is not None else 1
    text = {c: pl.col(c).cast(pl.String) for c in frame.columns}
    number = {
        c: text[c].cast(pl.Float64, strict=False)
        for c in ("position", "dwell_s", "height_px", "weight")
        if c in text
    }
    rank = number["position"] + (1 - base)
    is_rank = (rank == rank.floor()) & rank.is_between(1, 32767)
    single = {c: v.cast(pl.Float32) for c, v in number.items() if c in ("dwell_s", "height_px")}
    real = single | {c: v for c, v in number.items() if c == "weight"}
    click = _click(text["click"], mapping)
    reasons = [
        (text["query"].fill_null("") == "", "no query"),
        (text["document"].fill_null("") == "", "no document"),
        (~is_rank.fill_null(value=False), f"position is not a whole number from {base}"),
        (click.is_null(), "click is neither 0 nor 1"),
        *((_breaks(text[c], v), f"{c} is not a number from 0") for c, v in real.items()),
    ]
    return frame.with_columns(
        pl.when(is_rank).then(rank).cast(pl.Int16).alias("position"),
        click.alias("click"),
        text["document"],
        *(pl.when(v.is_finite()).then(v).alias(c) for c, v in real.items()),
        *(text[c] for c in ("media_type",) if c in text),
        pl.coalesce(WHY, *(pl.when(broken).then(pl.lit(why)) for broken, why in reasons)).alias(
            WHY
        ),
    )


def _click(text: pl.Expr, mapping: Mapping) -> pl.Expr:
    true = mapping.options.click_true
    if true:
        # TOML writes true where Polars writes the same in lower case.
        values = [str(v).lower() if isinstance(v, bool) else str(v) for v in true]
        return text.is_in(values).cast(pl.Int8)
    return (
        pl.when(text.is_in(_TRUE))
        .then(pl.lit(1, pl.Int8))
        .when(text.is_in(_FALSE))
        .then(pl.lit(0, pl.Int8))
    )


def _breaks(text: pl.Expr, number: pl.Expr) -> pl.Expr:
    is_good = number.is_finite() & (number >= 0)
    return text.is_not_null() & (text != "") & ~is_good.fill_null(value=False)


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
    text = pl.col("t").str.strip_chars().str.replace(r" ?UTC$", "Z").str.replace(" ", "T")
    naive = ("%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M")
    forms = [
        text.str.to_datetime(
            "%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", time_zone="UTC", strict=False
        ),
        *(
            text.str.to_datetime(f, time_unit="us", strict=False).dt.replace_time_zone("UTC")
            for f in naive
        ),
        text.str.to_date("%Y-%m-%d", strict=False)
        .cast(pl.Datetime("us"))
        .dt.replace_time_zone("UTC"),
    ]
    return pl.DataFrame({"t": column.cast(pl.String)}).select(pl.coalesce(forms)).to_series()


def _as_list(column: pl.Series, mapping: Mapping) -> pl.Series:
    """Lists of text; text such as `[1, 2]` or `['a', 'b']` is parsed, never executed."""
    if isinstance(column.dtype, pl.List | pl.Array):
        inner = pl.List(pl.String)
        return column.cast(pl.List(column.dtype.inner)).cast(inner)
    form = mapping.options.list_format
    parsed = [_parse_list(text, form) for text in column.cast(pl.String)]
    return pl.Series(column.name, parsed, dtype=pl.List(pl.String))


def _parse_list(
    text: str | None, form: Literal["auto", "json", "python"]
) -> list[str | None] | None:
    for parse, name in ((json.loads, "json"), (ast.literal_eval, "python")):
        if form not in ("auto", name):
            continue
        try:
            value = parse(text or "")
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        if isinstance(value, list | tuple):
            return [None if v is None else str(v) for v in value]
    return None
