"""Selecting and merging lists loses nothing and mixes nothing up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ultr.data.lists import group_rows


@pytest.fixture
def data(planted):
    return planted([1.0, 0.7, 0.5, 0.3], queries=30, documents=6, orders=5)[0]


def shown(lists):
    """Every impression as (query, document, position, clicks): what must survive."""
    where = lists.where
    query = np.broadcast_to(lists.query_id[lists.list_query][:, None], where.shape)[where]
    doc = lists.doc_id[lists.document][where]
    return sorted(zip(query, doc, lists.position[where], lists.clicks[where], strict=True))


def test_select_keeps_ids_positions_and_clicks(data):
    chosen = np.arange(data.n_lists) % 3 == 0
    part = data.select(chosen)
    whole = replace(
        data, document=data.document[chosen], position=data.position[chosen],
        where=data.where[chosen], clicks=data.clicks[chosen], list_query=data.list_query[chosen],
    )  # fmt: skip
    assert shown(part) == shown(whole)
    assert np.array_equal(part.features, data.features[part.doc_row])
    assert set(part.doc_query) == set(range(len(part.query_id)))


def test_select_drops_documents_that_no_list_shows(data):
    part = data.select(data.list_query == 0)
    assert part.n_documents == len(np.unique(data.document[data.list_query == 0]))
    assert part.query_id.tolist() == [data.query_id[0]]


def test_splits_share_no_query_and_leave_none_out(data):
    parts = [data.split(name, by="query") for name in ("train", "validation", "test")]
    queries = [set(p.query_id.tolist()) for p in parts]
    assert set.union(*queries) == set(data.query_id.tolist())
    assert sum(map(len, queries)) == len(data.query_id)
    assert sum(p.n_lists for p in parts) == data.n_lists


def test_merging_clicks_sums_equal_lists(data):
    first = np.repeat(np.arange(data.n_lists), 2)
    doubled = replace(
        data, document=data.document[first], position=data.position[first],
        where=data.where[first], clicks=data.clicks[first], weight=data.weight[first],
        sessions=data.sessions[first], list_query=data.list_query[first],
        session_split=data.session_split[first],
    )  # fmt: skip
    merged = doubled.merge_clicks()
    assert merged.n_lists == data.merge_clicks().n_lists
    assert merged.sessions.sum() == 2 * data.sessions.sum()
    np.testing.assert_allclose(merged.clicks.sum(axis=0), 2 * data.clicks.sum(axis=0))


def test_merging_keeps_lists_of_other_positions_apart(data):
    moved = replace(
        data,
        position=np.where(np.arange(data.n_lists)[:, None] % 2, data.position, 1 + data.position),
    )
    stacked = np.concatenate([data.document, data.document])
    both = replace(
        data, document=stacked, position=np.concatenate([data.position, moved.position]),
        where=np.tile(data.where, (2, 1)), clicks=np.tile(data.clicks, (2, 1)),
        weight=np.tile(data.weight, 2), sessions=np.tile(data.sessions, 2),
        list_query=np.tile(data.list_query, 2), session_split=np.tile(data.session_split, 2),
    )  # fmt: skip
    distinct = {
        (q, s, tuple(d), tuple(p))
        for q, s, d, p in zip(
            both.list_query, both.session_split, both.document.tolist(), both.position.tolist(),
            strict=True,
        )
    }  # fmt: skip
    assert both.merge_clicks().n_lists == len(distinct)


def test_group_rows_is_exact_and_in_order_of_appearance():
    key = np.random.default_rng(0).integers(0, 3, (500, 3)).astype(np.int32)
    group, first = group_rows(key)
    numbers: dict[tuple[int, ...], int] = {}
    expected = [numbers.setdefault(tuple(row), len(numbers)) for row in key.tolist()]
    assert group.tolist() == expected
    assert np.array_equal(key[first][group], key)
