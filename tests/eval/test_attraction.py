"""Scores to click probabilities: planted maps are recovered, odd input does not break it."""

import numpy as np
import pytest

from ultr.eval.attraction import Attraction, fit_attraction

THETA = np.array([1.0, 0.6, 0.3, 0.1])


def log(rng, *, size, truth, shift=0.0):
    f = rng.normal(shift, 2, (size, 4))
    n = rng.integers(1, 200, size)
    clicks = rng.binomial(n[:, None], THETA * truth(f))
    return f, clicks, n


@pytest.mark.parametrize("shift", [0.0, 50.0])
def test_a_planted_map_is_recovered(shift):
    truth = Attraction(-1.0 - 0.7 * shift, 0.7)
    f, clicks, n = log(np.random.default_rng(0), size=600, truth=truth, shift=shift)
    theta = np.broadcast_to(THETA, f.shape)
    got = fit_attraction(f, theta, clicks=clicks, weight=n, where=np.ones(f.shape, bool))
    assert got.slope == pytest.approx(0.7, abs=0.03)
    assert got.intercept + got.slope * shift == pytest.approx(-1.0, abs=0.06)


def test_masked_documents_change_nothing():
    f, clicks, n = log(np.random.default_rng(1), size=50, truth=Attraction(0, 1))
    theta = np.broadcast_to(THETA, f.shape)
    where = np.ones(f.shape, bool)
    want = fit_attraction(f, theta, clicks=clicks, weight=n, where=where)
    wide = [np.pad(x, ((0, 0), (0, 2)), constant_values=9) for x in (f, theta, clicks)]
    got = fit_attraction(
        wide[0], wide[1], clicks=wide[2], weight=n, where=np.pad(where, ((0, 0), (0, 2)))
    )
    assert (got.intercept, got.slope) == pytest.approx((want.intercept, want.slope))


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_scores_that_are_all_alike_and_extreme_rates_give_numbers(rate):
    f = np.full((5, 2), 3.0)
    n = np.full(5, 10)
    clicks = np.full((5, 2), 10 * rate)
    got = fit_attraction(f, np.ones((5, 2)), clicks=clicks, weight=n, where=np.ones((5, 2), bool))
    p = got(np.array([3.0]))[0]
    assert p == pytest.approx(rate, abs=1e-3)


def test_examination_above_1_keeps_probabilities_below_1():
    f = np.array([[0.0, 1.0]])
    got = fit_attraction(f, np.array([[1.0, 1.5]]), clicks=np.array([[5, 10]]),
                         weight=np.array([10]), where=np.ones((1, 2), bool))  # fmt: skip
    assert np.isfinite([got.intercept, got.slope]).all()
