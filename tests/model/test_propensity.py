"""Laws of every propensity model, and what each is for."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from ultr.errors import DataError
from ultr.model import ContextBias, DenseBias, MonotoneBias, PositionBias

SHAPE, PER_DOCUMENT = (4, 2, 3), (False, True)


def varied(model):
    """The model with its parameters moved from where they start."""
    state = nnx.state(model, nnx.Param)
    keys = iter(jax.random.split(jax.random.key(1), 100))
    nnx.update(model, jax.tree.map(lambda p: p + jax.random.normal(next(keys), p.shape), state))
    return model


MODELS = {
    "table": lambda: PositionBias(SHAPE, PER_DOCUMENT),
    "context": lambda: ContextBias(SHAPE, PER_DOCUMENT, rngs=nnx.Rngs(0)),
    "monotone table": lambda: MonotoneBias(PositionBias(SHAPE, PER_DOCUMENT)),
    "monotone context": lambda: MonotoneBias(ContextBias(SHAPE, PER_DOCUMENT, rngs=nnx.Rngs(0))),
}


@pytest.fixture(params=MODELS)
def model(request):
    return MODELS[request.param]()


@pytest.fixture
def shown():
    position = jnp.asarray([[3, 1, 2, 0], [4, 2, 0, 0]])
    context = jnp.asarray([[[1, 2], [1, 0], [1, 1], [0, 0]], [[0, 1], [0, 2], [0, 0], [0, 0]]])
    return position, context


def test_logits_are_cells_of_the_table(model, shown):
    table = varied(model).table()
    assert table.shape == SHAPE
    np.testing.assert_allclose(model(*shown)[0, 0], table[2, 1, 2])
    np.testing.assert_allclose(model(*shown)[1, 1], table[1, 0, 2])
    assert np.isfinite(model(*shown)).all()


def test_the_reference_is_position_1_in_the_list_s_own_context(model, shown):
    """At the first level of what differs between documents, whichever documents there are."""
    table = varied(model).table()
    found = model.reference(shown[1])
    np.testing.assert_allclose(found, [[table[0, 1, 0]], [table[0, 0, 0]]])
    np.testing.assert_allclose(model.reference(shown[1][:, :2]), found)


def test_training_starts_where_everything_is_examined_almost_alike(model):
    assert np.abs(np.asarray(model.table())).max() < 0.06


def test_monotone_models_never_rise(model):
    is_monotone = isinstance(model, MonotoneBias)
    rises = np.diff(np.asarray(varied(model).table()), axis=0) > 0
    assert rises.any() != is_monotone


def test_a_network_over_positions_has_a_logit_for_each():
    model = varied(DenseBias(10, hidden=(8, 4), rngs=nnx.Rngs(0)))
    assert model.table().shape == (10,)
    assert len(np.unique(model.table())) > 5
    np.testing.assert_array_equal(model(jnp.asarray([3, 1])), model.table()[jnp.asarray([2, 0])])
    assert model.reference() == model.table()[0]


def test_a_context_of_too_many_combinations_is_refused():
    with pytest.raises(DataError, match="10 × 1000 × 1000"):
        PositionBias((10, 1000, 1000), (True, True))
