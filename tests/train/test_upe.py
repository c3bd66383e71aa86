"""Propensities from the log of a strong logger: what the logger knows is kept out of the curve."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import ultr
from ultr.errors import UsageError
from ultr.train import TrainConfig, upe
from ultr.train.policy import impressions
from ultr.train.quantiles import Quantiles

EXAMINATION = np.array([1.0, 0.7, 0.5, 0.35, 0.2])
QUICK = {"documents_per_batch": 128, "hidden": (8,), "weight_decay": 1.0}


@pytest.fixture(scope="module")
def strong(planted):
    """Pages in the order of true relevance with a little noise."""
    data, truth, relevance = planted(np.ones(5), queries=150, orders=4)
    rng = np.random.default_rng(3)
    utility = np.log(relevance).reshape(150, 8).repeat(4, axis=0)
    order = np.argsort(-(utility + 0.05 * rng.gumbel(size=utility.shape)), axis=1)[:, :5]
    document = order + 8 * data.list_query[:, None]
    clicks = rng.binomial(data.sessions[:, None], relevance[document] * EXAMINATION)
    return (
        replace(data, document=document.astype(np.int32), clicks=clicks.astype(np.float32)),
        truth,
        relevance,
    )


def rmse(curve):
    return float(np.sqrt(np.mean((curve / curve[0] - EXAMINATION) ** 2)))


def test_its_curve_is_closer_than_the_click_rates(strong, tmp_path):
    """Click rates by position, the naive harvest, take the logger's order for examination."""
    data, truth, _ = strong
    run = ultr.fit(data, run=tmp_path / "run", method="upe", **QUICK)
    naive = data.clicks.sum(axis=0)
    assert rmse(naive) > 0.06
    assert rmse(run.propensities["propensity"].to_numpy()) < rmse(naive) / 2
    assert run.propensities.column_names == ["position", "propensity"]
    assert np.corrcoef(run.score(data.features), data.features @ truth)[0, 1] > 0.97


def levelled(data, scores):
    """The lists with levels of some scores, and the share of each."""
    known = Quantiles()
    known.add(scores, impressions(data))
    level = np.searchsorted(known.edges(upe.LEVELS), scores).astype(np.uint8)
    scored = upe.with_level(data, level)
    shown = np.bincount(scored.context[scored.where][:, -1], minlength=upe.LEVELS)
    return scored, shown / shown.sum()


def test_the_encoder_s_quantiles_share_the_impressions(strong):
    data, _, relevance = strong
    scored, share = levelled(data, relevance)
    assert scored.bias[-1].name == "logged"
    assert share.min() > 0.8 * share.mean()
    # A strong logger: the first position shows the highest score most often.
    level = scored.context[:, :, -1].mean(axis=0)
    assert (np.diff(level) < 0).all()


def test_the_average_over_permutations_weighs_levels_as_they_are_shown(strong):
    data, _, relevance = strong
    scored, share = levelled(data, relevance)
    rng = np.random.default_rng(0)
    table = rng.normal(size=(5, upe.LEVELS)).astype(np.float32)
    found = np.exp(np.asarray(upe.averaged(table, share)))
    level = scored.context[:, :, -1]
    drawn = np.stack([rng.permuted(level, axis=1) for _ in range(200)])
    expected = np.exp(table[np.arange(5), drawn]).mean(axis=(0, 1))
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_what_the_encoder_learns_is_the_inverse_of_the_logged_rank(strong):
    data = strong[0]
    np.testing.assert_allclose(upe.as_logged(data).clicks[3], data.weight[3] / np.arange(1, 6))


def test_the_encoder_looks_at_one_document_at_a_time():
    kind = upe.encoder_config(TrainConfig(method="upe", ranker="setrank")).kind
    assert kind == "mlp"
    with pytest.raises(UsageError, match="reads none"):
        TrainConfig(method="upe", ranker="table")
