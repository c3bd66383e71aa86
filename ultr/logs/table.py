"""Any table of impressions or pages (CSV, JSON lines, Parquet), through a column mapping."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from ultr.errors import DataError
from ultr.logs.chunk import Chunk, as_pages, as_rejects
from ultr.logs.mapping import Mapping, Name, default_mapping
from ultr.logs.rows import Rows, read_rows

_LISTS = ("document", "position", "click", "dwell_s", "media_type", "height_px")
_TRUE, _FALSE = ("1", "1.0", "true", "True", "TRUE"), ("0", "0.0", "false", "False", "FALSE")


def read(path: Path, *, mapping: Mapping | None = None) -> Iterator[Chunk]:
    """Read a table as one chunk.

    Without a mapping the columns are `query_id, doc_id, position, click` and `session_id`, one row
    per page where the cells hold lists. In the impression layout the rows with the same page (or,
    without one, the same session or user, query and time) make a page; a row that cannot be used
    takes its whole page with it, since a page with a hole would show a false non-click.

    Raises:
        DataError: a missing, empty or damaged file, or one without a mapped column.
    """
    chosen = mapping or default_mapping("impression")
    rows = read_rows(path, delimiter=chosen.delimiter, header=chosen.options.header)
    if mapping is None and _holds_lists(rows.frame):
        chosen = default_mapping("page")
    frame = _named(rows.frame, chosen, path)
    frame = _unlisted(frame) if chosen.layout == "page" else _paged(frame)
    frame = _checked(frame, chosen)
    yield _chunk(frame, rows)


def _holds_lists(frame: pl.DataFrame) -> bool:
    if "doc_id" not in frame.columns:
        return False
    column = frame["doc_id"]
    if column.dtype == pl.String:
        return bool(column.str.starts_with("[").any())
    return isinstance(column.dtype, pl.List | pl.Array)


def _named(frame: pl.DataFrame, mapping: Mapping, path: Path) -> pl.DataFrame:
    """`line, text` and our names for the mapped columns."""
    wanted: dict[str, Name] = {
        ours: theirs for ours, theirs in vars(mapping.columns).items() if theirs is not None
    }
    if mapping == default_mapping(mapping.layout) and "session_id" not in frame.columns:
        wanted.pop("session")
    missing = [str(theirs) for theirs in wanted.values() if str(theirs) not in frame.columns]
    if missing:
        known = [c for c in frame.columns if c not in ("line", "text")]
        raise DataError(
            "every mapped column must be in the file",
            got=f"{path} has no {', '.join(missing)}",
            hint=f"its columns are: {', '.join(known[:40])}; give a --mapping file",
        )
    columns = [pl.col(str(theirs)).alias(ours) for ours, theirs in wanted.items()]
    named = frame.select("line", "text", *columns)
    if mapping.constants.query is not None and mapping.columns.query is None:
        named = named.with_columns(query=pl.lit(mapping.constants.query))
    return named


def _paged(frame: pl.DataFrame) -> pl.DataFrame:
    """Number the pages of an impression table: `row_page`, the first line of each."""
    keys = ["page"]
    if "page" not in frame.columns:
        keys = [c for c in ("session", "user", "query", "time") if c in frame.columns]
        if not {"session", "user"} & set(keys):
            return frame.with_columns(row_page="line")  # nothing tells pages apart: each row is one
    return frame.with_columns(row_page=pl.col("line").min().over(keys), reason=_inconsistent(frame))


def _inconsistent(frame: pl.DataFrame) -> pl.Expr:
    """A page has one query."""
    if "page" not in frame.columns or "query" not in frame.columns:
        return pl.lit(None, pl.String)
    differs = pl.col("query").n_unique().over("page") > 1
    return pl.when(differs).then(pl.lit("page with two queries"))


def _unlisted(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per impression of a table of pages; a page that cannot be, keeps one row."""
    lists = [c for c in _LISTS if c in frame.columns]
    frame = frame.with_columns(_as_list(frame[c]) for c in lists).with_columns(row_page="line")
    size = pl.col("document").list.len()
    same = pl.all_horizontal(pl.col(c).list.len().eq_missing(size) for c in lists)
    frame = frame.with_columns(
        reason=pl.when(pl.any_horizontal(pl.col(c).is_null() for c in lists))
        .then(pl.lit("cell that is no list"))
        .when(size == 0)
        .then(pl.lit("page without a document"))
        .when(~same)
        .then(pl.lit("lists of different lengths"))
    )
    whole = frame.filter(pl.col("reason").is_null())
    if "position" not in frame.columns:
        whole = whole.with_columns(position=pl.int_ranges(1, size + 1))
        lists = [*lists, "position"]
    broken = frame.filter(pl.col("reason").is_not_null()).drop(lists, strict=False)
    exploded = whole.explode(lists, empty_as_null=False, keep_nulls=True)
    return pl.concat([exploded, broken], how="diagonal")


def _as_list(column: pl.Series) -> pl.Series:
    """Lists as they are; text such as `[1, 2]` or `['a', 'b']` parsed, never executed."""
    if column.dtype != pl.String:
        if isinstance(column.dtype, pl.List):
            return column
        return column.cast(pl.List(column.dtype.inner), strict=False)  # type: ignore[attr-defined]
    return pl.Series(column.name, [_parse_list(t) for t in column], dtype=pl.List(pl.String))


def _parse_list(text: str | None) -> list[str | None] | None:
    try:
        value = ast.literal_eval(text or "")
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(value, list | tuple):
        return None
    return [None if v is None else str(v) for v in value]


def _checked(frame: pl.DataFrame, mapping: Mapping) -> pl.DataFrame:
    """Typed columns, and why a row cannot be used; a page takes its first reason."""
    base = mapping.options.position_base
    if "reason" not in frame.columns:
        frame = frame.with_columns(reason=pl.lit(None, pl.String))
    text = {c: pl.col(c).cast(pl.String) for c in frame.columns}
    number = {c: t.cast(pl.Float64, strict=False) for c, t in text.items()}
    click = (
        pl.when(text["click"].is_in(_TRUE))
        .then(pl.lit(1, pl.Int8))
        .when(text["click"].is_in(_FALSE))
        .then(pl.lit(0, pl.Int8))
    )
    rank = number["position"] + (1 - (base if mapping.columns.position is not None else 1))
    is_rank = rank.is_finite() & (rank == rank.floor()) & rank.is_between(1, 32767)
    checks = [
        (text["query"].fill_null("") == "", "no query"),
        (text["document"].fill_null("") == "", "no document"),
        (~is_rank.fill_null(value=False), f"position is not a whole number from {base}"),
        (click.is_null(), "click is neither 0 nor 1"),
        *[
            (_is_no_number(text[c], number[c]), f"{c} is not a number")
            for c in ("dwell_s", "height_px", "weight")
            if c in frame.columns
        ],
    ]  # fmt: skip
    reason = pl.col("reason")
    for broken, why in checks:
        reason = pl.coalesce(reason, pl.when(broken).then(pl.lit(why)))
    typed = frame.with_columns(
        pl.when(is_rank).then(rank).cast(pl.Int16).alias("position"),
        click.alias("click"),
        text["query"],
        text["document"],
        *[number[c].cast(pl.Float32) for c in ("dwell_s", "height_px") if c in text],
        *[number[c] for c in ("weight",) if c in text],
        *[text[c] for c in ("media_type", "device", "session", "user", "query_text") if c in text],
        *([_time(text["time"], mapping).alias("time")] if "time" in text else []),
        reason=reason,
    )
    twice = pl.struct("row_page", "position").is_duplicated() & pl.col("position").is_not_null()
    if "time" in text:
        bad_time = pl.col("time").is_null() & text["time"].is_not_null()
        typed = (
            typed.with_columns(
                reason=pl.coalesce("reason", pl.when(bad_time).then(pl.lit("time cannot be read")))
            )
            if mapping.options.time_unit != "iso"
            else typed
        )
    return typed.with_columns(
        reason=pl.coalesce("reason", pl.when(twice).then(pl.lit("position used twice on its page")))
    ).with_columns(page_reason=pl.col("reason").drop_nulls().first().over("row_page"))


def _is_no_number(text: pl.Expr, number: pl.Expr) -> pl.Expr:
    return text.is_not_null() & (text != "") & ~number.is_finite().fill_null(value=False)


def _time(text: pl.Expr, mapping: Mapping) -> pl.Expr:
    zoned = pl.Datetime("us", "UTC")
    if mapping.options.time_unit == "iso":
        return text.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    factor = 1_000 if mapping.options.time_unit == "ms" else 1_000_000
    return (text.cast(pl.Float64, strict=False) * factor).cast(pl.Int64, strict=False).cast(zoned)


def _chunk(frame: pl.DataFrame, rows: Rows) -> Chunk:
    good = frame.filter(pl.col("page_reason").is_null())
    broken = frame.filter(pl.col("page_reason").is_not_null()).unique("line")
    renamed = {
        "query": "query_key",
        "document": "doc_key",
        "session": "session_id",
        "user": "user_id",
        "time": "shown_at",
    }
    good = good.rename({k: v for k, v in renamed.items() if k in good.columns})
    lists = ["doc_key", "position", "click", "dwell_s", "media_type", "height_px"]
    held = [c for c in good.columns if c not in (*lists, "line", "text", "reason", "page_reason")]
    pages = (
        good.sort("row_page", "position")
        .group_by("row_page", maintain_order=True)
        .agg(
            *[pl.col(c) for c in lists if c in good.columns],
            *[pl.col(c).first() for c in held if c not in ("row_page", "page")],
        )
        .rename({"row_page": "ordinal"})
    )
    rejects = [broken.select("line", "text", reason="page_reason")]
    if rows.rejects.height:
        rejects.append(rows.rejects)
    return Chunk(
        pages=as_pages(pages),
        rejects=as_rejects(rejects),
        lines=rows.lines,
        used=good["line"].n_unique(),
        ignored=rows.ignored,
        size=rows.size,
    )
