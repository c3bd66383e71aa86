"""The closed-form curve: neither a poor ranker nor a knowing policy leads it astray."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ultr.data import Lists
from ultr.data.context import BiasColumn
from ultr.train import control, policy
from ultr.train.control import (
    _Problem,
    _terms,
    controlled_logits,
    covariates,
    falling,
)
from ultr.train.policy import evidence, logging_policy

EXAMINATION = np.array([1.0, 0.7, 0.5, 0.35, 0.2])


def logged(examination, *, queries=1500, documents=8, sessions=300, seed=0) -> Lists:
    """Fixed lists by a policy that knows the relevance that `weak` scores do not.

    Relevance is exp(x₀ + x₁); the policy ranks by x₁ and a little noise.
    """
    from ultr.transform import Transform

    rng = np.random.default_rng(seed)
    n, k = queries * documents, len(examination)
    x = (0.6 * rng.normal(size=(n, 2))).astype(np.float32)
    policy = x[:, 1] + 0.3 * rng.normal(size=n)
    order = np.argsort(-policy.reshape(queries, documents), axis=1)[:, :k]
    document = order + np.arange(queries)[:, None] * documents
    relevance = np.minimum(0.15 * np.exp(x.sum(axis=1)), 1)
    clicks = rng.binomial(sessions, relevance[document] * np.asarray(examination))
    every = np.arange(queries)
    return Lists(
        features=x,
        query_id=every,
        query_split=np.zeros(queries, np.int32),
        doc_id=np.arange(n),
        doc_query=np.repeat(every, documents).astype(np.int32),
        doc_row=np.arange(n, dtype=np.int32),
        document=document.astype(np.int32),
        position=np.broadcast_to(np.arange(1, k + 1), document.shape).astype(np.int32),
        where=np.ones(document.shape, bool),
        clicks=clicks.astype(np.float32),
        weight=np.full(queries, sessions, np.float32),
        sessions=np.full(queries, sessions),
        list_query=every.astype(np.int32),
        session_split=np.zeros(queries, np.int32),
        transform=Transform(("a", "b"), (0.0, 0.0), (1.0, 1.0)),
        lake={"version": 1},
    )


@pytest.fixture(scope="module")
def log() -> Lists:
    return logged(EXAMINATION)


def error(logits) -> float:
    found = np.exp(logits - logits[0])
    return float(np.sqrt(np.mean((found - EXAMINATION) ** 2)))


def test_a_ranker_that_misses_relevance_does_not_mislead_the_curve(log):
    """x₁ sets the position and the ranker knows only x₀: alone, the curve would take both."""
    weak = log.features[:, 0].astype(np.float64)
    found = controlled_logits(evidence(log, lambda _: weak), logits=np.zeros(5))
    assert error(found) < 0.03
    ctr = (log.clicks.sum(axis=0) / log.clicks[:, 0].sum()).clip(1e-3)
    assert error(np.log(ctr)) > 0.08


def test_a_ranker_held_small_is_scaled(log):
    small = 0.2 * log.features.sum(axis=1).astype(np.float64)
    assert error(controlled_logits(evidence(log, lambda _: small), logits=np.zeros(5))) < 0.03


def test_it_does_not_depend_on_where_it_starts(log):
    score = log.features[:, 0].astype(np.float64)
    starts = (np.zeros(5), np.log(EXAMINATION), np.array([0.0, 1.0, -1.0, 2.0, -3.0]))
    found = [controlled_logits(evidence(log, lambda _: score), logits=s) for s in starts]
    for one in found:
        np.testing.assert_allclose(one - one[0], found[0] - found[0][0], atol=0.01)


def test_the_logging_policy_is_estimated_up_to_scale(log):
    s = logging_policy(log)
    assert np.corrcoef(s, log.features[:, 1])[0, 1] > 0.98
    np.testing.assert_allclose([s.mean(), s.std()], [0.0, 1.0], atol=1e-6)


def test_a_policy_that_knows_nothing_does_no_harm():
    rng = np.random.default_rng(1)
    log = logged(EXAMINATION, seed=2)
    shuffled = rng.permuted(log.document, axis=1)
    relevance = 0.15 * np.exp(log.features.sum(axis=1))
    clicks = rng.binomial(300, np.minimum(relevance[shuffled], 1) * EXAMINATION)
    data = replace(log, document=shuffled, clicks=clicks.astype(np.float32))
    score = data.features.sum(axis=1).astype(np.float64)
    assert error(controlled_logits(evidence(data, lambda _: score), logits=np.zeros(5))) < 0.02


@pytest.mark.parametrize("cells", [5, 30])
def test_gradient_and_curvature_are_those_of_the_value(log, cells):
    data = log.select(np.arange(log.n_lists) < 40)
    data = replace(data, where=data.where & (np.arange(5) < 4))  # the last one is masked
    design = covariates(evidence(data, lambda some: some.features[:, 0].astype(np.float64)))
    rng = np.random.default_rng(0)
    cell = rng.permuted(np.broadcast_to(np.arange(cells), (40, cells)), axis=1)[:, :5]
    x, start = rng.normal(size=5 + cells), np.zeros(5 + cells)
    offset = rng.normal(size=cell.shape)
    problem = _Problem(data, np.arange(data.n_lists), design, cell, offset, start)
    _, gradient, curvature = _terms(problem, x)
    for direction in np.eye(5 + cells):
        ahead, behind = (_terms(problem, x + sign * 1e-5 * direction) for sign in (1, -1))
        slope = (ahead[0] - behind[0]) / 2e-5
        np.testing.assert_allclose(slope, gradient @ direction, rtol=1e-4, atol=1e-3)
        bend = (ahead[1] - behind[1]) / 2e-5
        np.testing.assert_allclose(bend, curvature @ direction, rtol=1e-4, atol=1e-2)


def test_chunks_and_samples_change_little(log, monkeypatch):
    score = log.features[:, 0].astype(np.float64)
    whole = controlled_logits(evidence(log, lambda _: score), logits=np.zeros(5))
    monkeypatch.setattr(control, "_CHUNK", 500)
    np.testing.assert_allclose(
        controlled_logits(evidence(log, lambda _: score), logits=np.zeros(5)), whole, atol=1e-5
    )
    monkeypatch.setattr(control, "LISTS", 1000)
    monkeypatch.setattr(policy, "DOCUMENTS", 4000)
    part = controlled_logits(evidence(log, lambda _: score), logits=np.zeros(5))
    np.testing.assert_allclose(np.exp(part - part[0]), np.exp(whole - whole[0]), atol=0.05)
    assert not np.array_equal(part, whole)


def test_each_bias_context_has_a_curve_of_its_own(log):
    """Two levels of a column, of which one is looked at half as often at every position."""
    rng = np.random.default_rng(5)
    level = rng.integers(0, 2, log.where.shape, np.int32)
    base = np.where(log.where, EXAMINATION * np.where(level == 1, 0.5, 1.0), 0.0)
    relevance = np.minimum(0.15 * np.exp(log.features.sum(axis=1)), 1)
    clicks = rng.binomial(300, relevance[log.document] * base)
    column = BiasColumn("kind", ("a", "b"), is_per_document=True)
    data = replace(log, clicks=clicks.astype(np.float32), context=level[:, :, None], bias=(column,))
    score = data.features.sum(axis=1).astype(np.float64)
    found = controlled_logits(evidence(data, lambda _: score), logits=np.zeros((5, 2)))
    relative = np.exp(found - found[0, 0])
    np.testing.assert_allclose(relative, EXAMINATION[:, None] * [1.0, 0.5], atol=0.05)


def test_of_a_large_table_the_positions_are_fitted(log, monkeypatch):
    """Contexts keep how they stand to each other, at every position."""
    monkeypatch.setattr(control, "_MOST_CELLS", 9)
    level = np.random.default_rng(5).integers(0, 2, log.where.shape, np.int32)
    column = BiasColumn("kind", ("a", "b"), is_per_document=True)
    data = replace(log, context=level[:, :, None], bias=(column,))
    score = log.features[:, 0].astype(np.float64)
    begun = np.stack([np.zeros(5), np.linspace(0.0, 0.1, 5)], axis=1)
    found = controlled_logits(evidence(data, lambda _: score), logits=begun)
    np.testing.assert_allclose(found[:, 1] - found[:, 0], begun[:, 1], atol=1e-12)
    assert error(found[:, 0]) < 0.05


@pytest.mark.parametrize("levels", [(), (2,), (2, 3)])
def test_a_falling_curve_is_the_nearest_one_that_never_rises(levels):
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(6, *levels)) - np.arange(6).reshape(-1, *[1] * len(levels))
    clicks = rng.uniform(0, 50, size=(5, *levels))  # the last position was not clicked
    found = falling(logits, clicks=clicks)
    assert (np.diff(found, axis=0) <= 1e-12).all()
    assert (np.diff(logits, axis=0) > 0).any()
    weight = np.ones(logits.shape)
    weight[:5] += clicks

    def distance(curve):
        return (weight * (curve - logits) ** 2).sum(axis=0)

    # What is nearest is so among all curves that never rise: small steps towards others are worse.
    for _ in range(50):
        other = -np.sort(-rng.normal(size=logits.shape), axis=0) + logits.mean(axis=0)
        assert (distance(found + 0.01 * (other - found)) >= distance(found)).all()
    np.testing.assert_allclose(falling(found, clicks=clicks), found)
