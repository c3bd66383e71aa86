"""Frames that wait in memory, without what their columns say again and again."""

from __future__ import annotations

import polars as pl

_VIEW_BYTES = 16
"""Of each text, beside its letters; what Polars estimates is without it."""

_MOST_WASTE = 1.5
"""Letters that are kept, of those that rows have: copying them takes longer than looking."""


def lean(frame: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """The same rows, with a literal for each column of one value, and about their bytes.

    Literals take no memory until rows of several such frames are put together. Texts are views of
    letters that a filter leaves as they were: where most of those are of other rows, they go.
    """
    columns = frame.get_columns()
    same = [c for c in columns if len(c) and _is_one_value(c)]
    # What was a literal before may have been written out since; it is made anew.
    literals = [pl.lit(c[0], c.dtype).alias(c.name) for c in same]
    rest = frame.drop(c.name for c in same)
    texts = [_without_waste(c) for c in rest.get_columns() if c.dtype == pl.String]
    size = int(rest.estimated_size()) + _VIEW_BYTES * rest.height * len(texts)
    return frame.with_columns(*literals, *texts), size


def _without_waste(texts: pl.Series) -> pl.Series:
    views = texts.to_arrow(compat_level=pl.CompatLevel.newest())
    kept = sum(buffer.size for buffer in views.buffers()[2:])
    if kept <= _MOST_WASTE * texts.estimated_size():
        return texts
    return pl.Series(texts.name, texts.to_arrow(compat_level=pl.CompatLevel.oldest()))


def _is_one_value(column: pl.Series) -> bool:
    if column.null_count():
        return column.null_count() == len(column)
    if column.dtype != pl.String or column[0] != column[-1]:
        return False
    return bool((column == column[0]).all())
