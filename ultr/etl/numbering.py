"""Row numbers of a bucket's (query, document) pairs: given once, kept while nights are added."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.etl.grouping import Longs, group_pairs, order_by

ALWAYS = -1
"""First period of pairs that do not come from sessions: judged, or with features."""


class Pairs(NamedTuple):
    """(query, document) pairs, repeated or not.

    Attributes:
        query: `[N]` ids.
        document: `[N]` ids.
        first: `[N]` place of the first period in which the pair was shown, or `ALWAYS`.
    """

    query: Longs
    document: Longs
    first: NDArray[np.int32]

    @classmethod
    def always(cls, query: Longs, document: Longs) -> Pairs:
        """Pairs that do not come from sessions."""
        return cls(query, document, np.full(len(query), ALWAYS, np.int32))


class Numbered(NamedTuple):
    """What `number_pairs` gives.

    Attributes:
        row: `[N]` the row of each pair.
        query: `[C]` ids by row, of old and new rows.
        document: `[C]` ids by row.
        known: rows that were there before.
        rank: `[C]` place of each row by query and document.
    """

    row: NDArray[np.int32]
    query: Longs
    document: Longs
    known: int
    rank: Longs


def number_pairs(pairs: Pairs, *, known: tuple[Longs, Longs]) -> Numbered:
    """Number pairs: known ones keep their rows, new ones follow by first period, query, document.

    So the rows of a lake that grew night by night are those of one that was built at once.

    Args:
        pairs: those that need a row.
        known: queries and documents by row, distinct.
    """
    n_known = len(known[0])
    query = np.concatenate([known[0], pairs.query])
    document = np.concatenate([known[1], pairs.document])
    # Before every other: a group with a known pair has that pair's row as its minimum.
    first = np.concatenate([np.arange(n_known) - n_known - 1, pairs.first.astype(np.int64)])
    groups = group_pairs(query, document)
    earliest, one = groups.min(first), groups.first
    by_pair = order_by(query[one], document[one])
    # Rows by period, those of a period by pair; a stable sort of few values is fast.
    order = by_pair[np.argsort(_small(earliest[by_pair]), kind="stable")]
    row = np.empty(len(one), np.int32)
    row[order] = np.arange(len(one))
    rank = np.empty(len(one), np.int64)
    rank[row[by_pair]] = np.arange(len(one))
    one = one[order]
    return Numbered(row[groups.number[n_known:]], query[one], document[one], n_known, rank)


def _small(values: Longs) -> NDArray[np.integer[Any]]:
    """In 16 bits where they fit: NumPy sorts those by radix."""
    is_small = len(values) and values.min() > -(2**15) and values.max() < 2**15
    return values.astype(np.int16) if is_small else values
