"""Pages that changed: only the files of the lake that hold one are written again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from ultr.commit import Commit
from ultr.etl.counts import Delta
from ultr.schema import SESSIONS

COLUMNS = SESSIONS.arrow().names
SCHEMA = pl.DataFrame(SESSIONS.arrow().empty_table()).schema


def as_rows(pages: pl.DataFrame) -> pl.DataFrame:
    """Pages with all columns of the table, in its order; what they lack is null."""
    return pages.select(
        pl.col(n).cast(t) if n in pages.columns else pl.lit(None, t).alias(n)
        for n, t in SCHEMA.items()
    )


def replace_pages(
    change: Commit, *, source: str, pages: pl.DataFrame, ordinals: pl.Series
) -> Delta:
    """Put the pages of a source in the place of those with the same ordinal.

    Args:
        change: the commit.
        source: whose pages they are.
        pages: rows of the table `sessions`.
        ordinals: of all pages that were made again; those that `pages` has not are gone.

    Returns:
        The sessions, impressions and clicks that there are more than before.
    """
    delta, left = Delta(), pages
    for file in [f for f in change.manifest.tables.get("sessions", []) if f.matches(source=source)]:
        groups = _Groups(change.root / file.path, pages, ordinals)
        left = left.filter(~left["ordinal"].is_in(groups.ordinals.implode()))
        is_changed = False
        for old, new in groups.affected():
            if not old.equals(new):
                is_changed = True
                count(delta, old, sign=-1)
                count(delta, new)
        if is_changed:
            change.remove("sessions", lambda f, gone=file: f is gone)  # type: ignore[misc]
            _rewrite(change, groups, source)
    if left.height:
        change.write("sessions", left.to_arrow(), source=source)
        count(delta, left)
    return delta


class _Groups:
    """The row groups of a file of `sessions`, and what some pages in them are to be."""

    def __init__(self, path: Path, pages: pl.DataFrame, ordinals: pl.Series) -> None:
        self._path, self._pages, self._made = path, pages, ordinals.implode()
        self.ordinals = pl.Series(pq.read_table(path, columns=["ordinal"], partitioning=None)[0])

    def affected(self) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
        """Rows of a group that were made again, and what they are now."""
        with pq.ParquetFile(self._path) as parquet:
            for i in range(parquet.num_row_groups):
                known = pl.Series(parquet.read_row_group(i, columns=["ordinal"])[0])
                if known.is_in(self._made).any():
                    rows = as_rows(pl.DataFrame(parquet.read_row_group(i)))
                    yield self._split(rows)[1:]

    def all(self) -> Iterator[pl.DataFrame]:
        """The rows of each group as they are now."""
        with pq.ParquetFile(self._path) as parquet:
            for i in range(parquet.num_row_groups):
                kept, _, new = self._split(as_rows(pl.DataFrame(parquet.read_row_group(i))))
                yield pl.concat([kept, new]).sort("ordinal") if new.height else kept

    def _split(self, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
        is_old = rows["ordinal"].is_in(self._made)
        own = rows.select("ordinal")
        new = self._pages.join(own, on="ordinal", how="semi").sort("ordinal")
        return rows.filter(~is_old), rows.filter(is_old).sort("ordinal"), new


def _rewrite(change: Commit, groups: _Groups, source: str) -> None:
    schema, path, rows = SESSIONS.arrow(), change.new_file("sessions"), 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for group in groups.all():
            if group.height:
                writer.write_table(group.to_arrow().cast(schema))
                rows += group.height
    if rows:
        change.add("sessions", path, rows=rows, source=source)
    else:
        path.unlink()


def count(delta: Delta, rows: pl.DataFrame, *, sign: int = 1) -> None:
    """Add pages to what changed, or take them away."""
    delta.sessions += sign * rows.height
    delta.impressions += sign * int(rows["position"].list.len().sum())
    delta.clicks += sign * int(rows["click"].list.sum().sum())
