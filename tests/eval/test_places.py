"""Where a new ranking puts documents, against plain Python."""

import numpy as np

from ultr.eval.places import ranks, reranked


def test_each_page_keeps_its_own_places():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 4, (40, 6)) / 4  # with ties
    where = rng.random((40, 6)) < 0.8
    position = np.where(where, rng.permuted(np.tile(np.arange(1, 7), (40, 1)), axis=1), 0)
    got = reranked(scores, position=position, where=where)
    for s, p, w, row in zip(scores, position, where, got, strict=True):
        order = sorted(np.flatnonzero(w), key=lambda i: (-s[i], p[i]))
        places = sorted(p[w])
        want = np.zeros(6, int)
        want[order] = places
        assert row.tolist() == want.tolist()


def test_a_ranking_by_position_changes_nothing():
    position = np.array([[3, 1, 2], [1, 0, 4]])
    got = reranked(-position.astype(float), position=position, where=position > 0)
    assert got.tolist() == position.tolist()


def test_ranks_are_within_queries_and_ties_go_to_the_higher_id():
    query = np.array([5, 2, 5, 2, 5])
    document = np.array([1, 9, 3, 8, 2])
    scores = np.array([0.5, 0.1, 0.5, 0.9, 0.7])
    assert ranks(scores, query=query, document=document).tolist() == [3, 2, 2, 1, 1]
    assert ranks(scores[:0], query=query[:0], document=document[:0]).tolist() == []
