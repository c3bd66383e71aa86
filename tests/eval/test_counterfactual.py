"""The worth of a new ranking: formulas, limits, and coverage on logs whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest

from tests.eval.offline_truth import logged_pairs
from ultr.eval.counterfactual import estimate


@pytest.fixture(scope="module")
def log():
    return logged_pairs(np.random.default_rng(7), queries=80, sessions=60)


def test_the_logged_ranking_is_worth_the_clicks_that_were_counted(log):
    pairs, _, _ = log
    counted = pairs.clicks.sum() / pairs.sessions.sum()
    assert estimate(pairs).logged.value == pytest.approx(counted)
    same = replace(pairs, new=pairs.logged)
    got = estimate(same, max_weight=1e9)
    assert got.snips.value == pytest.approx(counted)
    assert (got.lift.value, got.lift.low, got.lift.high) == (0, 0, 0)


def test_all_estimates_are_near_the_truth(log):
    pairs, truth, logged = log
    got = estimate(pairs)
    assert got.support > 0.95
    assert got.dr.value == pytest.approx(truth, rel=0.04)
    assert got.snips.value == pytest.approx(truth, rel=0.04)
    assert got.lift.value == pytest.approx(truth - logged, rel=0.25)
    assert got.dr.low < got.dr.value < got.dr.high


def test_what_the_log_never_showed_is_the_models_guess():
    pairs, _, _ = logged_pairs(np.random.default_rng(1), queries=20, sessions=30)
    gone = pairs.new > 0
    hidden = replace(
        pairs,
        examination=np.where(gone, 0.0, pairs.examination),
        clicks=np.where(gone, 0.0, pairs.clicks),
    )
    got = estimate(hidden)
    weight = pairs.sessions[pairs.query]
    guess = (weight * pairs.new * pairs.attraction).sum() / pairs.sessions.sum()
    assert got.dr.value == pytest.approx(guess)
    assert (got.support, got.effective_sample_size) == (0, 0)
    assert np.isnan(got.snips.value)


def test_a_bound_on_weights_leans_on_the_model(log):
    pairs, _, _ = log
    loose, tight = (estimate(pairs, max_weight=w) for w in (1e9, 1.5))
    assert loose.clipped_share == 0 < tight.clipped_share
    wrong = replace(pairs, attraction=np.zeros_like(pairs.attraction))
    full = pairs.examination.min() > 0
    if full:  # then the model does not matter without a bound
        assert estimate(wrong, max_weight=1e9).dr.value == pytest.approx(loose.dr.value)
    assert estimate(wrong, max_weight=1.5).dr.value < tight.dr.value


def test_equal_weights_are_worth_the_whole_sample():
    pairs, _, _ = logged_pairs(np.random.default_rng(2), queries=10, sessions=30)
    weight = pairs.sessions[pairs.query]
    even = replace(pairs, new=pairs.examination / weight)  # D = E / n: every weight is 1
    assert estimate(even).effective_sample_size == pytest.approx(pairs.examination.sum())


def test_one_query_has_no_interval():
    pairs, _, _ = logged_pairs(np.random.default_rng(3), queries=1, sessions=50)
    got = estimate(pairs)
    assert np.isfinite(got.dr.value)
    assert np.isnan([got.dr.low, got.dr.high]).all()


def test_many_queries_are_resampled_in_blocks(monkeypatch, log):
    monkeypatch.setattr("ultr.eval.counterfactual._BLOCKS", 40)
    pairs, _, _ = log
    got, plain = estimate(pairs).dr, estimate(pairs, seed=5).dr
    assert got.value == plain.value
    assert got.high - got.low == pytest.approx(plain.high - plain.low, rel=0.4)


def test_intervals_cover_the_truth():
    """The full count is in `make soak`."""
    covered = 0
    for repetition in range(8):
        rng = np.random.default_rng(repetition)
        pairs, truth, _ = logged_pairs(rng, queries=40, sessions=30)
        covered += estimate(pairs).dr.low <= truth <= estimate(pairs).dr.high
    assert covered >= 7
