"""Sessions drawn at random from lists that are larger than memory.

The draws are those of lists in memory, number for number: first the bucket, then the list within
it. The drawn sessions of an epoch are collected in one pass over the buckets that have any, or in
several passes where they are too many for the memory limit.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ultr.ahead import ahead
from ultr.data import Lists
from ultr.data.load import concatenate
from ultr.model import RankerSpec
from ultr.train.config import TrainConfig
from ultr.train.device import arrays_of, relative_weight
from ultr.train.drawn import DrawnSessions, plan_of_drawn, single_sessions
from ultr.train.part import DOCUMENT_BYTES, LIST_BYTES, Part
from ultr.train.source import Segment, Source
from ultr.train.stream import Group, on_devices

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]


def draw_source(data: Lists | Part, *, spec: RankerSpec, config: TrainConfig) -> Source:
    """Drawn sessions of lists in memory, or of a part of a lake."""
    kind = DrawnSessions if isinstance(data, Lists) else StreamedDraws
    return kind(data, spec=spec, config=config)  # type: ignore[arg-type]


class StreamedDraws:
    """Clicked sessions of a part of a lake, drawn as `DrawnSessions` draws.

    Args:
        data: the part.
        spec: says whether the ranker reads features or rows.
        config: sessions of a batch, batches between two evaluations, the seed.
    """

    def __init__(self, data: Part, *, spec: RankerSpec, config: TrainConfig) -> None:
        self._data, self._spec, self._config = data, spec, config
        #: Batches of an epoch.
        self.batches = config.evaluation_steps
        self.n_queries = len(data.query_clicks)
        self.clicks = float(data.query_clicks.sum())
        relative = relative_weight(data.query_clicks, config.weighting)
        self._scale = self.clicks / float((relative * data.query_clicks).sum())
        # Where the clicked sessions of each bucket end, and the last bucket that has any.
        self._end = np.cumsum(data.counts.clicked)
        self._last = int(np.flatnonzero(data.counts.clicked)[-1])
        most, size = data.capacity(), config.sessions_per_batch or 1
        self._width = most.width
        document = 4 * data.n_features + DOCUMENT_BYTES
        # Half of what the limit has room for: a bucket is read meanwhile. One batch at least.
        room = (most.documents * document + most.lists * LIST_BYTES) // 2
        fits = max(1, room // (size * (most.width * document + LIST_BYTES)))
        self._together = -(-self.batches // -(-self.batches // fits))
        self._lists = min(self._together * size, data.n_lists)
        self._documents = min(self._lists * most.width, data.total().documents)

    def segments(self, *, epoch: int, first: int = 0) -> Iterator[Segment]:
        """See `Source`."""
        return on_devices(ahead(self._groups(epoch, first), depth=0))

    def _groups(self, epoch: int, first: int) -> Generator[Group]:
        size = self._config.sessions_per_batch or 1
        rng = np.random.default_rng((self._config.seed, epoch))
        drawn = rng.random((self.batches, size)) * self._end[-1]
        for begin in range(first * self._together, self.batches, self._together):
            yield self._group(drawn[begin : begin + self._together])

    def _group(self, drawn: Floats) -> Group:
        """The drawn lists, and batches of them.

        Args:
            drawn: `[B, S]` which of the clicked sessions, from 0.
        """
        data, row, number = self._collected(drawn)
        query = np.zeros(len(data.query_id), np.int64)
        query[data.list_query] = number
        weight = relative_weight(self._data.query_clicks[query], self._config.weighting)
        arrays = arrays_of(
            data,
            spec=self._spec,
            weight=weight * self._scale,
            features_dtype=self._config.features_dtype,
            documents=self._documents + 1,
            lists=self._lists + 1,
            width=self._width,
        )
        document = np.full((self._lists + 1, self._width), self._documents, np.int32)
        shown = (slice(data.n_lists), slice(data.where.shape[1]))
        document[shown] = np.where(data.where, data.document, self._documents)
        none = self._together - len(row)
        rows = np.pad(row, [(0, none), (0, 0)], constant_values=self._lists).astype(np.int32)
        of_list = np.append(number, np.full(self._lists + 1 - len(number), -1))
        return Group(
            single_sessions(arrays, data.clicked_sessions),
            plan_of_drawn(rows, document),
            of_list[rows].astype(np.int32),
        )

    def _collected(self, drawn: Floats) -> tuple[Lists, Longs, Longs]:
        """The lists that are drawn, which of them each draw `[B, S]` is, and their queries."""
        place = np.searchsorted(self._end, drawn, side="right").clip(max=self._last)
        row = np.zeros(drawn.shape, np.int64)
        parts: list[Lists] = []
        numbers: list[Longs] = []
        for at in np.unique(place).tolist():
            data, is_here = self._data.read([at]), place == at
            end = np.cumsum(data.clicked_sessions, dtype=np.float64)
            before = self._end[at - 1] if at else 0.0
            found = np.searchsorted(end, drawn[is_here] - before, side="right")
            lists, which = np.unique(found.clip(max=data.n_lists - 1), return_inverse=True)
            row[is_here] = sum(map(len, numbers)) + which
            chosen = np.zeros(data.n_lists, bool)
            chosen[lists] = True
            parts.append(data.select(chosen))
            numbers.append(self._data.query_start[at] + data.list_query[lists])
        joined = concatenate(parts)
        rows = np.concatenate([part.doc_row for part in parts])
        return replace(joined, doc_row=rows), row, np.concatenate(numbers)
