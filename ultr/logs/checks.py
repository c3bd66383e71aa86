"""The values of a user's table, typed, and why a row cannot be used."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from ultr.logs.mapping import FEATURE, FEEDBACK, Mapping
from ultr.logs.rows import WHY

_TRUE, _FALSE = ("1", "1.0", "true", "True", "TRUE"), ("0", "0.0", "false", "False", "FALSE")
_SIZES = ("dwell_s", "height_px", "max_height_px", "top_px", "weight")
"""Numbers from 0."""

_COUNTS = ("abstract_length",)
"""Whole numbers from 0."""

_MOST = 2**31 - 1


def checked(frame: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """Typed columns, and why a row cannot be used; first what was found first."""
    base = mapping.options.position_base if mapping.columns.position is not None else 1
    text = {c: pl.col(c).cast(pl.String) for c in frame.columns}
    rank = _number(text["position"]) + (1 - base)
    is_rank = (rank == rank.floor()) & rank.is_between(1, 32767)
    click = _click(text["click"], mapping)
    reasons = [
        (text["query"].fill_null("") == "", "no query"),
        (text["document"].fill_null("") == "", "no document"),
        (~is_rank.fill_null(value=False), f"position is not a whole number from {base}"),
        (click.is_null(), "click is neither 0 nor 1"),
    ]
    typed = []
    for name in frame.columns:
        value, rule = _typed(name, text[name])
        if value is not None:
            is_said = text[name].is_not_null() & (text[name] != "")
            reasons.append((is_said & value.is_null(), f"{name.replace(':', ' ')} is not {rule}"))
            typed.append(value.alias(name))
    return frame.with_columns(
        pl.when(is_rank).then(rank).cast(pl.Int16).alias("position"),
        click.alias("click"),
        text["document"],
        *typed,
        *(text[c] for c in ("media_type", "document_title", "document_text") if c in text),
        pl.coalesce(WHY, *(pl.when(broken).then(pl.lit(why)) for broken, why in reasons)).alias(
            WHY
        ),
    )


def _typed(name: str, text: pl.Expr) -> tuple[pl.Expr | None, str]:
    """The value, null where it breaks the rule, and the rule; None where there is none."""
    number = _number(text)
    if name in _SIZES:
        kind = pl.Float64 if name == "weight" else pl.Float32
        return _where(number.cast(kind), lambda v: v.is_finite() & (v >= 0)), "a number from 0"
    if name in _COUNTS:
        return _whole(number), "a whole number from 0"
    if name.startswith(FEEDBACK):
        said = pl.when(text.is_in(_TRUE)).then(1.0).when(text.is_in(_FALSE)).then(0.0)
        return _whole(said.otherwise(number)), "a whole number from 0"
    if name.startswith(FEATURE):
        is_true, is_false = text.is_in(_TRUE), text.is_in(_FALSE)
        said = pl.when(is_true).then(1.0).when(is_false).then(0.0)
        value = said.otherwise(number).cast(pl.Float32)
        return _where(value, pl.Expr.is_finite), "a finite number"
    return None, ""


def _number(text: pl.Expr) -> pl.Expr:
    return text.cast(pl.Float64, strict=False)


def _whole(number: pl.Expr) -> pl.Expr:
    is_whole = (number == number.floor()) & number.is_between(0, _MOST)
    return pl.when(is_whole).then(number).cast(pl.Int32)


def _where(value: pl.Expr, holds: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    return pl.when(holds(value)).then(value)


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
