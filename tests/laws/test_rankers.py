"""Laws of every ranker on features, those of displayed lists and of the user's own among them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ultr.model import DCN, MLP, CustomRanker, Linear, SetRank


class Gap(nnx.Module):
    """How far a document's weighted sum is above the mean of its query."""

    def __init__(self, n_features, *, rngs):
        self.layer = nnx.Linear(n_features, 1, rngs=rngs)

    def __call__(self, features, query, where):
        score = self.layer(features)[:, 0]
        same = (query[:, None] == query[None, :]) & where[None, :]
        return score - (same @ score) / jnp.maximum(same.sum(axis=1), 1)


SPECS = {
    "linear": Linear(),
    "mlp": MLP((8, 4)),
    "dcn": DCN(hidden=(8,)),
    "dcn of low rank": DCN(crosses=3, hidden=(), rank=2),
    "setrank": SetRank(width=8),
    "setrank in lists": SetRank(width=8, heads=4, blocks=2, context="list"),
    "custom": CustomRanker(Gap),
}
QUERY = jnp.asarray([0, 0, 0, 1, 1, 2])
WHERE = jnp.ones(6, bool)


@pytest.fixture(params=SPECS)
def spec(request):
    return SPECS[request.param]


@pytest.fixture
def ranker(spec):
    return spec.build(n_features=5, n_documents=0, rngs=nnx.Rngs(0))


@pytest.fixture
def features():
    return jnp.asarray(np.random.default_rng(2).normal(size=(6, 5)), jnp.float32)


def test_padding_changes_nothing(ranker, features):
    padded = ranker(
        jnp.pad(features, ((0, 3), (0, 0)), constant_values=9.0),
        jnp.pad(QUERY, (0, 3)),
        jnp.pad(WHERE, (0, 3)),
    )
    np.testing.assert_allclose(padded[:6], ranker(features, QUERY, WHERE), rtol=1e-5, atol=1e-6)
    assert np.isfinite(padded).all()


def test_documents_in_another_order_get_the_same_scores(ranker, features):
    order = jnp.asarray([4, 2, 0, 5, 1, 3])
    scores = ranker(features, QUERY, WHERE)
    shuffled = ranker(features[order], QUERY[order], WHERE)
    np.testing.assert_allclose(shuffled, scores[order], rtol=1e-5, atol=1e-6)


def test_a_query_is_scored_alone_as_among_others(ranker, features):
    alone = ranker(features[:3], QUERY[:3], WHERE[:3])
    np.testing.assert_allclose(alone, ranker(features, QUERY, WHERE)[:3], rtol=1e-5, atol=1e-6)


def test_it_says_whether_it_compares(spec, ranker, features):
    """Changing one document of a query changes the scores of others, or does not."""
    before = ranker(features, QUERY, WHERE)
    after = ranker(features.at[2].add(1.0), QUERY, WHERE)
    assert not np.allclose(before[2], after[2])
    assert bool(np.allclose(before[:2], after[:2], atol=1e-7)) is not spec.compares
    np.testing.assert_allclose(before[3:], after[3:], rtol=1e-5, atol=1e-6)


def test_gradients_are_numbers_even_where_nothing_is_there(ranker, features):
    graph, params = nnx.split(ranker)

    def total(params, where):
        return jnp.sum(jnp.where(where, nnx.merge(graph, params)(features, QUERY, where), 0.0))

    for where in (WHERE, jnp.zeros(6, bool)):
        gradient = jax.grad(total)(params, where)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
