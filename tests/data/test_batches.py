"""A plan covers every list once, in fixed shapes, whatever the sizes of queries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ultr.data import batch_shape, epoch_plan, epoch_plans
from ultr.data.batches import Sizes, most_batches


@pytest.fixture(params=["even", "one huge query", "documents fill first"])
def data(request, planted):
    lists = planted([1.0, 0.6, 0.4], queries=60, documents=5, orders=6)[0]
    if request.param == "one huge query":
        keep = (lists.list_query == 7) | (np.arange(lists.n_lists) % 6 == 0)
        lists = lists.select(keep)
        extra = np.repeat(np.flatnonzero(lists.list_query == 7), 60)
        order = np.sort(np.concatenate([np.arange(lists.n_lists), extra]))
        lists = replace(
            lists, document=lists.document[order], position=lists.position[order],
            where=lists.where[order], clicks=lists.clicks[order], weight=lists.weight[order],
            sessions=lists.sessions[order], list_query=lists.list_query[order],
            session_split=lists.session_split[order],
        )  # fmt: skip
    if request.param == "documents fill first":
        lists = lists.select(np.arange(lists.n_lists) % 6 == 0)
    return lists


def test_every_list_is_in_exactly_one_batch(data):
    shape = batch_shape(data, documents=40)
    plan = epoch_plan(data, shape, seed=3, epoch=2)
    assert plan.list.shape == (shape.batches, shape.lists)
    assert plan.document.shape == (shape.batches, shape.documents)
    seen = plan.list[plan.list < data.n_lists]
    assert np.array_equal(np.sort(seen), np.arange(data.n_lists))


def test_lists_find_their_documents_in_the_batch(data):
    shape = batch_shape(data, documents=40)
    plan = epoch_plan(data, shape, seed=3, epoch=2)
    for document, lists, shift in zip(*plan, strict=True):
        real = lists < data.n_lists
        place = data.document[lists[real]] + shift[real][:, None]
        assert np.array_equal(document[place], data.document[lists[real]])


def test_each_document_is_scored_once_per_batch(data):
    plan = epoch_plan(data, batch_shape(data, documents=40), seed=0, epoch=1)
    for document in plan.document:
        real = document[document < data.n_documents]
        if data.n_lists < 400:  # a query that is split over batches repeats its documents
            assert len(np.unique(real)) == len(real)


def test_same_seed_and_epoch_same_plan_and_otherwise_not(data):
    shape = batch_shape(data, documents=40)
    first, again = (epoch_plan(data, shape, seed=1, epoch=5) for _ in range(2))
    other = epoch_plan(data, shape, seed=1, epoch=6)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first.list, other.list)


def test_the_shape_wastes_little(planted):
    data = planted([1.0, 0.6, 0.4], queries=400, documents=5, orders=6)[0]
    shape = batch_shape(data, documents=100)
    assert shape.batches * shape.documents < 1.5 * data.n_documents
    assert shape.batches * shape.lists < 2 * data.n_lists


@pytest.mark.parametrize("batches", [1, 3, 1000])
def test_an_epoch_in_several_plans_is_the_epoch_in_one(data, batches):
    whole = epoch_plan(data, batch_shape(data, documents=40), seed=3, epoch=2)
    shape = batch_shape(data, documents=40, batches=batches)
    plans = list(epoch_plans(data, shape, seed=3, epoch=2))
    assert all(plan.list.shape == (shape.batches, shape.lists) for plan in plans)
    parts = [np.concatenate(part) for part in zip(*plans, strict=True)]
    for part, one in zip(parts, whole, strict=True):
        both = min(len(part), len(one))
        assert np.array_equal(part[:both], one[:both])
    assert (parts[1][both:] == data.n_lists).all()
    rest = list(epoch_plans(data, shape, seed=3, epoch=2, first=1))
    assert len(rest) == max(1, len(plans)) - 1 or len(plans) == 1
    for one, other in zip(plans[1:], rest, strict=False):
        assert np.array_equal(one.list, other.list)


def test_batches_are_shared_out_evenly_by_up_to_eight_devices(data):
    shape = batch_shape(data, documents=37)
    assert shape.documents % 8 == 0
    assert shape.lists % 8 == 0


def test_no_order_of_the_queries_needs_more_batches_than_the_bound(data):
    shape = batch_shape(data, documents=40)
    pieces = -(-np.bincount(data.list_query) // shape.lists)
    documents = int((np.diff(data.query_start) * pieces).sum())
    most = most_batches(
        Sizes(documents, data.n_lists, 5), documents=shape.documents, lists=shape.lists
    )
    roomy = replace(shape, batches=10 * most)
    for epoch in range(30):
        plan = epoch_plan(data, roomy, seed=0, epoch=epoch)
        assert (plan.list < data.n_lists).any(axis=1).sum() <= most
