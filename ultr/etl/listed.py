"""Collapsed rows of a bucket in the order in which they are stored, as the table `lists`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ultr.etl.collapse import Rows, collapse, distinct_lists, real_weights
from ultr.etl.grouping import mix, order_by
from ultr.etl.numbering import Pairs
from ultr.etl.ragged import as_lists, gather, starts, totals
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
    """Collapse rows, sort them, and find the distinct lists among them.

    The order depends on the content alone, not on how the rows came.
    """
    ordered = collapse(rows, order=_storage_order)
    groups = distinct_lists(ordered)
    first = groups.min(ordered.cell // 3)
    return Listed(ordered, groups.first, groups.number, first)


def _storage_order(rows: Rows) -> NDArray[np.int64]:
    period, split = rows.cell // 3, rows.cell % 3
    return order_by(period, rows.query, split, rows.list_hash, rows.row_hash)


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
    weight, weight_sq = real_weights(
        rows.n[some], None if rows.weight is None else rows.weight[some]
    )
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


def count_rows(rows: Rows, *, begin: int, end: int) -> tuple[list[int], int]:
    """`COUNTS` of some rows, and their lowest rank."""
    some, inner = slice(begin, end), slice(*starts(rows.size)[[begin, end]].tolist())
    n, size, split = rows.n[some], rows.size[some].astype(np.int64), rows.cell[some] % 3
    clicks = totals(rows.click[inner], size)
    counts = [n.sum(), len(n), n @ size, n @ clicks, size.sum()]
    counts += [n[split == s].sum() for s in range(len(SPLITS))]
    return [int(c) for c in counts], int(rows.position[inner].max(initial=0))


def digest_rows(rows: Rows, *, begin: int, end: int) -> int:
    """A digest of some rows, whatever their order."""
    some = slice(begin, end)
    counted = rows.row_hash[some] ^ mix(rows.n[some])
    for column in () if rows.weight is None else rows.weight[some].T:
        counted = mix(counted) ^ column.astype(np.uint64)
    return int(mix(counted).sum())
