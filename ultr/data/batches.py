"""Query-major batches of fixed shape: every document of a batch is scored once.

A batch is a set of units; a unit is a query, or a share of a query whose lists are too many for
one batch (its documents are then repeated). A plan holds indices only, so that features and lists
stay on the device and an epoch is one dispatch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ultr.data.lists import Ints, Lists, Longs


@dataclass(frozen=True)
class Shape:
    """The fixed shape of an epoch.

    Args:
        batches: batches of an epoch; some at the end may be empty.
        documents: D, documents of a batch.
        lists: L, lists of a batch.
    """

    batches: int
    documents: int
    lists: int


class Plan(NamedTuple):
    """Indices of an epoch's batches.

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


def batch_shape(data: Lists, *, documents: int) -> Shape:
    """Choose the shape for batches of about `documents` documents.

    The bound on lists follows from the data, so that both bounds are reached at about the same
    time; a query above either bound sets it (documents) or is split (lists).
    """
    sizes = np.diff(data.query_start)
    wanted = max(1, round(data.n_documents / documents))
    cap_documents = int(min(max(documents, sizes.max(initial=1)), max(data.n_documents, 1)))
    cap_lists = max(64, int(np.ceil(1.25 * data.n_lists / wanted)))
    cap_lists = min(cap_lists, max(data.n_lists, 1))
    units = _units(data, cap_lists)
    # The worst case of a greedy fill: two neighbouring batches together exceed one bound.
    bound = 2 * (units.documents.sum() / cap_documents + units.lists.sum() / cap_lists) + 1
    shape = Shape(min(int(bound), len(units.query)), cap_documents, cap_lists)
    used = _fill(units, np.arange(len(units.query)), shape)[-1] + 1 if len(units.query) else 1
    # Orders differ by a few batches; an epoch never needs more than the bound.
    return Shape(min(shape.batches, int(used * 1.15) + 2), cap_documents, cap_lists)


def epoch_plan(data: Lists, shape: Shape, *, seed: int, epoch: int) -> Plan:
    """The batches of one epoch, a function of `(seed, epoch)` alone.

    An order that fills so badly that the shape's batches do not suffice is drawn again.
    """
    units = _units(data, shape.lists)
    for attempt in range(100):
        rng = np.random.default_rng((seed, epoch, attempt))
        order = rng.permutation(len(units.query))
        batch = _fill(units, order, shape)
        if not len(batch) or batch[-1] < shape.batches:
            return _indices(data, units, order, batch, shape)
    raise AssertionError("no order of the queries fits the batch shape")


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
    query, sizes, counts = units.query[order], units.documents[order], units.lists[order]
    place_d, place_l = _place(sizes, batch), _place(counts, batch)
    of_document, within_d = _expand(sizes)
    row = batch[of_document]
    document[row, place_d[of_document] + within_d] = data.query_start[query[of_document]] + within_d
    of_list, within_l = _expand(counts)
    row, column = batch[of_list], place_l[of_list] + within_l
    lists[row, column] = units.first_list[order][of_list] + within_l
    shift[row, column] = place_d[of_list] - data.query_start[query[of_list]]
    return Plan(document, lists, shift)


def _place(sizes: Longs, batch: Longs) -> Longs:
    """Where each unit begins within its batch."""
    end = np.cumsum(sizes)
    begin = end - sizes
    first = np.searchsorted(batch, np.arange(batch[-1] + 1 if len(batch) else 0))
    return begin - begin[first][batch] if len(batch) else begin


def _expand(sizes: Longs) -> tuple[Longs, Longs]:
    """For `[2, 3]`: the units `[0, 0, 1, 1, 1]` and places within them `[0, 1, 0, 1, 2]`."""
    unit = np.repeat(np.arange(len(sizes)), sizes)
    return unit, np.arange(len(unit)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
