"""Row numbers of a bucket's (query, document) pairs: given once, kept while nights are added."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.etl.grouping import Longs, Near, hash_pairs, sort_pairs

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


class Known(NamedTuple):
    """The rows that a bucket has already.

    Attributes:
        query: `[C]` ids.
        document: `[C]` ids.
        row: `[C]` from 0, in any order.
    """

    query: Longs
    document: Longs
    row: NDArray[np.int32]


class Numbered(NamedTuple):
    """What `number_pairs` gives.

    Attributes:
        row: `[N]` the row of each pair.
        rank: `[N]` place of each pair by query and document, equal for equal pairs.
        query: `[A]` ids of new rows, which follow the known ones.
        document: `[A]` ids of new rows.
        known: rows that were there before.
    """

    row: NDArray[np.int32]
    rank: Longs
    query: Longs
    document: Longs
    known: int


def number_pairs(pairs: Pairs, *, known: Known) -> Numbered:
    """Number pairs: known ones keep their rows, new ones follow by first period, query, document.

    So the rows of a lake that grew night by night are those of one that was built at once.

    Args:
        pairs: those that need a row.
        known: the rows that there are.
    """
    n_known = len(known.row)
    query, document, first = pairs
    n_near = 0
    if n_known:
        near = _may_be_among(known, pairs)
        n_near = len(near.row)
        query = np.concatenate([near.query, query])
        document = np.concatenate([near.document, document])
        # Known pairs stand before every other, and say their row: a group takes the minimum.
        first = np.concatenate([near.row - n_known + ALWAYS, first])
    groups = sort_pairs(query, document)
    earliest, one = groups.min(_small(first)), groups.first
    new = np.flatnonzero(earliest >= ALWAYS)
    new = new[np.argsort(earliest[new], kind="stable")]
    row = earliest.astype(np.int32) + np.int32(n_known - ALWAYS)
    row[new] = n_known + np.arange(len(new), dtype=np.int32)
    rank = groups.number[n_near:]
    added = one[new]
    return Numbered(row[rank], rank, query[added], document[added], n_known)


def _may_be_among(known: Known, pairs: Pairs) -> Known:
    """The known pairs that may be among others, and a few that are not.

    A night has few of the pairs that a lake has met; the rest need not be sorted.
    """
    is_near = Near(hash_pairs(pairs.query, pairs.document))
    near = is_near(hash_pairs(known.query, known.document))
    return Known(known.query[near], known.document[near], known.row[near])


def _small(values: NDArray[np.int32]) -> NDArray[np.integer[Any]]:
    """In 16 bits where they fit: NumPy sorts those by radix."""
    is_small = len(values) and values.min() > -(2**15) and values.max() < 2**15
    return values.astype(np.int16) if is_small else values
