"""Begin from the states of an earlier run: its best parameters and its optimizers' memory."""

from __future__ import annotations

import re
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

    Positions that the earlier run did not know begin with the value of the last that it knew, new
    levels of bias columns with that of the first, which is shown most; both without memory.

    Args:
        fresh: of a training that begins from nothing.
        saved: the last checkpoint of the earlier run's training.
        is_frozen: the propensities are given and held still: take the fresh ones.

    Raises:
        DataError: states of another model.
    """
    if saved is None:
        return fresh
    best = _grown(fresh.params, "best", saved, is_memory=False)
    optimizer = _grown(fresh.optimizer, "state.optimizer", saved, is_memory=True)
    params = Towers(best.ranker, fresh.params.propensity if is_frozen else best.propensity)
    averaged = jax.tree.map(jnp.copy, params)
    return fresh._replace(params=params, averaged=averaged, optimizer=optimizer)


def _grown(template: Towers, prefix: str, saved: Saved, *, is_memory: bool) -> Towers:
    """The towers of `saved` below `prefix`, with as many positions and levels as the template."""
    start = prefix + "."
    found = {k.removeprefix(start): v for k, v in saved.arrays.items() if k.startswith(start)}
    wanted = named(template)  # a tower that is held still has no memory in one or the other
    ranker = {k: v for k, v in found.items() if k.startswith("ranker.")}
    propensity = {
        k: _larger(found[k], v.shape, name=k, is_memory=is_memory) if k in found else np.asarray(v)
        for k, v in wanted.items()
        if k.startswith("propensity.")
    }
    restored: Towers = restore(template, ranker | propensity)
    return restored


def _larger(value: Array, shape: tuple[int, ...], *, name: str, is_memory: bool) -> Array:
    """A table of positions and levels, grown along each axis that is longer now."""
    if value.ndim != len(shape):
        return value  # of another model: told where it is restored
    for axis, (size, wanted) in enumerate(zip(value.shape, shape, strict=True)):
        if wanted > size:
            source = -1 if _is_of_positions(name, axis) else 0
            more = np.repeat(np.take(value, [source], axis=axis), wanted - size, axis=axis)
            more = np.zeros_like(more) if is_memory else more
            value = np.concatenate([value, more], axis=axis)
    return value


def _is_of_positions(name: str, axis: int) -> bool:
    """Whether an axis of a propensity model's array counts positions, or levels of a column."""
    part = re.search(r"\b(?:effects|embeddings)\.(\d+)", name)
    return (int(part[1]) if part else axis) == 0
