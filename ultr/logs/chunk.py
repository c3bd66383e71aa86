"""What every reader yields: whole pages, what was rejected, and the sum of the lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from ultr.schema import EVENTS, SESSIONS

REJECT_TEXT_BYTES = 1024
"""A rejected line is kept up to this length."""

_NOT_READ = ("source", "period", "query_id", "doc_id")
"""Columns of `sessions` that ingest adds: a reader gives keys, not ids."""

_COLUMNS = pl.DataFrame(SESSIONS.arrow().empty_table()).schema
PAGE_SCHEMA = pl.Schema(
    {name: dtype for name, dtype in _COLUMNS.items() if name not in _NOT_READ}
    | {"query_key": pl.String(), "query_text": pl.String(), "doc_key": pl.List(pl.String())}
)
"""A page as a reader gives it: keys as they stand in the log, lists parallel and by position."""

DOCUMENT_SCHEMA = pl.Schema({"doc_key": pl.String, "title": pl.String, "text": pl.String})

EVENT_STATES = ("attached", "repeated", "unattached")
"""What a reader that joins by itself did with an event."""

_EVENT_COLUMNS = pl.DataFrame(EVENTS.arrow().empty_table()).schema
EVENT_SCHEMA = pl.Schema(
    {n: t for n, t in _EVENT_COLUMNS.items() if n not in (*_NOT_READ, "hit_doc_id")}
    | {
        "query_key": pl.String(),
        "doc_key": pl.String(),
        "hit_doc_key": pl.List(pl.String()),
        "state": pl.Enum(EVENT_STATES),
    }
)
"""An event as a reader gives it: keys as in the log, and `state` where it joins by itself."""

REJECT_SCHEMA = pl.Schema({"line": pl.Int64, "reason": pl.String, "text": pl.String})


@dataclass(frozen=True)
class Chunk:
    """A share of a file, cut between pages.

    Every line read is used, a repeat of an event, ignored (blank, header) or rejected; the four
    add up to `lines`.

    Args:
        pages: one row per result page, `PAGE_SCHEMA`.
        rejects: one row per line that could not be used, `REJECT_SCHEMA`.
        lines: lines read.
        used: lines that are in `pages`.
        repeated: lines that say again what a line before said.
        ignored: lines that carry nothing for these tables.
        size: bytes of the file that this chunk stands for, for progress.
        documents: `DOCUMENT_SCHEMA`, where the log has more of a document than its key; a document
            may come repeatedly.
        separator: what stands between the tokens of `documents`, and is to become a space.
        events: `EVENT_SCHEMA`, one row per line, where clicks come apart from their pages. Their
            lines count as used (or repeated); ingest joins what is left over to other chunks.
    """

    pages: pl.DataFrame
    rejects: pl.DataFrame
    lines: int
    used: int
    repeated: int = 0
    ignored: int = 0
    size: int = 0
    documents: pl.DataFrame | None = None
    separator: bytes = b" "
    events: pl.DataFrame | None = None

    def __post_init__(self) -> None:
        """Check that no line was lost."""
        told = self.used + self.repeated + self.ignored + self.rejects.height
        if told != self.lines:
            raise AssertionError(f"{self.lines} lines were read, but {told} are accounted for")


def as_pages(frame: pl.DataFrame) -> pl.DataFrame:
    """Give a reader's frame all columns of `PAGE_SCHEMA`, null where the log has none."""
    columns = [
        (pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name))
        for name, dtype in PAGE_SCHEMA.items()
    ]
    return frame.select(columns).with_columns(pl.col("weight").fill_null(1.0))


def as_events(frame: pl.DataFrame) -> pl.DataFrame:
    """Give a reader's events all columns of `EVENT_SCHEMA`, null where the log has none."""
    return frame.select(
        (pl.col(name).cast(dtype) if name in frame.columns else pl.lit(None, dtype).alias(name))
        for name, dtype in EVENT_SCHEMA.items()
    )


def as_rejects(parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Join rejects, in the order of the file, with their text cut."""
    frames = [p.select(pl.col(n).cast(t) for n, t in REJECT_SCHEMA.items()) for p in parts]
    joined = pl.concat([REJECT_SCHEMA.to_frame(), *frames])
    return joined.sort("line").with_columns(_cut(pl.col("text")))


def _cut(text: pl.Expr) -> pl.Expr:
    """At most `REJECT_TEXT_BYTES` of UTF-8, never cut inside a character of up to four bytes."""
    letters = text.str.slice(0, REJECT_TEXT_BYTES)
    fits = letters.str.len_bytes() <= REJECT_TEXT_BYTES
    return pl.when(fits).then(letters).otherwise(text.str.slice(0, REJECT_TEXT_BYTES // 4))
