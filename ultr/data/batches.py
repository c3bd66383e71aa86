"""Query-major batches of fixed shape: every document of a batch is scored once.

A batch is a set of units; a unit is a query, or a share of a query whose lists are too many for
one batch (its documents are then repeated). A plan holds indices only, so that features and lists
stay on the device and a plan is one dispatch. A long epoch is cut into several plans of one shape:
their size is bounded, one program serves all, and between them a training can stop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ultr.data.lists import Ints, Lists, Longs


@dataclass(frozen=True)
class Shape:
    """The fixed shape of a plan.

    Args:
        batches: B, batches of a plan; some at its end may be empty.
        documents: D, documents of a batch, a multiple of 8.
        lists: L, lists of a batch, a multiple of 8.
    """

    batches: int
    documents: int
    lists: int


class Plan(NamedTuple):
    """Indices of a sequence of batches; empty ones come last.

    Attributes:
        document: `[B, D]` index of the documents to score, N where padded.
        list: `[B, L]` index of the lists, and L where padded.
        shift: `[B, L]` what turns a document's index into its place in the batch.
    """

    document: Ints
    list: Ints
    shift: Ints


class _Units(NamedTuple):
    query: Longs
    documents: Longs
    first_list: Longs
    lists: Longs


class Sizes(NamedTuple):
    """What the shape of batches depends on.

    Attributes:
        documents: N.
        lists: L.
        largest_query: documents of the largest query.
    """

    documents: int
    lists: int
    largest_query: int


def sizes_of(data: Lists) -> Sizes:
    """The sizes of lists in memory."""
    largest = int(np.diff(data.query_start).max(initial=1))
    return Sizes(data.n_documents, data.n_lists, largest)


def batch_bounds(sizes: Sizes, *, documents: int) -> tuple[int, int]:
    """D and L of batches of about `documents` documents.

    The bound on lists follows from the data, so that both bounds are reached at about the same
    time; a query above either bound sets it (documents) or is split (lists).
    """
    wanted = max(1, round(sizes.documents / documents))
    cap_documents = min(max(documents, sizes.largest_query), max(sizes.documents, 1))
    cap_lists = max(64, int(np.ceil(1.25 * sizes.lists / wanted)))
    # Multiples of 8, so that up to eight devices share a batch evenly, whatever their number.
    return _up(cap_documents), _up(min(cap_lists, max(sizes.lists, 1)))


def most_batches(sizes: Sizes, *, documents: int, lists: int) -> int:
    """How many batches a pass needs at most: two neighbouring ones together exceed a bound."""
    return 2 * int(np.ceil(sizes.documents / documents + sizes.lists / lists)) + 1


def batch_shape(data: Lists, *, documents: int, batches: int | None = None) -> Shape:
    """Choose the shape for batches of about `documents` documents.

    Args:
        data: the lists.
        documents: of a batch, about.
        batches: of a plan, at most; None plans a whole epoch at once.
    """
    cap_documents, cap_lists = batch_bounds(sizes_of(data), documents=documents)
    units = _units(data, cap_lists)
    shape = Shape(len(units.query), cap_documents, cap_lists)
    used = _count(_fill(units, np.arange(len(units.query)), shape))
    # Orders differ by a few batches; none needs more than there are units.
    most = max(1, min(shape.batches, int(used * 1.15) + 2))
    return Shape(min(most, batches or most), cap_documents, cap_lists)


def epoch_plan(data: Lists, shape: Shape, *, seed: int, epoch: int) -> Plan:
    """The batches of one epoch in one plan, a function of `(seed, epoch)` alone.

    An order that fills so badly that the shape's batches do not suffice is drawn again.

    Args:
        data: the lists.
        shape: of the plan, from `batch_shape`.
        seed: of the order of queries.
        epoch: its number.
    """
    units = _units(data, shape.lists)
    for attempt in range(100):
        order = _order(units, seed, epoch, attempt)
        batch = _fill(units, order, shape)
        if _count(batch) <= shape.batches:
            return _indices(data, units, order, batch, shape)
    raise AssertionError("no order of the queries fits the batch shape")


def epoch_plans(
    data: Lists, shape: Shape, *, seed: int, epoch: int, first: int = 0
) -> Iterator[Plan]:
    """One epoch in plans of `shape.batches` batches, a function of `(seed, epoch)` alone.

    Args:
        data: the lists.
        shape: of each plan.
        seed: of the order of queries.
        epoch: its number.
        first: plan to begin with, where an epoch is taken up again.

    Example:
        >>> shape = batch_shape(data, documents=1024, batches=64)  # doctest: +SKIP
        >>> for plan in epoch_plans(data, shape, seed=0, epoch=1):  # doctest: +SKIP
        ...     state, measured = run_epoch(model, state, arrays, plan)
    """
    units = _units(data, shape.lists)
    order = _order(units, seed, epoch, 0)
    batch = _fill(units, order, shape)
    for number in range(first, max(1, -(-_count(batch) // shape.batches))):
        low = number * shape.batches
        begin, end = np.searchsorted(batch, (low, low + shape.batches))
        yield _indices(data, units, order[begin:end], batch[begin:end] - low, shape)


def _order(units: _Units, seed: int, epoch: int, attempt: int) -> Longs:
    return np.random.default_rng((seed, epoch, attempt)).permutation(len(units.query))


def _count(batch: Longs) -> int:
    return int(batch[-1]) + 1 if len(batch) else 0


def _up(size: int) -> int:
    return -(-size // 8) * 8


def _units(data: Lists, cap_lists: int) -> _Units:
    sizes = np.diff(data.query_start)
    lists = np.bincount(data.list_query, minlength=len(sizes))
    start = np.concatenate([[0], np.cumsum(lists)[:-1]]).astype(np.int64)
    pieces = -(-lists // cap_lists)
    query = np.repeat(np.arange(len(sizes)), pieces)
    piece = np.arange(len(query)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    first = start[query] + piece * cap_lists
    count = np.minimum(cap_lists, start[query] + lists[query] - first)
    return _Units(query, sizes[query], first, count)


def _fill(units: _Units, order: Longs, shape: Shape) -> Longs:
    """Put units into batches in order, opening a new one when the next does not fit: `[U]`."""
    documents = np.cumsum(units.documents[order])
    lists = np.cumsum(units.lists[order])
    batch = np.zeros(len(order), np.int64)
    begin, number = 0, 0
    while begin < len(order):
        base_d = documents[begin - 1] if begin else 0
        base_l = lists[begin - 1] if begin else 0
        end = min(
            np.searchsorted(documents, base_d + shape.documents, side="right"),
            np.searchsorted(lists, base_l + shape.lists, side="right"),
        )
        end = max(int(end), begin + 1)
        batch[begin:end] = number
        begin, number = end, number + 1
    return batch


def _indices(data: Lists, units: _Units, order: Longs, batch: Longs, shape: Shape) -> Plan:
    document = np.full((shape.batches, shape.documents), data.n_documents, np.int32)
    lists = np.full((shape.batches, shape.lists), data.n_lists, np.int32)
    shift = np.zeros((shape.batches, shape.lists), np.int32)
    sizes, counts = units.documents[order], units.lists[order]
    first_document = data.query_start[units.query[order]]
    place_d, place_l = _place(sizes, batch), _place(counts, batch)
    at = _runs(batch * shape.documents + place_d, sizes)
    document.reshape(-1)[at] = _runs(first_document, sizes)
    at = _runs(batch * shape.lists + place_l, counts)
    lists.reshape(-1)[at] = _runs(units.first_list[order], counts)
    shift.reshape(-1)[at] = np.repeat((place_d - first_document).astype(np.int32), counts)
    return Plan(document, lists, shift)


def _place(sizes: Longs, batch: Longs) -> Longs:
    """Where each unit begins within its batch."""
    end = np.cumsum(sizes)
    begin = end - sizes
    first = np.searchsorted(batch, np.arange(_count(batch)))
    return begin - begin[first][batch] if len(batch) else begin


def _runs(start: Longs, sizes: Longs) -> Longs:
    """Consecutive numbers from each start: `[7, 3], [2, 3]` gives `[7, 8, 3, 4, 5]`."""
    end = np.cumsum(sizes)
    return np.repeat(start - (end - sizes), sizes) + np.arange(end[-1] if len(end) else 0)
