"""Batches of single sessions drawn at random, as most published code trains.

Every document is scored for every session that shows it, so this costs what the log costs; the
program's own batches of whole queries do not (`ultr.data.batches`). It is here to repeat results.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jax import numpy as jnp
from numpy.typing import NDArray

from ultr.data import Lists, Plan
from ultr.model import RankerSpec
from ultr.train.config import TrainConfig
from ultr.train.device import arrays_of, query_weight
from ultr.train.sharding import by_column, everywhere
from ultr.train.source import Segment
from ultr.train.step import Arrays


class DrawnSessions:
    """Clicked sessions drawn with replacement, in proportion to their number.

    Where lists hold click patterns, a row stands for equal sessions and one of them is drawn. Where
    the clicks of a list are summed, as many as its most clicked document has are taken for its
    clicked sessions, each with its share of the clicks: the expected loss is the same.

    Args:
        data: the lists, all with clicks.
        spec: says whether the ranker reads features or rows.
        config: sessions of a batch, batches between two evaluations, the seed.
    """

    def __init__(self, data: Lists, *, spec: RankerSpec, config: TrainConfig) -> None:
        self._document = np.where(data.where, data.document, data.n_documents)
        self._seed, self._size = config.seed, config.sessions_per_batch or 1
        #: Batches of an epoch.
        self.batches = config.evaluation_steps
        clicked = data.clicked_sessions
        self._share = np.cumsum(clicked, dtype=np.float64) / clicked.sum(dtype=np.float64)
        weight = query_weight(data, config.weighting)
        arrays = arrays_of(data, spec=spec, weight=weight, features_dtype=config.features_dtype)
        self._arrays = everywhere(single_sessions(arrays, clicked))
        self._query = data.list_query
        self.n_queries, self.clicks = len(data.query_id), float(data.clicks.sum(dtype=np.float64))

    def segments(self, *, epoch: int, first: int = 0) -> Iterator[Segment]:
        """The one segment of an epoch, a function of the seed and the epoch alone.

        Args:
            epoch: from 1.
            first: segment to begin with, where an epoch is taken up again.
        """
        if first > 0:
            return
        rng = np.random.default_rng((self._seed, epoch))
        uniform = rng.random((self.batches, self._size))
        drawn = np.searchsorted(self._share, uniform, side="right").astype(np.int32)
        drawn = np.minimum(drawn, len(self._share) - 1)
        plan = plan_of_drawn(drawn, self._document)
        yield Segment(self._arrays, by_column(plan), self._query[drawn])


def single_sessions(arrays: Arrays, clicked: NDArray[np.float32]) -> Arrays:
    """Lists as one session each: its share of the clicks, and its documents side by side.

    Args:
        arrays: of lists, with empty ones at the end.
        clicked: `[L]` sessions that each list stands for.
    """
    one = np.ones((len(arrays.clicks), 1), np.float32)
    one[: len(clicked), 0] = clicked
    place = np.arange(arrays.document.shape[1], dtype=np.int32)
    place = np.broadcast_to(place, arrays.document.shape)
    return arrays._replace(clicks=arrays.clicks / one, document=jnp.asarray(place))


def plan_of_drawn(drawn: NDArray[np.int32], document: NDArray[np.integer[Any]]) -> Plan:
    """Batches of sessions, each with a place for every document of its list.

    Args:
        drawn: `[B, S]` the list of each session.
        document: `[L, K]` index of the documents of a list, that of an empty one where masked.
    """
    size, width = drawn.shape[1], document.shape[1]
    begin = np.arange(size, dtype=np.int32) * width
    return Plan(
        document[drawn].reshape(len(drawn), -1).astype(np.int32),
        drawn,
        np.broadcast_to(begin, drawn.shape),
    )
