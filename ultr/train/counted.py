"""What a pass over the buckets of a lake counts: all that is known of a part without its lists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists

_SPLIT_FROM = 64
"""Lists of a query below which it is in one batch, whatever the shape."""


class BucketSizes(NamedTuple):
    """What a bucket holds of a part.

    Attributes:
        documents: that lists show.
        lists: of any number of sessions.
        queries: of these lists.
        largest_query: documents of the largest query.
        width: K.
        repeated: Σ documents × lists of the queries with many lists, which batches may split.
    """

    documents: int
    lists: int
    queries: int
    largest_query: int
    width: int
    repeated: int


class Counts(NamedTuple):
    """What is known of all buckets of a part, which is small: 8 bytes a query, and counts.

    Attributes:
        sizes: of each bucket.
        query_clicks: `[Q]` clicks of each query, bucket by bucket.
        clicked: `[B]` clicked sessions of each bucket, as `Lists.clicked_sessions` counts.
        position_clicks: `[P, *levels]` clicks at each position from 1, in each bias context.
        cells: `[S, 1 + C]` positions and levels of the bias columns that occur, ascending.
    """

    sizes: tuple[BucketSizes, ...]
    query_clicks: NDArray[np.float64]
    clicked: NDArray[np.float64]
    position_clicks: NDArray[np.float64]
    cells: NDArray[np.integer[Any]]


@dataclass
class Counter:
    """Counts bucket by bucket."""

    _sizes: list[BucketSizes] = field(default_factory=list)
    _query_clicks: list[NDArray[np.float64]] = field(default_factory=list)
    _clicked: list[float] = field(default_factory=list)
    _position_clicks: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    _cells: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, data: Lists) -> None:
        """Count a bucket."""
        self._sizes.append(bucket_sizes(data))
        self._query_clicks.append(data.query_clicks)
        self._clicked.append(float(data.clicked_sessions.sum(dtype=np.float64)))
        self._cells.append(data.cells)
        clicks = data.position_clicks
        if not len(self._position_clicks):
            self._position_clicks = np.zeros_like(clicks)
        self._position_clicks = _as_long(self._position_clicks, clicks)
        self._position_clicks += _as_long(clicks, self._position_clicks)

    def counts(self) -> Counts:
        """Of all that was added."""
        return Counts(
            tuple(self._sizes),
            np.concatenate(self._query_clicks),
            np.array(self._clicked),
            self._position_clicks,
            np.unique(np.concatenate(self._cells), axis=0),
        )


def bucket_sizes(data: Lists) -> BucketSizes:
    """The sizes of a bucket's lists of one part."""
    documents = np.diff(data.query_start)
    lists = np.bincount(data.list_query, minlength=len(documents))
    repeated = int((documents * lists)[lists >= _SPLIT_FROM].sum())
    return BucketSizes(
        documents=data.n_documents,
        lists=data.n_lists,
        queries=len(documents),
        largest_query=int(documents.max(initial=1)),
        width=data.where.shape[1],
        repeated=repeated,
    )


def _as_long(values: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values with zeros below, for as many positions as the other has."""
    more = max(0, len(other) - len(values))
    return np.pad(values, [(0, more), *[(0, 0)] * (values.ndim - 1)])
