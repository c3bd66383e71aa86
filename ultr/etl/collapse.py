"""Exact collapse: sessions that agree on query, ranked list, context and clicks become one row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ultr.etl.grouping import Groups, Longs, Words, group, mix
from ultr.etl.ragged import as_lists, common_size, entries, gather, starts

Bools = NDArray[np.bool_]

_PLAIN = ("query", "cell", "size", "n", "list_hash", "row_hash", "weight")
_FLAT = ("document", "position", "click", "context")
_HIGH, _LOW = 2.0**20, 2.0**50


@dataclass(frozen=True)
class Rows:
    """R rows of equal sessions; their lists stand one after the other in flat arrays `[M]`.

    Args:
        query: `[R]` ids.
        cell: `[R]` period × 3 + session split.
        size: `[R]` documents of each list.
        n: `[R]` sessions.
        list_hash: `[R]` of query, documents, positions and context; the same in every version.
        row_hash: `[R]` of those, the clicks, the period's name and the split.
        document: `[M]` ids.
        position: `[M]` ranks, ascending within a list.
        click: `[M]` 0 or 1.
        context: `[M]` codes, None without context.
        weight: `[R, 4]` sums of weights and of their squares as `exact_weights` writes them; None
            where every session weighs 1.
    """

    query: Longs
    cell: NDArray[np.int32]
    size: NDArray[np.int32]
    n: Longs
    list_hash: Words
    row_hash: Words
    document: Longs
    position: NDArray[np.int16]
    click: NDArray[np.int8]
    context: NDArray[np.int32] | None = None
    weight: Longs | None = None

    def __len__(self) -> int:
        return len(self.query)

    def take(self, order: Longs) -> Rows:
        """The rows `order`."""
        flat = {name: gather(v, self.size, order) for name, v in self.lists.items()}
        return replace(self, **flat, **{name: values[order] for name, values in self.plain.items()})

    @property
    def plain(self) -> dict[str, NDArray[Any]]:
        """The arrays with a value per row, as far as there are such."""
        return {c: values for c in _PLAIN if (values := getattr(self, c)) is not None}

    @property
    def lists(self) -> dict[str, NDArray[Any]]:
        """The flat arrays that there are."""
        return {c: values for c in _FLAT if (values := getattr(self, c)) is not None}

    @cached_property
    def width(self) -> int:
        """The length that all lists have, 0 where they differ."""
        return common_size(self.size)

    def same_lists(self, i: Longs, j: Longs) -> Bools:
        """Whether rows `i [N]` and `j [N]` agree on query, documents, positions and context."""
        same: Bools = (self.query[i] == self.query[j]) & (self.size[i] == self.size[j])
        for name in self.lists:
            if name != "click":
                same &= self._agree(name, i, j, among=same)
        return same

    def same_rows(self, i: Longs, j: Longs) -> Bools:
        """Whether rows `i [N]` and `j [N]` agree on everything that sessions are collapsed by."""
        same: Bools = self.same_lists(i, j) & (self.cell[i] == self.cell[j])
        return same & self._agree("click", i, j, among=same)

    def list_key(self, row: int) -> tuple[Any, ...]:
        """What `same_lists` compares, of one row."""
        return (int(self.query[row]), *(self._bytes(c, row) for c in self.lists if c != "click"))

    def row_key(self, row: int) -> tuple[Any, ...]:
        """What `same_rows` compares, of one row."""
        return (*self.list_key(row), int(self.cell[row]), self._bytes("click", row))

    def _bytes(self, column: str, row: int) -> bytes:
        begin, end = self._start[row : row + 2]
        values: NDArray[Any] = getattr(self, column)[begin:end]
        return values.tobytes()

    @cached_property
    def _start(self) -> Longs:
        return starts(self.size)

    def _agree(self, column: str, i: Longs, j: Longs, *, among: Bools) -> Bools:
        """Whether the lists of a column agree, asked only where `among` holds."""
        values: NDArray[Any] = getattr(self, column)
        if self.width:
            square = values.reshape(-1, self.width)
            agree: Bools = (square.take(i, axis=0) == square.take(j, axis=0)).all(axis=1)
            return agree
        out = among.copy()
        a, b = i[among], j[among]
        differs = values[entries(self.size, a)] != values[entries(self.size, b)]
        before = np.concatenate([[0], np.cumsum(differs)])
        bounds = starts(self.size[a])
        out[among] = before[bounds[1:]] == before[bounds[:-1]]
        return out


def collapse(rows: Rows, *, order: Callable[[Rows], Longs] | None = None) -> Rows:
    """One row per distinct session, with counts and weights summed.

    Args:
        rows: equal ones or not.
        order: what sorts the result, from `Rows` without lists; by default it comes in any order.
    """
    groups = group(rows.row_hash, equal=rows.same_rows, key=rows.row_key)
    sums = {"n": groups.sum(rows.n)}
    if rows.weight is not None:
        sums["weight"] = np.stack([groups.sum(column) for column in rows.weight.T], axis=1)
    first = groups.first
    if order is not None:
        # Lists are copied once, into their final place.
        ordered = order(_without_lists(rows, first))
        first, sums = first[ordered], {name: v[ordered] for name, v in sums.items()}
    return replace(rows.take(first), **sums)


def _without_lists(rows: Rows, some: Longs) -> Rows:
    plain = {name: values[some] for name, values in rows.plain.items()}
    return replace(rows, **plain, **{name: v[:0] for name, v in rows.lists.items()})


def distinct_lists(rows: Rows) -> Groups:
    """Group rows that show one list, whatever was clicked, whenever."""
    return group(rows.list_hash, equal=rows.same_lists, key=rows.list_key)


def hash_lists(
    query: Longs, size: NDArray[np.int32], document: Longs, position: NDArray[np.int16],
    context: Words | None,
) -> Words:  # fmt: skip
    """`list_hash`: each document mixed with its rank and context, summed with a factor per place.

    Args:
        query: `[R]`.
        size: `[R]`.
        document: `[M]`.
        position: `[M]`.
        context: `[M]` hashes of the contexts' texts, None without context.
    """
    shown = document.astype(np.uint64) * np.uint64(0xD6E8FEB86659FD93)
    shown ^= shown >> np.uint64(32)
    shown += position.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    if context is not None:
        shown += context
    return mix(mix(query) + sum_lists(shown, size))


def hash_rows(
    list_hash: Words, cell: Words, size: NDArray[np.int32], click: NDArray[np.int8]
) -> Words:
    """`row_hash` from `list_hash`, hashes of the cells `[R]` and clicks `[M]`."""
    clicks = sum_lists(click.astype(np.uint64), size)
    return mix(list_hash ^ mix(clicks + cell))


def sum_lists(values: Words, size: NDArray[np.int32]) -> Words:
    """`[R]` sum of each list's values, the i-th times a fixed odd factor, modulo 2^64."""
    width = common_size(size)
    if width:
        return values.reshape(-1, width) @ _factors(width)
    bounds = starts(size)
    place = np.arange(len(values)) - np.repeat(bounds[:-1], size)
    total = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * _factors(int(size.max(initial=0)))[place], out=total[1:])
    return total[bounds[1:]] - total[bounds[:-1]]


def _factors(width: int) -> Words:
    return mix(np.arange(1, width + 1)) | np.uint64(1)


def exact_weights(weight: NDArray[np.float64]) -> Longs:
    """`[R, 4]` whole numbers whose sums do not depend on the order.

    A weight and its square each stand as a multiple of 2^-20 and the rest as a multiple of 2^-50;
    what is finer than 2^-50 is rounded away.
    """
    columns = []
    for values in (weight, weight * weight):
        high = np.rint(values * _HIGH)
        columns += [high, np.rint((values - high / _HIGH) * _LOW)]
    return np.stack(columns, axis=1).astype(np.int64)


def real_weights(n: Longs, weight: Longs | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sums of weights `[R]` and of their squares `[R]`."""
    if weight is None:
        return n.astype(np.float64), n.astype(np.float64)
    parts = weight.astype(np.float64)
    return parts[:, 0] / _HIGH + parts[:, 1] / _LOW, parts[:, 2] / _HIGH + parts[:, 3] / _LOW


def to_arrow(rows: Rows) -> pa.RecordBatch:
    """Rows as a batch of Arrow, for the spill."""
    columns = {name: pa.array(v) for name, v in rows.plain.items() if name != "weight"}
    if rows.weight is not None:
        columns["weight"] = pa.FixedSizeListArray.from_arrays(pa.array(rows.weight.reshape(-1)), 4)
    columns |= {name: as_lists(values, rows.size) for name, values in rows.lists.items()}
    return pa.RecordBatch.from_pydict(columns)


def from_arrow(table: pa.Table) -> Rows:
    """What `to_arrow` made."""
    columns: dict[str, NDArray[Any]] = {}
    for name in table.schema.names:
        parts = table[name].chunks
        is_nested = name in (*_FLAT, "weight")
        columns[name] = np.concatenate(
            [(p.flatten() if is_nested else p).to_numpy() for p in parts]
        )
    if "weight" in columns:
        columns["weight"] = columns["weight"].reshape(-1, 4)
    return Rows(**columns)
