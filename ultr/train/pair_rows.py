"""Which parameter of a table ranker stands for which (query, document)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.data.lists import Ints, Longs, group_rows


class Pairs(NamedTuple):
    """The (query, document) of each row.

    Attributes:
        query_id: `[R]`.
        doc_id: `[R]`.
    """

    query_id: Longs
    doc_id: Longs


def pairs_of(data: Lists) -> Pairs:
    """The pair of each row of lists in memory.

    Args:
        data: all documents of a lake; those that split queries repeat share the row of their first
            place, and come last.
    """
    own = data.doc_row == np.arange(data.n_documents)
    return Pairs(data.query_id[data.doc_query][own], data.doc_id[own])


@dataclass(frozen=True)
class PairRows:
    """The rows of a lake that is read bucket by bucket: as of one that is loaded as a whole.

    Args:
        pairs: of each row.
        row: `[N]` of each document, bucket by bucket.
        start: `[B + 1]` first document of each bucket.
    """

    pairs: Pairs
    row: Ints
    start: Longs

    def numbered(self, data: Lists, places: Sequence[int], *, documents: Sequence[int]) -> Lists:
        """Joined buckets with the rows of the lake in place of their own.

        Args:
            data: the buckets, one after the other.
            places: which.
            documents: of each in `data`.
        """
        # Joined, the rows of a bucket begin after the documents of those before it.
        before = np.cumsum([0, *documents])[:-1]
        shift = np.repeat(self.start[list(places)] - before, documents)
        return replace(data, doc_row=self.row[data.doc_row + shift])


def pair_rows(buckets: Iterable[Lists]) -> PairRows:
    """Number the pairs of a lake in the order of its buckets.

    Args:
        buckets: each by itself, with all of its documents. A query that is split stands in several.
    """
    queries: list[Longs] = []
    found: list[NDArray[np.int64]] = []
    for data in buckets:
        queries.append(data.query_id)
        found.append(np.column_stack([data.query_id[data.doc_query], data.doc_id]))
    start = np.cumsum([0, *map(len, found)])
    pairs = np.concatenate(found)
    is_first, shared = np.ones(len(pairs), bool), np.arange(len(pairs))
    ids, times = np.unique(np.concatenate(queries), return_counts=True)
    split = (
        np.flatnonzero(np.isin(pairs[:, 0], ids[times > 1])) if (times > 1).any() else shared[:0]
    )
    if len(split):
        group, first = group_rows(pairs[split])
        shared[split] = split[first[group]]
        is_first[split] = shared[split] == split
    row = (np.cumsum(is_first) - 1).astype(np.int32)[shared]
    return PairRows(Pairs(*pairs[is_first].T.copy()), row, start)
