"""Where a training gets its batches from: an epoch is a sequence of segments.

A segment is a data set on the device with a plan of batches, passed over in one dispatch. Epoch and
segment together are the position in the data: a training that knows them can go on from there.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ultr.ahead import ahead
from ultr.data import Lists, Plan, batch_shape, epoch_plans
from ultr.model import RankerSpec
from ultr.train.config import TrainConfig
from ultr.train.device import arrays_of, query_weight
from ultr.train.sharding import by_column, everywhere
from ultr.train.step import Arrays


class Segment(NamedTuple):
    """What one dispatch passes over.

    Attributes:
        arrays: lists and documents on the device.
        plan: the batches, as indices into `arrays`.
        query: `[B, L]` number of the query of each planned list among those of the source, −1 where
            padded.
    """

    arrays: Arrays
    plan: Plan
    query: NDArray[np.int32]


class Source(Protocol):
    """Gives the batches of a training or of an evaluation."""

    @property
    def batches(self) -> int:
        """Batches of an epoch, about."""
        ...

    @property
    def n_queries(self) -> int:
        """Q."""
        ...

    @property
    def clicks(self) -> float:
        """Clicks of an epoch, weighted."""
        ...

    def segments(self, *, epoch: int, first: int = 0) -> Iterator[Segment]:
        """The segments of an epoch, a function of the seed and the epoch alone.

        Args:
            epoch: from 1; 0 is the order of evaluation.
            first: segment to begin with, where an epoch is taken up again.
        """
        ...


class InMemory:
    """Lists that stay on the device as a whole; an epoch is cut into plans of bounded size.

    Args:
        data: the lists.
        spec: says whether the ranker reads features or rows.
        config: the size of batches, what queries count for, the seed.
    """

    def __init__(self, data: Lists, *, spec: RankerSpec, config: TrainConfig) -> None:
        self._data = data
        self._seed = config.seed
        weight = query_weight(data, config.weighting)
        arrays = arrays_of(data, spec=spec, weight=weight, features_dtype=config.features_dtype)
        self._arrays = everywhere(arrays)
        wanted = config.documents_per_batch
        #: Batches of an epoch, at most.
        self.batches = batch_shape(data, documents=wanted).batches
        limit = config.batches_per_dispatch
        self._shape = batch_shape(data, documents=wanted, batches=limit)
        self.n_queries = len(data.query_id)
        self.clicks = float(arrays.clicks.sum(dtype=np.float64))

    def segments(self, *, epoch: int, first: int = 0) -> Iterator[Segment]:
        """See `Source`."""
        # The next plan is made while the device works on this one.
        return ahead(self._segments(epoch, first), depth=0)

    def _segments(self, epoch: int, first: int) -> Generator[Segment]:
        of_list = np.append(self._data.list_query, np.int32(-1))
        plans = epoch_plans(self._data, self._shape, seed=self._seed, epoch=epoch, first=first)
        for plan in plans:
            yield Segment(self._arrays, by_column(plan), of_list[plan.list])
