"""Begin from the states of an earlier run: its best parameters and its optimizers' memory."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ultr.train.arrays import named
from ultr.train.checkpoint import Saved, restore
from ultr.train.step import State, Towers

Array = np.ndarray[Any, Any]


def warm_start(fresh: State, saved: Saved | None, *, is_frozen: bool) -> State:
    """The state to begin with where there is one of an earlier run; else `fresh`.

    The parameters are those that the earlier run kept, not its last ones, which patience let
    overfit. Means that say how much was seen, and the count of steps, begin anew: what may be
    selected has to be trained on the new log for as long as the first run was on its own.

    Positions that the earlier run did not know begin with the value of the last that it knew, and
    without memory.

    Args:
        fresh: of a training that begins from nothing.
        saved: the last checkpoint of the earlier run's training.
        is_frozen: the propensities are given and held still: take the fresh ones.

    Raises:
        DataError: states of another model.
    """
    if saved is None:
        return fresh
    best = _grown(fresh.params, "best", saved, mode="edge")
    optimizer = _grown(fresh.optimizer, "state.optimizer", saved, mode="constant")
    params = Towers(best.ranker, fresh.params.propensity if is_frozen else best.propensity)
    averaged = jax.tree.map(jnp.copy, params)
    return fresh._replace(params=params, averaged=averaged, optimizer=optimizer)


def _grown(template: Towers, prefix: str, saved: Saved, *, mode: Any) -> Towers:
    """The towers of `saved` below `prefix`, with as many positions as the template has."""
    start = prefix + "."
    found = {k.removeprefix(start): v for k, v in saved.arrays.items() if k.startswith(start)}
    wanted = named(template)  # a tower that is held still has no memory in one or the other
    ranker = {k: v for k, v in found.items() if k.startswith("ranker.")}
    propensity = {
        k: _longer(found[k], v.shape, mode=mode) if k in found else np.asarray(v)
        for k, v in wanted.items()
        if k.startswith("propensity.")
    }
    restored: Towers = restore(template, ranker | propensity)
    return restored


def _longer(value: Array, shape: tuple[int, ...], *, mode: Any) -> Array:
    if value.ndim == len(shape) > 0 and value.shape[1:] == shape[1:] and len(value) < shape[0]:
        return np.pad(value, [(0, shape[0] - len(value)), *[(0, 0)] * (value.ndim - 1)], mode=mode)
    return value
