"""A part of a lake's lists that does not fit in memory: its sizes, and its buckets to be read."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.data.batches import Sizes
from ultr.data.context import BiasColumn, Contexts, translated
from ultr.data.load import concatenate, load_buckets
from ultr.lake import Lake
from ultr.train.bucket_cache import BucketCache, has_room
from ultr.train.counted import BucketSizes, Counter, Counts
from ultr.train.pair_rows import PairRows
from ultr.transform import Transform

DOCUMENT_BYTES, LIST_BYTES = 32, 192
"""Of a document besides its features, and of a list of about ten documents."""


@dataclass(frozen=True)
class Reading:
    """How the lists of a lake are read.

    Args:
        contexts: of the whole lake, so that levels have the same numbers in all buckets.
        bias: the columns and levels to use.
        transform: how the ranker's input is made; None without features.
        list_size: positions below it are left out; None keeps all.
        by_pattern: sessions with other clicks stay apart.
        by_pair: for a ranker with one parameter per (query, document), which stands once whatever
            the period, without features.
        merge: lists that differ only in the split of their sessions become one, where queries are
            split.
    """

    contexts: Contexts
    bias: tuple[BiasColumn, ...]
    transform: Transform | None
    list_size: int | None = None
    by_pattern: bool = False
    by_pair: bool = False
    merge: bool = True

    def read(self, lake: Lake, buckets: Sequence[int], *, with_features: bool = True) -> Lists:
        """Some buckets."""
        with_features = with_features and not self.by_pair
        data = load_buckets(
            lake, buckets, with_features=with_features, by_pattern=self.by_pattern,
            contexts=self.contexts,
        )  # fmt: skip
        if self.bias != data.bias:
            codes = translated(data, self.bias)
            data = dataclasses.replace(data, context=codes, bias=self.bias)
            data = data if self.by_pattern else data.merge_clicks()
        data = dataclasses.replace(data, transform=self.transform if with_features else None)
        data = data.one_row_per_pair(merge=not self.by_pattern) if self.by_pair else data
        return data if self.list_size is None else data.top(self.list_size)


class View(NamedTuple):
    """Lists as they are not on disk.

    Attributes:
        change: takes lists and the places of the buckets that they come from; their documents stay
            as they are. Features may be missing.
        bias: the bias columns then.
    """

    change: Callable[[Lists, Sequence[int]], Lists]
    bias: tuple[BiasColumn, ...]


@dataclass(frozen=True)
class Part:
    """The training or the held-out lists of a lake, which stay on disk.

    Args:
        lake: the lake.
        name: train or validation.
        by: what it is split by, `query` or `session`.
        group: buckets to be in memory together.
        n_features: F.
        buckets: their numbers.
        counts: what is known of them.
        reading: how lists are read.
        rows: of a table ranker.
        view: how they are changed then; None leaves them as they are.
        cache: holds buckets that were read before; None reads them from the lake each time.
    """

    lake: Lake
    name: str
    by: str
    group: int
    n_features: int
    buckets: tuple[int, ...]
    counts: Counts
    reading: Reading
    rows: PairRows | None = None
    view: View | None = None
    cache: BucketCache | None = None

    @property
    def sizes(self) -> tuple[BucketSizes, ...]:
        """Of each bucket."""
        return self.counts.sizes

    @property
    def query_clicks(self) -> NDArray[np.float64]:
        """`[Q]` clicks of each query, bucket by bucket."""
        return self.counts.query_clicks

    @property
    def position_clicks(self) -> NDArray[np.float64]:
        """`[P, *levels]` clicks at each position from 1, in each bias context."""
        return self.counts.position_clicks

    @property
    def cells(self) -> NDArray[np.integer[Any]]:
        """`[S, 1 + C]` positions and levels of the bias columns that occur, ascending."""
        return self.counts.cells

    @cached_property
    def n_lists(self) -> int:
        """L."""
        return sum(size.lists for size in self.sizes)

    @property
    def max_position(self) -> int:
        """The lowest rank on any page, 0 without lists."""
        return int(self.cells[:, 0].max(initial=0))

    @property
    def longest(self) -> int:
        """Documents of the longest list."""
        return max((size.width for size in self.sizes), default=0)

    @property
    def bias(self) -> tuple[BiasColumn, ...]:
        """The bias columns of the lists."""
        return self.reading.bias if self.view is None else self.view.bias

    @cached_property
    def query_start(self) -> NDArray[np.int64]:
        """`[B + 1]` number of the first query of each bucket."""
        return np.cumsum([0, *(size.queries for size in self.sizes)])

    def total(self) -> Sizes:
        """Sizes of the whole part."""
        documents = sum(size.documents for size in self.sizes)
        return Sizes(documents, self.n_lists, max(size.largest_query for size in self.sizes))

    def capacity(self) -> BucketSizes:
        """What the largest group of buckets needs, whichever are put together."""
        documents, lists, queries, largest, width, repeated = np.array(self.sizes).T

        def most(values: NDArray[np.int64]) -> int:
            return int(np.sort(values)[::-1][: self.group].sum())

        return BucketSizes(
            most(documents), most(lists), most(queries), largest.max(), width.max(), most(repeated)
        )

    def read(self, places: Sequence[int]) -> Lists:
        """The lists of some buckets, given by their places in `buckets`."""
        data = self._joined(places)
        if self.rows is not None:
            documents = [self.sizes[place].documents for place in places]
            data = self.rows.numbered(data, places, documents=documents)
        return data if self.view is None else self.view.change(data, places)

    def _joined(self, places: Sequence[int]) -> Lists:
        if self.cache is not None:
            for place in places:
                if not self.cache.has(place):
                    self.cache.put(place, self._bucket(place))
            found = self.cache.get(places)
            if found is not None:
                return found
        return concatenate([self._bucket(place) for place in places])

    def viewed(self, view: View) -> Part:
        """The part with its lists changed as they are read, and counted anew."""
        counter = Counter()
        for place in range(len(self.buckets)):
            counter.add(view.change(self._bucket(place, with_features=False), [place]))
        return dataclasses.replace(self, view=view, counts=counter.counts())

    def _bucket(self, place: int, *, with_features: bool = True) -> Lists:
        chosen = [self.buckets[place]]
        data = self.reading.read(self.lake, chosen, with_features=with_features)
        return select_part(data, self.name, by=self.by, merge=self.reading.merge)

    @contextlib.contextmanager
    def cached(self, folder: Path) -> Iterator[Part]:
        """The part with what was read of it kept on disk, where that has room.

        Args:
            folder: on the disk.
        """
        if not has_room(folder, size=self.n_bytes):
            yield self
            return
        cache = BucketCache(folder)
        try:
            yield dataclasses.replace(self, cache=cache)
        finally:
            cache.close()

    @property
    def n_bytes(self) -> int:
        """What the part takes in memory, about, once."""
        document = 4 * self.n_features + DOCUMENT_BYTES
        return self.total().documents * document + self.n_lists * LIST_BYTES

    def whole(self) -> Lists:
        """All of it in memory, read bucket by bucket."""
        return self.read(range(len(self.buckets)))


def select_part(data: Lists, name: str, *, by: str, merge: bool = True) -> Lists:
    """The clicked lists of one split; by query, those of a query in whatever sessions are merged.

    Args:
        data: whole queries.
        name: train, validation or test.
        by: `query` or `session`.
        merge: see above; else all lists stay as they are.
    """
    chosen = data.select((data.clicks.sum(axis=1) > 0) & data.is_in(name, by=by))
    if by == "session" or not merge:
        return chosen
    # Lists that differ only in the split of their sessions become one.
    unsplit = np.zeros_like(chosen.session_split)
    return dataclasses.replace(chosen, session_split=unsplit).merge_clicks()
