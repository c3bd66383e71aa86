"""Batches out of core: a group of buckets is read while the device works on another."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.ahead import ahead
from ultr.data import Lists, Plan, Shape, epoch_plans
from ultr.data.batches import Sizes, batch_bounds, most_batches
from ultr.model import RankerSpec
from ultr.train.config import TrainConfig
from ultr.train.device import arrays_of, relative_weight
from ultr.train.part import Part
from ultr.train.sharding import by_column, everywhere
from ultr.train.source import InMemory, Segment, Source
from ultr.train.step import Arrays


def open_source(data: Lists | Part, *, spec: RankerSpec, config: TrainConfig) -> Source:
    """The batches of lists in memory, or of a part of a lake."""
    kind = InMemory if isinstance(data, Lists) else Streamed
    return kind(data, spec=spec, config=config)  # type: ignore[arg-type]


class Group(NamedTuple):
    """A segment before it is on the device."""

    arrays: Arrays
    plan: Plan
    query: NDArray[np.int32]


def on_devices(groups: Generator[Group]) -> Iterator[Segment]:
    """Segments of what was made on the host."""
    for group in groups:
        yield Segment(everywhere(group.arrays), by_column(group.plan), group.query)


class Streamed:
    """A part of a lake, group of buckets by group: each is a segment, in one shape for all.

    Args:
        data: the part.
        spec: of a ranker that reads features.
        config: the size of batches, what queries count for, the seed.
    """

    def __init__(self, data: Part, *, spec: RankerSpec, config: TrainConfig) -> None:
        self._data, self._spec, self._config = data, spec, config
        total, most = data.total(), data.capacity()
        wanted = config.documents_per_batch
        documents, lists = batch_bounds(total, documents=wanted)
        # Documents of a query with too many lists are repeated.
        repeated = Sizes(most.documents + most.repeated // lists, most.lists, most.largest_query)
        batches = most_batches(repeated, documents=documents, lists=lists)
        self._shape = Shape(batches, documents, lists)
        self._most = most
        #: Batches of an epoch, about.
        self.batches = max(1, round(total.documents / documents))
        self.n_queries = len(data.query_clicks)
        relative = relative_weight(data.query_clicks, config.weighting)
        #: Clicks of an epoch, weighted: the weight of a click is 1 on average.
        self.clicks = float(data.query_clicks.sum())
        self._scale = self.clicks / float((relative * data.query_clicks).sum())

    def segments(self, *, epoch: int, first: int = 0) -> Iterator[Segment]:
        """See `Source`."""
        return on_devices(ahead(self.groups(epoch=epoch, first=first), depth=0))

    def order(self, epoch: int) -> list[NDArray[np.int64]]:
        """The places of the buckets that each segment reads, a function of seed and epoch."""
        places = np.arange(len(self._data.buckets))
        if epoch:
            places = np.random.default_rng((self._config.seed, epoch)).permutation(places)
        return np.split(places, range(self._data.group, len(places), self._data.group))

    def groups(self, *, epoch: int, first: int = 0) -> Generator[Group]:
        """What the segments are made of, on the host."""
        for places in self.order(epoch)[first:]:
            yield self._group(places, epoch)

    def _group(self, places: NDArray[np.int64], epoch: int) -> Group:
        data = self._data.read(places.tolist())
        weight = relative_weight(data.query_clicks, self._config.weighting) * self._scale
        arrays = arrays_of(
            data,
            spec=self._spec,
            weight=weight,
            features_dtype=self._config.features_dtype,
            documents=self._most.documents + 1,
            lists=self._most.lists + 1,
            width=self._most.width,
        )
        (plan,) = epoch_plans(data, self._shape, seed=self._config.seed, epoch=epoch)
        number = np.concatenate([self._queries(place) for place in places])
        of_list = np.append(number[data.list_query], np.int64(-1)).astype(np.int32)
        return Group(arrays, plan, of_list[plan.list])

    def _queries(self, place: int) -> NDArray[np.int64]:
        """The numbers, in the whole part, of the queries of a bucket."""
        return np.arange(*self._data.query_start[place : place + 2])
