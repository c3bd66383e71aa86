"""What each ranker computes, as a formula written out, and how it is named."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ultr.errors import UsageError
from ultr.model import DCN, KINDS, MLP, CustomRanker, SetRank, as_spec, kind_of, spec_to_json

WHERE, QUERY = np.ones(4, bool), np.zeros(4, np.int32)


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)


def test_a_cross_layer_is_equation_1_of_dcn_v2(features):
    module = DCN(crosses=2, hidden=()).build(n_features=3, n_documents=0, rngs=nnx.Rngs(1))
    x = features
    for cross in module.crosses:
        layer = cross.weights.layers[0]
        layer.bias[...] = jnp.asarray([0.1, -0.2, 0.3])
        x = features * (x @ np.asarray(layer.kernel) + np.asarray(layer.bias)) + x
    expected = x @ np.asarray(module.out.kernel)[:, 0] + np.asarray(module.out.bias)
    np.testing.assert_allclose(module(features, QUERY, WHERE), expected, rtol=1e-5)


def test_attention_of_one_head_is_softmax_of_scaled_products():
    module = SetRank(width=4, heads=1).build(n_features=3, n_documents=0, rngs=nnx.Rngs(1))
    (block,) = module.blocks
    x = np.random.default_rng(1).normal(size=(4, 4)).astype(np.float32)
    q, k, v = np.split(x @ np.asarray(block.to_heads.kernel), 3, axis=1)
    logits = np.exp(q @ k.T / 2)
    expected = logits / logits.sum(axis=1, keepdims=True) @ v
    found = block._attend(jnp.asarray(x), jnp.ones((4, 4), bool))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_description_survives_being_written_down(kind):
    spec = as_spec(kind)
    assert kind_of(spec) == kind
    assert as_spec(spec_to_json(spec)) == spec


def test_descriptions_are_told_in_several_ways():
    assert as_spec({"kind": "mlp", "hidden": [8]}) == MLP((8,))
    assert as_spec(SetRank) == SetRank()
    assert as_spec(SetRank(blocks=2)) == SetRank(blocks=2)
    assert kind_of(as_spec(nnx.Linear)) == "custom"
    assert spec_to_json(as_spec(nnx.Linear))["name"].endswith(":Linear")


def test_the_name_of_a_ranker_of_one_s_own_makes_none():
    with pytest.raises(UsageError, match=r"Linear(.|\n)*in Python"):
        as_spec(spec_to_json(as_spec(nnx.Linear)))


class Dropped(nnx.Module):
    def __init__(self, n_features, *, rngs):
        self.layer = nnx.Linear(n_features, 1, rngs=rngs)
        self.dropout = nnx.Dropout(0.1, rngs=rngs)

    def __call__(self, features, query, where):
        del query, where
        return self.dropout(self.layer(features))[:, 0]


class Whole(nnx.Linear):
    def __init__(self, n_features, *, rngs):
        super().__init__(n_features, 1, rngs=rngs)

    def __call__(self, features, query, where):
        del query, where
        return super().__call__(features)[:, 0].astype(jnp.int32)


class Counted(Whole):
    def __init__(self, n_features, *, rngs):
        super().__init__(n_features, rngs=rngs)
        self.columns = nnx.Param(jnp.arange(n_features))


@pytest.mark.parametrize(
    ("factory", "words"),
    [
        (lambda n_features, rngs: nnx.Linear(n_features, 1, rngs=rngs), "cannot be called"),
        (lambda n_features, rngs: str(n_features) + str(rngs), "not a flax.nnx.Module"),
        (Dropped, "state beside its parameters"),
        (Whole, "nothing can be learned"),
        (Counted, "no real numbers: int32"),
        (
            lambda n_features: nnx.Linear(n_features, 1, rngs=nnx.Rngs(0)),
            "factory.n_features, rngs",
        ),
    ],
)
def test_a_module_that_is_no_ranker_is_refused(factory, words):
    with pytest.raises(UsageError, match=words):
        CustomRanker(factory).build(n_features=3, n_documents=0, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("given", ["oak", {"kind": "oak"}, {"kind": "setrank", "width": 7}, 5])
def test_a_ranker_that_does_not_exist(given):
    with pytest.raises(UsageError):
        as_spec(given)
