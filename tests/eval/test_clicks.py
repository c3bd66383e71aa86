"""Click likelihoods against their formulas; padding and collapse change nothing."""

import numpy as np
import pytest

from ultr.eval.clicks import bernoulli_nll, listwise_nll, perplexity


@pytest.fixture
def lists():
    """f, g, clicks, weight, where, position of three lists, the last without clicks."""
    rng = np.random.default_rng(0)
    where = np.array([[True] * 4, [True, True, False, False], [True] * 4])
    clicks = rng.integers(0, 5, (3, 4)) * where
    clicks[2] = 0
    f, g = rng.normal(size=(2, 3, 4))
    return f, g, clicks, np.array([9, 5, 4]), where, np.tile(np.arange(1, 5), (3, 1)) * where


def test_listwise_is_its_formula(lists):
    f, g, clicks, _, where, _ = lists
    got = listwise_nll(f, g, clicks=clicks, where=where)
    for i in range(3):
        joint = (f + g)[i, where[i]]
        log_softmax = joint - np.log(np.exp(joint).sum())
        assert got[i] == pytest.approx(-(clicks[i, where[i]] * log_softmax).sum())
    assert got[2] == 0


def test_listwise_does_not_overflow_nor_see_a_constant(lists):
    f, g, clicks, _, where, _ = lists
    plain = listwise_nll(f, g, clicks=clicks, where=where)
    np.testing.assert_allclose(listwise_nll(f + 1e4, g, clicks=clicks, where=where), plain)


def test_what_is_masked_does_not_matter(lists):
    f, g, clicks, weight, where, position = lists
    wild = [np.where(where, x, v) for x, v in ((f, np.nan), (g, np.inf), (clicks, 99))]
    np.testing.assert_array_equal(
        listwise_nll(wild[0], g, clicks=wild[2], where=where),
        listwise_nll(f, g, clicks=clicks, where=where),
    )
    plain = bernoulli_nll(f, clicks=clicks, weight=weight, where=where)
    masked = bernoulli_nll(np.where(where, f, 5), clicks=wild[2], weight=weight, where=where)
    np.testing.assert_array_equal(masked, plain)
    assert len(perplexity(plain, position=position, weight=weight, where=where)) == 4


def test_a_list_without_documents_gives_0():
    nothing = np.zeros((1, 2))
    assert listwise_nll(nothing, nothing, clicks=nothing, where=nothing > 0).tolist() == [0.0]


def test_bernoulli_is_its_formula(lists):
    f, _, clicks, weight, where, _ = lists
    p = 1 / (1 + np.exp(-f))
    want = -(clicks * np.log(p) + (weight[:, None] - clicks) * np.log(1 - p))
    got = bernoulli_nll(f, clicks=clicks, weight=weight, where=where)
    np.testing.assert_allclose(got, np.where(where, want, 0))
    assert np.isfinite(bernoulli_nll(f * 1e4, clicks=clicks, weight=weight, where=where)).all()


def test_collapsed_sessions_give_the_same(lists):
    f, g, _, _, where, _ = lists
    rows = np.array([0, 0, 1, 2, 2, 2])
    clicks = np.random.default_rng(1).integers(0, 2, (6, 4)) * where[rows]
    summed = np.stack([clicks[rows == i].sum(axis=0) for i in range(3)])
    single = listwise_nll(f[rows], g[rows], clicks=clicks, where=where[rows])
    assert listwise_nll(f, g, clicks=summed, where=where).sum() == pytest.approx(single.sum())
    each = bernoulli_nll(f[rows], clicks=clicks, weight=np.ones(6), where=where[rows])
    once = bernoulli_nll(f, clicks=summed, weight=np.bincount(rows), where=where)
    assert once.sum() == pytest.approx(each.sum())


def test_perplexity_of_a_coin_is_2_and_of_certainty_1():
    where = np.array([[True, True, True]])
    weight, position = np.array([8.0]), np.array([[1, 2, 4]])
    logits = np.array([[0.0, 50.0, -50.0]])
    nll = bernoulli_nll(logits, clicks=np.array([[4, 8, 0]]), weight=weight, where=where)
    got = perplexity(nll, position=position, weight=weight, where=where)
    np.testing.assert_allclose(got, [2, 1, np.nan, 1])
