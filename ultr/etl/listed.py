"""Collapsed rows of a bucket in the order in which they are stored, as the table `lists`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ultr.etl.collapse import Rows, distinct_lists, real_weights
from ultr.etl.numbering import Pairs
from ultr.etl.ragged import as_lists, gather, starts
from ultr.etl.split import SPLITS, query_split

COUNTS = ("sessions", "rows", "impressions", "clicks", "listed", *SPLITS)
"""What `Listed.counts` counts: `listed` are the documents of all rows, the splits are sessions."""


class Listed(NamedTuple):
    """Rows by period, query and session split; lists of a query stand together.

    Attributes:
        rows: the rows.
        shown: `[U]` rows, one for each distinct list.
        list: `[R]` index into `shown` of each row's list.
        first: `[U]` place of the first period of each list.
    """

    rows: Rows
    shown: NDArray[np.int64]
    list: NDArray[np.int64]
    first: NDArray[np.int32]

    def pairs(self) -> Pairs:
        """The (query, document) pairs of the distinct lists."""
        size = self.rows.size[self.shown]
        document = gather(self.rows.document, self.rows.size, self.shown)
        query = np.repeat(self.rows.query[self.shown], size)
        return Pairs(query, document, np.repeat(self.first, size))

    def entries(self, of_pairs: NDArray[Any]) -> NDArray[Any]:
        """Values of `pairs` for the entries of all rows, `[M]`."""
        return gather(of_pairs, self.rows.size[self.shown], self.list)


def listed(rows: Rows) -> Listed:
    """Sort collapsed rows, and find the distinct lists among them.

    The order depends on the content alone, not on how the rows came.
    """
    period, split = rows.cell // 3, rows.cell % 3
    order = np.lexsort((rows.row_hash, rows.list_hash, split, rows.query, period))
    ordered = rows.take(order)
    groups = distinct_lists(ordered)
    first = groups.min(ordered.cell // 3)
    return Listed(ordered, groups.first, groups.number, first)


def lists_table(
    rows: Rows, row: NDArray[np.int32], *, begin: int, end: int, texts: pa.Array | None
) -> pa.Table:
    """Some rows as rows of the table `lists`.

    Args:
        rows: all rows of a bucket.
        row: `[M]` candidate row of each entry.
        begin: first row to give.
        end: one after the last.
        texts: the contexts by code, None without context.
    """
    names = pa.array(SPLITS)
    bounds = starts(rows.size)[[begin, end]]
    some, inner = slice(begin, end), slice(*bounds.tolist())
    size = rows.size[some]
    weight, weight_sq = real_weights(rows.weight[some])
    context = pa.nulls(end - begin, pa.list_(pa.string()))
    if texts is not None and rows.context is not None:
        context = as_lists(texts.take(pa.array(rows.context[inner])), size)
    return pa.table(
        {
            "query_id": rows.query[some],
            "query_split": names.take(pa.array(query_split(rows.query[some]))),
            "session_split": names.take(pa.array(rows.cell[some] % 3)),
            "row": as_lists(row[inner], size),
            "position": as_lists(rows.position[inner], size),
            "context": context,
            "click": as_lists(rows.click[inner], size),
            "n": rows.n[some],
            "weight": weight,
            "weight_sq": weight_sq,
        }
    )


def count_periods(rows: Rows, periods: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`COUNTS` by period `[P, 8]`, and the lowest rank of each period `[P]`."""
    period, split = rows.cell // 3, rows.cell % 3
    entry = np.repeat(np.arange(len(rows)), rows.size)
    clicks = np.bincount(entry, rows.click, len(rows)) * rows.n
    size = rows.size.astype(np.int64)
    columns = [rows.n, np.ones(len(rows)), rows.n * size, clicks, size]
    columns += [rows.n * (split == s) for s in range(len(SPLITS))]
    counts = np.stack([np.bincount(period, c, periods) for c in columns], axis=1)
    lowest = np.zeros(periods, np.int64)
    np.maximum.at(lowest, period[entry], rows.position)
    return counts.astype(np.int64), lowest
