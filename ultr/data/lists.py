"""What the trainer eats: the lists of a lake as NumPy arrays, each document once per query."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultr.data.context import BiasColumn, choose_columns
from ultr.transform import Transform

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]
Longs = NDArray[np.int64]
Bools = NDArray[np.bool_]

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Lists:
    """Ranked lists with click counts, grouped by query.

    N documents, Q queries, L lists of up to K documents. A document is a (query, document) pair, of
    one period where features depend on time; those of a query are adjacent. A list stands for all
    sessions that showed the same documents at the same positions; the clicks of each position are
    summed over them.

    Args:
        features: `[N, F]` raw feature values; NaN where missing. F may be 0.
        query_id: `[Q]` ids.
        query_split: `[Q]` index into `SPLITS`.
        doc_id: `[N]` ids.
        doc_query: `[N]` index of the document's query, ascending.
        doc_row: `[N]` row in the lake's lists as they were loaded; stays through `select`.
        document: `[L, K]` index of the shown documents, 0 where masked.
        position: `[L, K]` rank on the page from 1, 0 where masked.
        where: `[L, K]` whether there is a document.
        clicks: `[L, K]` sum of session weights in which it was clicked.
        weight: `[L]` sum of session weights.
        sessions: `[L]` number of sessions.
        list_query: `[L]` index of the query, ascending.
        session_split: `[L]` index into `SPLITS`.
        transform: how the ranker's input is made of `features`; None without features.
        lake: what identifies the lake (`version`, `root`, the settings of `ultr lists`).
        by_query: `[N, F']` the features that `transform` standardises per query, as they are among
            all candidates of the query: a selection of documents does not tell.
        context: `[L, K, C]` level of each bias column, 0 where masked; C is 0 by default.
        bias: `[C]` the bias columns.
    """

    features: Floats
    query_id: Longs
    query_split: Ints
    doc_id: Longs
    doc_query: Ints
    doc_row: Ints
    document: Ints
    position: Ints
    where: Bools
    clicks: Floats
    weight: Floats
    sessions: Longs
    list_query: Ints
    session_split: Ints
    transform: Transform | None
    lake: dict[str, Any]
    by_query: Floats | None = None
    context: Ints = field(default_factory=lambda: np.zeros((0, 0, 0), np.int32))
    bias: tuple[BiasColumn, ...] = ()

    def __post_init__(self) -> None:
        """Without bias columns there is a context all the same, of no column."""
        if not self.bias:
            object.__setattr__(self, "context", np.zeros((*self.where.shape, 0), np.int32))

    @property
    def n_documents(self) -> int:
        """N."""
        return len(self.doc_id)

    @property
    def n_lists(self) -> int:
        """L."""
        return len(self.list_query)

    @property
    def n_features(self) -> int:
        """F, 0 without features."""
        return self.features.shape[1]

    @cached_property
    def max_position(self) -> int:
        """The lowest rank on any page, 0 without lists."""
        return int(self.position.max(initial=0))

    @cached_property
    def cells(self) -> Ints:
        """`[S, 1 + C]` positions and levels of the bias columns that occur, ascending."""
        every = np.column_stack([self.position[self.where], self.context[self.where]])
        distinct = every[group_rows(every)[1]]
        return distinct[np.lexsort(distinct.T[::-1])].astype(np.int32)

    @property
    def longest(self) -> int:
        """Documents of the longest list."""
        return int(self.where.sum(axis=1).max(initial=0))

    @cached_property
    def query_start(self) -> Longs:
        """`[Q + 1]` first document of each query."""
        counts = np.bincount(self.doc_query, minlength=len(self.query_id))
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    @cached_property
    def query_clicks(self) -> NDArray[np.float64]:
        """`[Q]` clicks of each query."""
        per_list = self.clicks.sum(axis=1, dtype=np.float64)
        clicks = np.bincount(self.list_query, per_list, minlength=len(self.query_id))
        return clicks.astype(np.float64)

    @property
    def clicked_sessions(self) -> Floats:
        """`[L]` sessions with a click, at least: the clicks of a list's most clicked document."""
        return np.where(self.where, self.clicks, np.float32(0)).max(axis=1)

    @cached_property
    def position_clicks(self) -> NDArray[np.float64]:
        """`[P, *levels]` clicks at each position from 1 to the lowest, in each bias context."""
        shape = (self.max_position, *(len(column.levels) for column in self.bias))
        cell = (self.position[self.where] - 1, *self.context[self.where].T)
        at = np.ravel_multi_index(cell, shape)
        clicks = np.bincount(at, self.clicks[self.where], minlength=math.prod(shape))
        return clicks.reshape(shape).astype(np.float64)

    def inputs(self, rows: slice = slice(None)) -> Floats:
        """`[N, F]` transformed features: what the ranker sees.

        Args:
            rows: only of these documents.
        """
        if self.transform is None:
            return self.features[rows]
        own = None if self.by_query is None else self.by_query[rows]
        return self.transform.apply(self.features[rows], own=own)

    def select(self, lists: Bools) -> Lists:
        """The chosen lists, with only the documents they show and those documents' queries.

        Args:
            lists: `[L]` which to keep.
        """
        where, document = self.where[lists], self.document[lists]
        is_shown = np.zeros(self.n_documents, bool)
        is_shown[document[where]] = True
        has_documents = np.zeros(len(self.query_id), bool)
        has_documents[self.doc_query[is_shown]] = True
        new_document = (np.cumsum(is_shown) - 1).astype(np.int32)
        new_query = (np.cumsum(has_documents) - 1).astype(np.int32)
        return replace(
            self,
            features=self.features[is_shown],
            query_id=self.query_id[has_documents],
            query_split=self.query_split[has_documents],
            doc_id=self.doc_id[is_shown],
            doc_query=new_query[self.doc_query[is_shown]],
            doc_row=self.doc_row[is_shown],
            by_query=None if self.by_query is None else self.by_query[is_shown],
            document=np.where(where, new_document[document], 0).astype(np.int32),
            position=self.position[lists],
            where=where,
            context=self.context[lists],
            clicks=self.clicks[lists],
            weight=self.weight[lists],
            sessions=self.sessions[lists],
            list_query=new_query[self.list_query[lists]],
            session_split=self.session_split[lists],
        )

    def split(self, name: str, *, by: str) -> Lists:
        """The lists of one split.

        Args:
            name: as of `is_in`.
            by: as of `is_in`.
        """
        return self.select(self.is_in(name, by=by))

    def is_in(self, name: str, *, by: str) -> Bools:
        """`[L]` which lists are in a split.

        Args:
            name: train, validation or test.
            by: `query` (rankers on features: an unseen query tests them) or `session` (rankers
                with a parameter per pair: an unseen query has no parameter).
        """
        codes = self.query_split[self.list_query] if by == "query" else self.session_split
        return np.asarray(codes == SPLITS.index(name))

    @property
    def n_clicked(self) -> int:
        """Lists with clicks."""
        return int((self.clicks.sum(axis=1) > 0).sum())

    def sessions_of(self, name: str, *, by: str) -> int:
        """Sessions of one split, those without a click included.

        Args:
            name: as of `is_in`.
            by: as of `is_in`.
        """
        return int(self.sessions[self.is_in(name, by=by)].sum())

    def top(self, size: int) -> Lists:
        """The lists without what stands below position `size`."""
        where = self.where & (self.position <= size)
        columns = where.any(axis=0)
        masked = {
            "where": where,
            "document": np.where(where, self.document, 0),
            "position": np.where(where, self.position, 0),
            "clicks": np.where(where, self.clicks, np.float32(0)),
            "context": np.where(where[:, :, None], self.context, 0),
        }
        cut = replace(self, **{name: values[:, columns] for name, values in masked.items()})  # type: ignore[arg-type]
        return cut.select(np.asarray(where.any(axis=1)))

    def one_row_per_pair(self, *, merge: bool = True) -> Lists:
        """The same with each (query, document) once, where features depend on the period.

        For rankers that do not read features: what a pair was like in a period is lost.

        Args:
            merge: sum over lists that have become equal, and over click patterns; else all stay.
        """
        group, first = group_rows(np.column_stack([self.doc_query, self.doc_id]))
        if len(first) == self.n_documents:
            return self
        # Split queries stand several times among the queries; their pairs share a row all the same.
        pairs = np.column_stack([self.query_id[self.doc_query[first]], self.doc_id[first]])
        shared, one = group_rows(pairs)
        merged = replace(
            self,
            features=self.features[first],
            doc_id=self.doc_id[first],
            doc_query=self.doc_query[first],
            doc_row=one[shared].astype(np.int32),
            by_query=None if self.by_query is None else self.by_query[first],
            document=np.where(self.where, group[self.document], 0).astype(np.int32),
        )
        return merged.merge_clicks() if merge else merged

    def with_bias(self, names: Sequence[str] | None, *, merge: bool = True) -> Lists:
        """The lists with some of their bias columns; those that differ in none become one.

        Args:
            names: which columns; all by default.
            merge: sum over lists that have become equal; else all stay as they are.

        Raises:
            DataError: a column that the lists do not have.
        """
        if names is None:
            return self
        kept = choose_columns(self.bias, names)
        at = [self.bias.index(column) for column in kept]
        chosen = replace(self, context=self.context[:, :, at], bias=kept)
        return chosen.merge_clicks() if merge else chosen

    def merge_clicks(self) -> Lists:
        """Sum over click patterns: lists that agree in everything but the clicks become one.

        Exact for every objective that reads clicks per position (DLA, IPW, PBM).
        """
        shown = self.context.reshape(self.n_lists, math.prod(self.context.shape[1:]))
        key = np.column_stack(
            [self.list_query, self.session_split, self.document, self.position, shown]
        )
        group, first = group_rows(key)
        if len(first) == self.n_lists:
            return self
        return replace(
            self,
            document=self.document[first],
            position=self.position[first],
            where=self.where[first],
            context=self.context[first],
            clicks=_sum_by(group, self.clicks, len(first)),
            weight=_sum_by(group, self.weight[:, None], len(first))[:, 0],
            sessions=np.bincount(group, self.sessions, len(first)).astype(np.int64),
            list_query=self.list_query[first],
            session_split=self.session_split[first],
        )


def group_rows(key: NDArray[np.integer[Any]]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Number the distinct rows of `key [L, C]` in the order in which they first appear.

    Returns:
        `group [L]`, the number of each row, and `first [G]`, where each number first appears.
    """
    # Hash to one integer per row first: np.unique(axis=0) sorts whole rows and is 20 times slower.
    mix = np.random.default_rng(0).integers(1, 2**63, key.shape[1], dtype=np.int64) | 1
    with np.errstate(over="ignore"):
        hashed = (key.astype(np.int64) * mix).sum(axis=1)
        hashed ^= hashed >> 29
    _, first, group = np.unique(hashed, return_index=True, return_inverse=True)
    if not np.array_equal(key[first[group]], key):  # two different rows with one hash
        _, first, group = np.unique(key, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank[group.reshape(-1)], first[order]


def _sum_by(group: NDArray[np.intp], values: Floats, size: int) -> Floats:
    columns = [np.bincount(group, values[:, k], size) for k in range(values.shape[1])]
    return np.stack(columns, axis=1).astype(np.float32)
