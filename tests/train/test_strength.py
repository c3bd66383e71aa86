"""How far the ranker is corrected where clicks are few: held-out ones choose, with caution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

import ultr
from ultr.train import phases
from ultr.train.config import TrainConfig
from ultr.train.phases import _refit, effective_clicks
from ultr.train.strength import HeldOut, most_cautious

EXAMINATION = np.array([1.0, 0.6, 0.4, 0.25, 0.15])
CURVE = np.log(EXAMINATION)


def held_out(score, clicks) -> HeldOut:
    query = np.arange(len(score))
    return HeldOut(score, np.broadcast_to(CURVE, score.shape), clicks, query, len(score))


def clicked(rng, relevance, *, sessions):
    """Clicks of a product PBM in fixed lists, a query each."""
    return rng.binomial(sessions, 0.3 * np.exp(relevance) * EXAMINATION).astype(float)


@pytest.fixture
def relevance(rng):
    return rng.uniform(-1, 1, (80, 5))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_likelihood_of_the_best_scale(rng, relevance):
    held = held_out(0.3 * relevance, clicked(rng, relevance, sessions=50))

    def nll(scale):
        log_p = log_softmax(scale * held.score + held.log_propensity, axis=1)
        return -(held.clicks * log_p).sum(axis=1)

    best = minimize_scalar(lambda a: nll(a).sum(), bounds=(0, 20), method="bounded").x
    assert best == pytest.approx(1 / 0.3, rel=0.2)
    np.testing.assert_allclose(held.query_nll(), nll(best), rtol=1e-4)


def test_a_ranker_that_is_wrong_counts_as_none(rng, relevance):
    clicks = clicked(rng, relevance, sessions=50)
    none, wrong = (held_out(f, clicks) for f in (np.zeros_like(relevance), -relevance))
    np.testing.assert_allclose(wrong.query_nll(), none.query_nll())


def test_masked_places_and_queries_without_clicks_count_for_nothing(rng, relevance):
    clicks = clicked(rng, relevance, sessions=50)
    plain = held_out(relevance, clicks).query_nll()
    more = HeldOut(
        np.pad(relevance, [(0, 0), (0, 1)]),
        np.pad(np.broadcast_to(CURVE, relevance.shape), [(0, 0), (0, 1)], constant_values=-np.inf),
        np.pad(clicks, [(0, 0), (0, 1)]),
        np.arange(80) + 1,
        82,
    )
    np.testing.assert_allclose(more.query_nll(), [0, *plain, 0], rtol=1e-6)


def test_a_ranker_that_took_bias_for_relevance_is_given_up(rng, relevance):
    """Beside the whole curve it counts bias twice, where documents differ from list to list."""
    clicks = clicked(rng, relevance, sessions=50)
    confounded, right = relevance + 0.9 * CURVE, relevance
    assert most_cautious([held_out(f, clicks) for f in (confounded, right)]) == 1
    assert most_cautious([held_out(f, clicks) for f in (right, confounded)]) == 0


def test_what_a_few_queries_tell_is_not_enough(rng, relevance):
    clicks = clicked(rng, relevance, sessions=50)
    lucky = np.zeros_like(relevance)
    lucky[:1] = 3 * relevance[:1]
    none = held_out(np.zeros_like(relevance), clicks)
    by_luck = held_out(lucky, clicks)
    assert by_luck.query_nll().sum() < none.query_nll().sum()
    assert most_cautious([none, by_luck]) == 0
    one = [HeldOut(*(v[:1] for v in held[:4]), 1) for held in (none, by_luck)]
    assert most_cautious(one) == 0


def test_few_clicks_choose_a_share_beside_the_whole_curve(planted, tmp_path, monkeypatch):
    judged = []
    known = phases.held_out_logits
    monkeypatch.setattr(
        phases, "held_out_logits", lambda *given: judged.append(known(*given)) or judged[-1]
    )
    data, _, _ = planted(EXAMINATION, sessions=40)
    run = ultr.fit(data, run=tmp_path / "run", documents_per_batch=128, evaluations=4)
    curve = np.log(run.propensities["propensity"].to_numpy())
    held = data.split("validation", by="query")
    for each in judged:
        assert each.clicks.sum() == held.clicks.sum()
        g = each.log_propensity - each.log_propensity[:, :1]
        np.testing.assert_allclose(g, np.tile(curve - curve[0], (len(g), 1)), atol=1e-5)
    n = effective_clicks(data.split("train", by="query"), curve, max_weight=100.0)
    least = n / (n + 4000)
    kept = (least, (least + 1) / 2)[most_cautious(judged)]
    assert run.summary["strength"] == pytest.approx(kept, rel=1e-3)
    best = judged[most_cautious(judged)]
    by_query = np.bincount(best.query, (best.score * best.clicks).sum(axis=1), best.n_queries)
    scores = run.score(held.features)[held.document]
    expected = np.bincount(held.list_query, (scores * held.clicks).sum(axis=1), best.n_queries)
    np.testing.assert_allclose(by_query, expected, rtol=1e-3, atol=1e-3)


def test_weights_need_clicks_for_each_document(planted):
    data, _, _ = planted(EXAMINATION, queries=1700)
    assert data.n_documents == 13_600
    assert [_refit(TrainConfig(), n, data).correction for n in (29_000, 40_000, 41_000)] == [
        "offset", "offset", "weights",
    ]  # fmt: skip
    small, _, _ = planted(EXAMINATION)
    assert [_refit(TrainConfig(), n, small).correction for n in (29_000, 31_000)] == [
        "offset", "weights",
    ]  # fmt: skip
