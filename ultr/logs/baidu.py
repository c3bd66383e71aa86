"""Baidu-ULTR sessions: a header line opens a page, then a line per shown document.

A header has 3 columns (qid, query, reformulation), a document line 32 (`baidu_columns`). Tokens
stand as numbers joined by byte 1; they are kept with a space between them. `-` is missing, and so
is an empty number. Two documents are known by their titles: `21429` is one that the log's makers
could not find, and `3742 11492 12169 5061 16905` the widget "others searched"; both were shown, so
they keep their rows.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from ultr.logs import letters
from ultr.logs.baidu_columns import (
    DOCUMENT_WIDTH,
    HEADER_WIDTH,
    MISSING,
    NUMBER_TYPES,
    REAL,
    Pages,
    parsed,
    widths,
)
from ultr.logs.baidu_lines import checked
from ultr.logs.chunk import REJECT_SCHEMA, Chunk, as_pages
from ultr.logs.raw import Block, blocks, is_utf8

SEPARATOR = b"\x01"
"""Stands between tokens."""

_TAIL_BYTES = 1 << 16
"""Where a page of thirty documents nearly always begins."""

_LISTS = ("position", "media_type", "abstract_length", *NUMBER_TYPES)


def read(path: Path) -> Generator[Chunk]:
    """Read Baidu-ULTR sessions in chunks cut between pages.

    The query's key is its tokens, since different queries share a qid. A line that cannot be used
    takes its whole page with it, since a page with a hole would show a false non-click.

    Raises:
        DataError: the file is missing, empty or damaged.
    """
    for block in blocks(path, cut=_before_last_page):
        pages = _clean(block)
        if pages is None:
            spaced = block._replace(data=letters.replaced(block.data, SEPARATOR, b" "))
            yield _chunk(block, *checked(spaced))
        else:
            yield _chunk(block, pages, REJECT_SCHEMA.to_frame(), 0)


def _before_last_page(data: bytes) -> int:
    """Cut where the last header line begins: the next block may continue its page."""
    tail = max(0, len(data) - _TAIL_BYTES)
    return _last_header(data, tail) or (_last_header(data, 0) if tail else 0)


def _last_header(data: bytes, begin: int) -> int:
    """Where the last whole header line behind `begin` starts, 0 without one."""
    tail = data[begin:]
    # The first line may have begun before, and at 0 there is nothing to cut off.
    header = np.flatnonzero(widths(tail)[1:] == HEADER_WIDTH)
    return begin + int(letters.places(tail, b"\n")[header[-1]]) + 1 if len(header) else 0


def _clean(block: Block) -> Pages | None:
    """The pages of a block in which nothing is odd; None sends it to `checked`, line by line."""
    if block.too_long or not is_utf8(block.data):
        return None
    try:
        frame = parsed(block.data, first_line=block.first_line)
    except pl.exceptions.PolarsError:
        return None
    is_header = frame["click"].is_null()
    begin = np.flatnonzero(is_header.to_numpy())
    size = np.diff(begin, append=frame.height) - 1
    # No line has fewer tabs than its kind needs; if all together have no more, none has.
    tabs = len(begin) * (HEADER_WIDTH - 1) + int(size.sum()) * (DOCUMENT_WIDTH - 1)
    if letters.count(block.data, b"\t") != tabs or frame.height != block.lines:
        return None
    if not len(begin) or begin[0] > 0 or size.min() < 1:
        return None
    document = frame.filter(~is_header)
    if any(letters.has(document[name], SEPARATOR) for name in ("key", "media_type")):
        return None  # tokens stand in the other texts, whose separators `_chunk` looks after
    document = document.with_columns(_abstract_length(document["abstract"]))
    header = frame.select("line", "key", "title", "abstract").filter(is_header)
    pages = Pages(header, document, size)
    return pages if _are_clean(pages) else None


def _abstract_length(abstract: pl.Series) -> pl.Series:
    """Tokens, between which stands a separator or, once it is replaced, a space."""
    tokens = letters.counts_within(abstract, SEPARATOR + b" ") + 1
    return pl.Series("abstract_length", tokens).set(abstract.is_null(), None)


def _are_clean(pages: Pages) -> bool:
    header, document = pages.header, pages.document
    is_header = pl.col("key", "title").is_not_null(), pl.col("abstract").is_null()
    is_document = (
        pl.col("key", "end").is_not_null(),
        pl.col("position") >= 1,
        pl.col("click").is_between(0, 1),
        pl.col(REAL).is_finite(),
    )
    if not all(header.select(pl.all_horizontal(is_header).all()).row(0)):
        return False
    if document["position"].null_count():
        return False
    if not all(document.select(pl.all_horizontal(is_document).all()).row(0)):
        return False
    position = document["position"].to_numpy()
    rises = position[1:] > position[:-1]
    rises[np.cumsum(pages.size)[:-1] - 1] = True  # from one page to the next
    return bool(rises.all())


def _chunk(block: Block, pages: Pages, rejects: pl.DataFrame, ignored: int) -> Chunk:
    header, document, size = pages
    offsets = pa.array(np.concatenate([[0], np.cumsum(size)]), pa.int64())

    def listed(column: pl.Series) -> pl.Series:
        values = column.to_arrow(compat_level=pl.CompatLevel.newest())  # texts are not copied
        return pl.Series(column.name, pa.LargeListArray.from_arrays(offsets, values))

    query = _spaced(header["key"]).alias("query_key")
    frame = pl.DataFrame(
        [
            header["line"].alias("ordinal"),
            query,
            query.alias("query_text"),
            _spaced(header["title"]).replace(MISSING, None).alias("reformulation"),
            listed(document["key"].alias("doc_key")),
            *(listed(document[name]) for name in _LISTS),
        ]
    )
    return Chunk(
        pages=as_pages(frame),
        rejects=rejects,
        lines=block.lines,
        used=block.lines - rejects.height - ignored,
        ignored=ignored,
        size=block.size,
        documents=document.select(
            pl.col("key").alias("doc_key"), pl.col("title").replace(MISSING, None), text="abstract"
        ),
        separator=SEPARATOR,
    )


def _spaced(column: pl.Series) -> pl.Series:
    text = column.to_arrow(compat_level=pl.CompatLevel.oldest())
    return pl.Series(letters.replaced_within(text, SEPARATOR, b" "))
