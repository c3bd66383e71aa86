"""What a step computes in, and what its plan may leave out."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import ultr
from ultr.data import batch_shape, epoch_plan
from ultr.train import TrainConfig
from ultr.train.device import arrays_of, query_weight
from ultr.train.source import InMemory
from ultr.train.start import start
from ultr.train.step import PROGRAMS, run_epoch


@pytest.fixture(scope="module")
def data(planted):
    return planted([1.0, 0.6, 0.4], queries=40, documents=5, orders=2)[0]


def begun(**settings):
    config = TrainConfig(**{"hidden": (16,), "documents_per_batch": 40} | settings)
    return config, *start(
        n_features=5, n_documents=1, config=config, decay=0.0, log_propensity=jnp.zeros(3),
        is_frozen=False,
    )  # fmt: skip


def passed(data, **settings):
    """State and measurements after an epoch."""
    config, model, state = begun(**settings)
    (segment,) = InMemory(data, spec=config.ranker_spec(), config=config).segments(epoch=1)
    return segment, *run_epoch(model, state, segment.arrays, segment.plan)


@pytest.mark.parametrize("name", ["features_dtype", "compute_dtype"])
def test_half_precision_is_close_and_parameters_stay_whole(data, name):
    _, whole, expected = passed(data)
    segment, half, measured = passed(data, **{name: "bfloat16"})
    is_half = segment.arrays.inputs.dtype == jnp.bfloat16
    assert is_half == (name == "features_dtype")
    assert {leaf.dtype.name for leaf in jax.tree.leaves(half.params)} == {"float32"}
    assert measured["rank"].dtype == jnp.float32
    np.testing.assert_allclose(measured["rank"], expected["rank"], rtol=1e-2)
    for one, other in zip(*(jax.tree.leaves(s.params) for s in (half, whole)), strict=True):
        assert not np.array_equal(one, other) or one.ndim == 1
        np.testing.assert_allclose(one, other, atol=0.05)


def test_the_deterministic_program_computes_the_same(data):
    """XLA refuses options that it does not know, on every device."""
    runs = [passed(data, is_deterministic=value) for value in (False, True)]
    for one, other in zip(*(jax.tree.leaves(run[1:]) for run in runs), strict=True):
        np.testing.assert_array_equal(one, other)
    assert PROGRAMS[True]._cache_size() > 0


def test_room_for_more_lists_and_batches_changes_nothing(data):
    config, model, state = begun()
    spec, weight = config.ranker_spec(), query_weight(data, "session")
    shape = batch_shape(data, documents=40)
    plan = epoch_plan(data, shape, seed=0, epoch=1)
    empty = jax.tree.map(lambda a: np.full((5, *a.shape[1:]), a.max(), a.dtype), plan)
    longer = jax.tree.map(lambda *parts: np.concatenate(parts), plan, empty)
    roomy = arrays_of(data, spec=spec, weight=weight, documents=333, lists=444, width=6)
    one, measured = run_epoch(model, state, arrays_of(data, spec=spec, weight=weight), plan)
    other, padded = run_epoch(model, begun()[2], roomy, longer)
    np.testing.assert_allclose(padded["rank"][: shape.batches], measured["rank"], rtol=1e-5)
    assert (np.asarray(padded["clicks"])[shape.batches :] == 0).all()
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_length_of_a_dispatch_does_not_change_the_result(data, tmp_path):
    runs = [
        ultr.fit(
            data, run=tmp_path / str(n), hidden=(8,), is_refitted=False, documents_per_batch=40,
            evaluations=2, min_steps=1, batches_per_dispatch=n,
        )
        for n in (2, 1000)
    ]  # fmt: skip
    np.testing.assert_array_equal(*(r.score(data.features) for r in runs))
