"""Any table of impressions or pages (CSV, JSON lines, Parquet), through a column mapping."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator
from pathlib import Path

import polars as pl

from ultr.errors import DataError
from ultr.logs.checks import checked
from ultr.logs.chunk import (
    DOCUMENT_SCHEMA,
    PAGE_SCHEMA,
    REJECT_SCHEMA,
    Chunk,
    as_pages,
    as_rejects,
)
from ultr.logs.fast import Wanted
from ultr.logs.mapping import (
    DEFAULT_NAMES,
    FEATURE,
    FEEDBACK,
    REQUIRED_NAMES,
    Mapping,
    default_mapping,
)
from ultr.logs.parquet import names_in, read_parquet
from ultr.logs.raw import is_parquet
from ultr.logs.rows import LINE, SPAN, TEXT, WHY, Rows, is_json, read_head, read_text
from ultr.logs.spill import by_key
from ultr.logs.values import lists_in, missing_columns, named

_OURS = {"query": "query_key", "document": "doc_key", "page": "page_id", "session": "session_id",
         "user": "user_id", "time": "shown_at"}  # fmt: skip
_TEXTS = {"document_title": "title", "document_text": "text"}
_NUMBERS = ("position", "dwell_s", "height_px", "max_height_px", "top_px", "abstract_length",
            "weight")  # fmt: skip
_EACH_ROW = ("query", "document", "position", "click", "page")
"""Ours that each row has, so that the first ones do."""

_EXPANSION = 8
"""Text per byte of a compressed file, to guess how much there is."""


def read(path: Path, *, mapping: Mapping | None = None) -> Generator[Chunk]:
    """Read a table in chunks of whole pages.

    Without a mapping the columns are named as in a lake (`query_id, doc_id, position, click`, and
    `page_id`, `session_id` … where there are such), one row per page where the cells hold lists.
    In the impression layout the rows with the same page (or, without one, the same session, user,
    query and time) make a page, wherever they stand; a row that cannot be used takes its whole page
    with it, since a page with a hole would show a false non-click. With nothing to tell pages apart
    each row is one.

    Raises:
        DataError: a missing, empty or damaged file, or one without a mapped column.
    """
    head, blocks = _head(path, mapping), _blocks(path, mapping)
    if head is None or not head.height:
        first = next(blocks)
        head, blocks = first.frame, itertools.chain([first], blocks)
    chosen = mapping or _default(head)
    parts = _named(blocks, chosen, path, head, is_guessed=mapping is None)
    if chosen.layout == "page":
        for part in parts:
            yield _chunk(checked(_unlisted(part.frame), chosen), part)
        return
    one = next(parts)
    keys = _page_keys(one.frame)
    second = next(parts, None)
    if second is None or not keys:
        rest = [] if second is None else [second]
        for part in itertools.chain([one], rest, parts):
            yield _chunk(checked(_paged(part.frame, keys), chosen), part)
        return
    yield from _spilled(itertools.chain([one, second], parts), keys, chosen, path)


def _spilled(
    parts: Iterator[Rows], keys: list[str], mapping: Mapping, path: Path
) -> Iterator[Chunk]:
    """Chunks of a file whose pages may be spread over all its blocks."""
    ignored, rows, size = 0, 0, path.stat().st_size

    def frames() -> Iterator[pl.DataFrame]:
        nonlocal ignored, rows
        for part in parts:
            ignored, rows = ignored + part.ignored, rows + part.frame.height
            yield part.frame

    for share in by_key(frames(), keys=keys, text_bytes=size * _EXPANSION):
        done = Rows(share, 0, size * share.height // rows)
        yield _chunk(checked(_paged(share.sort(LINE), keys), mapping), done)
    nothing = PAGE_SCHEMA.to_frame(), REJECT_SCHEMA.to_frame()
    yield Chunk(*nothing, lines=ignored, used=0, ignored=ignored)


def _head(path: Path, mapping: Mapping | None) -> pl.DataFrame | None:
    """The first rows of a text: what they have is what the file has, whatever its blocks."""
    if is_parquet(path):
        return None
    delimiter, header = _form(mapping)
    wanted = wanted_columns(mapping)
    frame = read_head(path, delimiter=delimiter, header=header, wanted=wanted).frame
    if mapping is None and is_json(path):
        # A key that is always null is not there: the quick parser does not look for such.
        frame = frame.drop(c.name for c in frame if c.null_count() == len(c) and c.name != WHY)
    return frame


def _blocks(path: Path, mapping: Mapping | None) -> Iterator[Rows]:
    wanted = wanted_columns(mapping)
    if is_parquet(path):
        names = names_in(path)
        return read_parquet(path, columns=[c for c in wanted.names if c in names] or names)
    delimiter, header = _form(mapping)
    return read_text(path, delimiter=delimiter, header=header, wanted=wanted)


def _form(mapping: Mapping | None) -> tuple[str, bool]:
    return (",", True) if mapping is None else (mapping.delimiter, mapping.options.header)


def wanted_columns(mapping: Mapping | None) -> Wanted:
    """The user's columns that a mapping reads; without one, those that have our names."""
    if mapping is None:
        numeric = frozenset(n for n in DEFAULT_NAMES if n in _NUMBERS)
        return Wanted(DEFAULT_NAMES, REQUIRED_NAMES, numeric)
    names: dict[str, bool] = {}
    for ours, theirs in mapping.taken.items():
        is_number = ours in _NUMBERS or ours.startswith((FEATURE, FEEDBACK))
        names[str(theirs)] = names.get(str(theirs), True) and is_number
    return Wanted(tuple(names), tuple(names), frozenset(n for n, is_n in names.items() if is_n))


def _default(frame: pl.DataFrame) -> Mapping:
    return default_mapping(frame.columns, layout="page" if _holds_lists(frame) else "impression")


def _holds_lists(frame: pl.DataFrame) -> bool:
    if "doc_id" not in frame.columns:
        return False
    column = frame["doc_id"]
    if column.dtype == pl.String:
        return bool(column.str.starts_with("[").any())
    return isinstance(column.dtype, pl.List | pl.Array)


def _named(
    blocks: Iterator[Rows], mapping: Mapping, path: Path, head: pl.DataFrame, *, is_guessed: bool
) -> Iterator[Rows]:
    """Blocks with our names. JSON leaves a key out where it has no value, be it in all of a block.

    Raises:
        DataError: as of `named`; or a column first comes after the head, where only that says what
            the columns are.
    """
    wanted = {str(theirs): ours for ours, theirs in mapping.taken.items()}
    missing = {name for name in wanted if name not in head.columns}
    if not head.height and set(head.columns) <= {LINE, SPAN, TEXT, WHY}:
        raise DataError(
            "a log must not be empty",
            got=f"{path} has blank lines only",
            hint="check the export, leave the file out, or say --on-bad-file skip",
        )
    if any(wanted[name] in _EACH_ROW for name in missing):
        raise missing_columns(sorted(missing), head.columns, path)
    lacking = {name: pl.lit(None).alias(name) for name in wanted}
    named(head.with_columns(lacking[name] for name in missing), mapping, path)
    is_text = not is_parquet(path)
    for block in blocks:
        late = [c.name for c in block.frame if c.name not in wanted and _is_late(c)]
        if is_guessed and late:
            raise DataError(
                "without a mapping, the first lines of a file have all of its columns",
                got=f"{path}: {', '.join(late)} first comes after them",
                hint="give a --mapping file; ultr ingest --guess proposes one",
            )
        missing -= set(block.frame.columns)
        absent = [c for name, c in lacking.items() if name not in block.frame.columns]
        frame = named(block.frame.with_columns(absent), mapping, path, is_strict=not is_text)
        yield block._replace(frame=frame)
    if missing:
        raise missing_columns(sorted(missing), head.columns, path)


def _is_late(column: pl.Series) -> bool:
    return column.name in DEFAULT_NAMES and column.null_count() < len(column)


def _page_keys(frame: pl.DataFrame) -> list[str]:
    """The columns that rows of one page share; none where nothing tells pages apart."""
    if "page" in frame.columns:
        return ["page"]
    keys = [c for c in frame.columns if c in ("session", "user", "query", "time")]
    return keys if {"session", "user"} & set(keys) else []


def _paged(frame: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    """Number the pages of an impression table: `row_page`, the first line of each."""
    if not keys:
        return frame.with_columns(row_page=LINE)
    telling = [c for c in keys if c in ("page", "session", "user")]
    is_told = pl.any_horizontal(pl.col(c).fill_null("") != "" for c in telling)
    first = pl.col(LINE).min().over(keys)
    is_said = pl.col("query").fill_null("") != ""  # a row without a query is told as such
    queries = pl.col("query").filter(is_said).n_unique().over(keys)
    why = (
        pl.when(~is_told)
        .then(pl.lit(f"no {' or '.join(telling)}"))
        .when(queries > 1)
        .then(pl.lit("page with two queries"))
    )
    return frame.with_columns(
        pl.coalesce(WHY, why).alias(WHY),
        row_page=pl.when(is_told).then(first).otherwise(pl.col(LINE)),
    )


def _unlisted(frame: pl.DataFrame) -> pl.DataFrame:
    """One row per impression of a table of pages; a page that cannot be, keeps one row."""
    lists = lists_in(frame.columns)
    size = pl.col("document").list.len()
    same = pl.all_horizontal(pl.col(c).list.len().eq_missing(size) for c in lists)
    why = (
        pl.when(pl.any_horizontal(pl.col(c).is_null() for c in lists))
        .then(pl.lit("cell that is no list"))
        .when(size == 0)
        .then(pl.lit("page without a document"))
        .when(~same)
        .then(pl.lit("lists of different lengths"))
    )
    frame = frame.with_columns(pl.coalesce(WHY, why).alias(WHY), row_page=LINE)
    whole, broken = frame.filter(pl.col(WHY).is_null()), frame.filter(pl.col(WHY).is_not_null())
    if "position" not in frame.columns:
        ranks = pl.int_ranges(1, size + 1).cast(pl.List(pl.String))
        whole, lists = whole.with_columns(position=ranks), [*lists, "position"]
    exploded = whole.explode(lists, empty_as_null=False, keep_nulls=True)
    return pl.concat([exploded, broken.drop(lists, strict=False)], how="diagonal")


def _chunk(frame: pl.DataFrame, block: Rows) -> Chunk:
    """Pages of checked rows; a page takes the first reason of its rows."""
    twice = pl.struct("row_page", "position").is_duplicated() & pl.col("position").is_not_null()
    why = pl.when(twice).then(pl.lit("position used twice on its page"))
    frame = frame.with_columns(pl.coalesce(WHY, why).alias(WHY)).with_columns(
        page_reason=pl.col(WHY).drop_nulls().first().over("row_page")
    )
    good = frame.filter(pl.col("page_reason").is_null())
    broken = frame.filter(pl.col("page_reason").is_not_null()).unique(LINE)
    rejects = broken.select(
        pl.int_ranges(pl.col(LINE), pl.col(LINE) + pl.col(SPAN)).alias("line"),
        pl.col(TEXT).alias("text"),
        reason="page_reason",
    ).explode("line", empty_as_null=False, keep_nulls=False)
    used = int(good.unique(LINE)[SPAN].sum())
    return Chunk(
        pages=_pages(good),
        rejects=as_rejects([rejects]),
        lines=int(block.frame[SPAN].sum()) + block.ignored,
        used=used,
        ignored=block.ignored,
        size=block.size,
        documents=_documents(good),
    )


def _pages(good: pl.DataFrame) -> pl.DataFrame:
    features = [c for c in good.columns if c.startswith(FEATURE)]
    if features:
        good = good.with_columns(log_features=pl.concat_list(features))
    actions = [c for c in good.columns if c.startswith(FEEDBACK)]
    lists = [c for c in lists_in(good.columns) if c not in (*features, *_TEXTS)]
    lists += ["log_features"] if features else []
    own = (*lists, *features, *_TEXTS, LINE, SPAN, TEXT, WHY, "page_reason", "row_page")
    pages = (
        good.sort("row_page", "position")
        .group_by("row_page", maintain_order=True)
        .agg(pl.col(lists), *(pl.col(c).first() for c in good.columns if c not in own))
        .rename({"row_page": "ordinal"})
    )
    if actions:
        counted = [
            pl.struct(pl.lit(c.removeprefix(FEEDBACK)).alias("action"), pl.col(c).alias("count"))
            for c in actions
        ]
        pages = pages.with_columns(feedback=pl.concat_list(counted))
    return as_pages(pages.rename({k: v for k, v in _OURS.items() if k in pages.columns}))


def _documents(good: pl.DataFrame) -> pl.DataFrame | None:
    """What the log says of each document, where it says more than its key."""
    texts = {ours: theirs for ours, theirs in _TEXTS.items() if ours in good.columns}
    if not texts:
        return None
    found = good.group_by(pl.col("document").alias("doc_key")).agg(
        pl.col(ours).drop_nulls().first().alias(theirs) for ours, theirs in texts.items()
    )
    lacking = [pl.lit(None, t).alias(n) for n, t in DOCUMENT_SCHEMA.items() if n not in found]
    return found.with_columns(lacking).select(DOCUMENT_SCHEMA.names())
