"""Where a training gets its batches from: an epoch is a sequence of segments.

A segment is a data set on the device with a plan of batches, passed over in one dispatch. Epoch and
segment together are the position in the data: a training that knows them can go on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists, Plan, batch_shape, epoch_plan
from ultr.model import RankerSpec
from ultr.train.config import TrainConfig
from ultr.train.device import on_device
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


class InMemory:
    """Lists that stay on the device as a whole: one segment an epoch.

    Args:
        data: the lists.
        spec: says whether the ranker reads features or rows.
        config: the size of batches, what queries count for, the seed.
    """

    def __init__(self, data: Lists, *, spec: RankerSpec, config: TrainConfig) -> None:
        self._data = data
        self._seed = config.seed
        self._arrays = on_device(data, spec, config.weighting)
        self._shape = batch_shape(data, documents=config.documents_per_batch)
        self.n_queries = len(data.query_id)
        self.clicks = float(self._arrays.clicks.sum())

    @property
    def batches(self) -> int:
        """Batches of an epoch, at most."""
        return self._shape.batches

    def segments(self, *, epoch: int, first: int = 0) -> Iterator[Segment]:
        """The segments of an epoch, a function of the seed and the epoch alone.

        Args:
            epoch: from 1; 0 is the order of evaluation.
            first: segment to begin with, where an epoch is taken up again.
        """
        if first > 0:
            return
        plan = epoch_plan(self._data, self._shape, seed=self._seed, epoch=epoch)
        query = np.append(self._data.list_query, np.int32(-1))[plan.list]
        yield Segment(self._arrays, plan, query)
