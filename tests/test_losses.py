"""The losses and batches that people call from their own loop, and the example in their help."""

from __future__ import annotations

import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ultr
import ultr.losses
import ultr.models
from ultr.data import batches
from ultr.errors import UsageError
from ultr.losses import dla_loss, ipw_loss, naive_loss
from ultr.objectives import dla_weights

EXAMINATION = np.array([1.0, 0.7, 0.5, 0.35, 0.2])
F = jnp.asarray([[0.2, -0.3, 0.5], [0.1, 0.4, 0.0]])
C = jnp.asarray([[1.0, 2.0, 0.0], [0.0, 1.0, 0.0]])
G = jnp.asarray([[0.3, -0.2, -1.0]] * 2)
WHERE = jnp.ones((2, 3), bool)


def test_a_loss_is_the_mean_over_clicks():
    nll = -jax.nn.log_softmax(F)
    np.testing.assert_allclose(naive_loss(F, C, where=WHERE), (C * nll).sum() / 4, rtol=1e-6)
    w = jnp.exp(G[:, :1] - G)
    weighted = ipw_loss(F, C, where=WHERE, weights=w)
    np.testing.assert_allclose(weighted, (C * w * nll).sum() / (C * w).sum(), rtol=1e-6)
    assert naive_loss(F, 0 * C, where=WHERE) == 0


def test_dla_is_one_number_with_a_gradient_to_each_tower():
    given = {"position": jnp.asarray([[1, 2, 3]] * 2), "reference": G[0, 0]}
    found = dla_loss(F, C, where=WHERE, logits=G, correction="weights", **given)
    terms = dla_weights(F, C, where=WHERE, logits=G, **given)
    expected = terms.rank / terms.rank_weight + terms.propensity / terms.propensity_weight
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    to_f, to_g = jax.grad(lambda f, g: dla_loss(f, C, where=WHERE, logits=g), argnums=(0, 1))(F, G)
    np.testing.assert_allclose(to_f, to_g, rtol=1e-5, atol=1e-7)  # one likelihood of f + g
    assert np.abs(to_f).max() > 0.01
    with pytest.raises(UsageError, match="no reference and no position"):
        dla_loss(F, C, where=WHERE, logits=G, correction="weights")


def test_the_batches_of_an_epoch_hold_every_list_once(planted):
    data, _, _ = planted(EXAMINATION, queries=40)
    found = list(batches(data, documents=64, seed=1, epoch=2))
    assert len({tuple(v.shape for v in batch) for batch in found}) == 1
    seen = []
    for batch in found:
        rows = batch.inputs[batch.document][batch.where]
        seen += zip(rows[:, 0], batch.position[batch.where], batch.clicks[batch.where], strict=True)
        assert (batch.query >= 0).sum() == batch.where_document.sum()
    where = data.where
    expected = zip(
        data.features[data.document][where][:, 0], data.position[where], data.clicks[where],
        strict=True,
    )  # fmt: skip
    assert sorted(seen) == sorted(expected)
    again = next(batches(data, documents=64, seed=1, epoch=2))
    np.testing.assert_array_equal(again.clicks, found[0].clicks)


def test_the_example_runs_and_finds_the_planted_examination(planted, monkeypatch):
    data, _, _ = planted(EXAMINATION)
    monkeypatch.setattr(ultr, "load_lists", lambda _: data, raising=False)
    examples = doctest.DocTestParser().get_examples(ultr.losses.__doc__ or "")
    source = "".join(example.source for example in examples)
    assert len(source.splitlines()) <= 30
    names: dict[str, object] = {}
    exec(source, names)
    error = np.asarray(names["examination"]) - EXAMINATION
    assert np.sqrt(np.mean(error**2)) < 0.05
