"""The randomisation test against all sign patterns; the bootstrap against theory."""

import itertools

import numpy as np
import pytest

from ultr.eval import significance
from ultr.eval.significance import bootstrap_interval, paired_randomisation_test


def test_p_is_the_share_of_sign_patterns_at_least_as_extreme():
    d = np.array([0.3, 0.1, -0.2, 0.4, 0.25, 0.05, 0.3, -0.1])
    sums = [abs(np.dot(s, d)) for s in itertools.product((-1, 1), repeat=len(d))]
    exact = np.mean(np.array(sums) >= abs(d.sum()) - 1e-12)
    resamples = 20_000
    noise = np.sqrt(exact * (1 - exact) / resamples)
    got = paired_randomisation_test(d, np.zeros(8), resamples=resamples)
    assert got == pytest.approx(exact, abs=5 * noise)


def test_equal_runs_have_p_1_and_p_is_never_0():
    a = np.random.default_rng(0).random(50)
    assert paired_randomisation_test(a, a) == 1
    assert paired_randomisation_test(a + 1, a, resamples=99) == 1 / 100


def test_p_is_symmetric_and_repeats_with_its_seed():
    a, b = np.random.default_rng(0).random((2, 30))
    assert paired_randomisation_test(a, b) == paired_randomisation_test(b, a)


def test_queries_without_a_difference_change_nothing():
    a, b = np.random.default_rng(0).random((2, 30))
    longer = [np.concatenate([x, np.ones(20)]) for x in (a, b)]
    assert paired_randomisation_test(*longer) == paired_randomisation_test(a, b)


def test_false_alarms_come_as_often_as_they_should():
    rng = np.random.default_rng(1)
    p = [paired_randomisation_test(*rng.normal(size=(2, 20)), resamples=400) for _ in range(400)]
    share = 0.1
    noise = np.sqrt(share * (1 - share) / len(p))
    assert np.mean(np.array(p) <= share) == pytest.approx(share, abs=4 * noise)


def test_the_interval_is_as_wide_as_the_standard_error_says():
    values = np.random.default_rng(0).normal(3, 2, 400)
    low, high = bootstrap_interval(values)
    error = values.std() / np.sqrt(400)
    assert (high + low) / 2 == pytest.approx(values.mean(), abs=0.2 * error)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_many_queries_are_done_in_pieces(monkeypatch):
    values = np.random.default_rng(0).normal(0.3, 1, 40)
    monkeypatch.setattr(significance, "_CELLS", 64)
    assert 0 < paired_randomisation_test(values, np.zeros(40), resamples=200) < 0.5
    low, high = bootstrap_interval(values, resamples=200)
    assert low < values.mean() < high
