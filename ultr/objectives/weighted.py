"""Methods with fixed weights: naive and inverse propensity weighting."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultr.objectives.dla import inverse_propensity
from ultr.objectives.softmax import Terms, softmax_nll


def naive(scores: jax.Array, clicks: jax.Array, *, where: jax.Array) -> Terms:
    """Clicks taken for relevance: what every correction is compared with.

    Args:
        scores: `[..., K]` ranker scores f.
        clicks: `[..., K]` clicks, or their number over equal sessions.
        where: `[..., K]`.
    """
    rank, total = softmax_nll(scores, clicks, where=where)
    zero = jnp.zeros(())
    return Terms(rank, total, total, zero, zero, zero, total)


def ipw(
    scores: jax.Array,
    clicks: jax.Array,
    *,
    logits: jax.Array,
    reference: jax.Array,
    where: jax.Array,
    max_weight: float = 100.0,
) -> Terms:
    """Inverse propensity weighting with propensities that are given.

    Joachims, Swaminathan, Schnabel: Unbiased Learning-to-Rank with Biased Feedback, WSDM 2017,
    with the listwise loss: `Σ c/θ · −log softmax(f) / Σ c/θ`.

    Args:
        scores: `[..., K]` ranker scores f.
        clicks: `[..., K]` clicks, or their number over equal sessions.
        logits: `[..., K]` log θ.
        reference: log θ at position 1.
        where: `[..., K]`.
        max_weight: bound on 1/θ.
    """
    w, is_cut = inverse_propensity(logits, reference=reference, max_weight=max_weight)
    rank, rank_weight = softmax_nll(scores, clicks, where=where, weights=w)
    c = jnp.where(where, clicks, 0.0)
    zero = jnp.zeros(())
    return Terms(rank, rank_weight, jnp.sum(c * w**2), zero, zero, jnp.sum(c * is_cut), jnp.sum(c))
