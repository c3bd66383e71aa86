"""Logging policies: what they know, and how they rank."""

import numpy as np
import pyarrow as pa
import pytest

from ultr.simulate import Synthetic, logger
from ultr.simulate.judged import JudgedSet, synthetic


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def judged():
    return synthetic(rng(), Synthetic(queries=600, docs=20, features=10))


def judged_of(features, grade, sizes):
    n = len(grade)
    return JudgedSet(
        features=np.float32(features),
        grade=np.int16(grade),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        query_key=pa.array(np.arange(len(sizes))),
        doc_key=pa.array(np.arange(n)),
        logged=len(sizes),
        y_max=4,
    )


def test_scores_are_standardised_by_query(judged):
    score = logger.scores(rng(), judged, logger="weak")
    parts = np.split(score, judged.offsets[1:-1])
    np.testing.assert_allclose([p.mean() for p in parts], 0, atol=1e-9)
    np.testing.assert_allclose([p.std() for p in parts], 1, rtol=1e-9)


def test_ridge_minimises_its_loss():
    x, draw = rng(1).standard_normal((50, 4)) + 3, rng(2)
    y = draw.integers(0, 5, 50).astype(float)
    # The same problem as least squares: √λ·I rows for the penalty, a column of ones without one.
    rows = np.block([[x, np.ones((50, 1))], [np.sqrt(10.0) * np.eye(4), np.zeros((4, 1))]])
    expected = np.linalg.lstsq(rows, np.concatenate([y, np.zeros(4)]), rcond=None)[0][:4]
    j = judged_of(x, y, [50])
    got = logger.scores(rng(), j, logger="weak")
    centred = x @ expected - (x @ expected).mean()
    np.testing.assert_allclose(got, centred / centred.std(), atol=1e-4)


@pytest.mark.parametrize(("strength", "sample"), [("weak", 6), ("strong", 120)])
def test_how_many_queries_a_logger_knows(judged, monkeypatch, strength, sample):
    seen = {}
    monkeypatch.setattr(logger, "_ridge", lambda x, _: seen.update(n=len(x)) or np.ones(x.shape[1]))
    logger.scores(rng(3), judged, logger=strength)
    chosen = rng(3).choice(600, sample, replace=False)
    assert seen["n"] == judged.sizes[chosen].sum()


def test_equal_scores_are_zero():
    score = logger.scores(rng(), judged_of(np.ones((4, 2)), [0, 1, 2, 3], [2, 2]), logger="weak")
    assert score.tolist() == [0, 0, 0, 0]


def test_deterministic_sorts_with_ties_by_index():
    j = judged_of(np.zeros((6, 1)), [0] * 6, [4, 2])
    score = np.array([1.0, 3, 1, 3, 0, 2])
    policy = logger.deterministic(rng(), j, score=score, k=3)
    rows = policy.rank(rng(), np.array([0, 1, 0]))
    assert rows.tolist() == [[1, 3, 0], [5, 4, -1], [1, 3, 0]]


def test_random_deterministic_is_one_shuffle_per_query():
    j = judged_of(np.zeros((400, 1)), [0] * 400, [200, 200])
    zero = logger.scores(rng(), j, logger="random")
    pages = logger.deterministic(rng(7), j, score=zero, k=10).rank(rng(), np.array([0, 0, 1]))
    assert (pages[0] == pages[1]).all()
    assert (pages[0] != pages[2] - 200).any()
    assert (np.diff(pages[0]) < 0).any()


def test_plackett_luce_probabilities():
    """Both places of a page of two out of three documents, against the formula."""
    score, n = np.array([1.0, 0.0, -1.0]), 60_000
    j = judged_of(np.zeros((3, 1)), [0] * 3, [3])
    rows = logger.plackett_luce(j, score=score, k=2).rank(rng(), np.zeros(n, int))
    p = np.exp(score) / np.exp(score).sum()
    for a in range(3):
        for b in range(3):
            expected = 0.0 if a == b else p[a] * p[b] / (1 - p[a])
            seen = np.mean((rows == [a, b]).all(1))
            assert abs(seen - expected) <= 5 * np.sqrt(expected * (1 - expected) / n)


def test_random_plackett_luce_is_uniform():
    n = 30_000
    j = judged_of(np.zeros((9, 1)), [0] * 9, [4, 5])
    policy = logger.plackett_luce(j, score=np.zeros(9), k=5)
    rows = policy.rank(rng(), np.zeros(n, int))
    assert (rows[:, 4] == -1).all()
    assert (np.sort(rows[:, :4], axis=1) == np.arange(4)).all()
    share = np.stack([(rows[:, :4] == d).mean(0) for d in range(4)])
    assert (np.abs(share - 1 / 4) < 5 * np.sqrt(3 / 16 / n)).all()


def test_a_page_stays_within_its_query(judged):
    score = logger.scores(rng(), judged, logger="strong")
    query = rng(1).integers(0, judged.logged, 500)
    for policy in (
        logger.deterministic(rng(), judged, score=score, k=12),
        logger.plackett_luce(judged, score=score, k=12),
    ):
        rows = policy.rank(rng(), query)
        where = rows >= 0
        assert (where.sum(1) == np.minimum(judged.sizes[query], 12)).all()
        assert (np.diff(where.astype(int), axis=1) <= 0).all()
        owner = np.searchsorted(judged.offsets, rows, side="right") - 1
        assert (owner == query[:, None])[where].all()
        assert all(len(set(r[r >= 0])) == (r >= 0).sum() for r in rows)
