"""The listwise click likelihood that every method here shares."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

# Far below any logit, yet finite: −inf would give NaN gradients for lists that are all masked.
_MASKED = -1e30


class Terms(NamedTuple):
    """Sums over a batch; a loss is a numerator over a denominator, divided once.

    Attributes:
        rank: Σ c w · −log softmax for the ranker.
        rank_weight: Σ c w.
        rank_weight_sq: Σ c w², for the effective sample size.
        propensity: the same sum for the propensity model, 0 where it does not learn.
        propensity_weight: its Σ c v.
        clipped: Σ c over the clicks whose weight was cut.
        clicks: Σ c.
    """

    rank: jax.Array
    rank_weight: jax.Array
    rank_weight_sq: jax.Array
    propensity: jax.Array
    propensity_weight: jax.Array
    clipped: jax.Array
    clicks: jax.Array


def log_softmax(logits: jax.Array, *, where: jax.Array) -> jax.Array:
    """Log softmax over the last axis, among the entries in `where`; 0 elsewhere.

    Args:
        logits: `[..., K]`.
        where: `[..., K]`.
    """
    masked = jnp.where(where, logits, _MASKED)
    return jnp.where(where, jax.nn.log_softmax(masked, axis=-1), 0.0)


def softmax_nll(
    logits: jax.Array, clicks: jax.Array, *, where: jax.Array, weights: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Σ c w · −log softmax(logits) and Σ c w, summed over all lists.

    The weight multiplies the loss of its click and is never normalised within a list: with one
    click per list it would cancel.

    Args:
        logits: `[..., K]`.
        clicks: `[..., K]` clicks, or their number over equal sessions.
        where: `[..., K]`; what lies outside counts for nothing. A list without clicks gives 0.
        weights: `[..., K]`, 1 by default.

    Returns:
        The numerator and the denominator of the mean loss of a (weighted) click.

    Example:
        >>> nll, total = softmax_nll(jnp.zeros((1, 2)), jnp.ones((1, 2)), where=jnp.ones((1, 2), bool))
        >>> float(nll / total) == float(jnp.log(2.0))
        True
    """  # noqa: E501
    mass = jnp.where(where, clicks if weights is None else clicks * weights, 0.0)
    return -jnp.sum(mass * log_softmax(logits, where=where)), jnp.sum(mass)
