"""The Dual Learning Algorithm, in two corrections with one fixed point.

Ai, Bi, Luo, Guo, Croft: Unbiased Learning to Rank with Unbiased Propensity Estimation,
SIGIR 2018 (arXiv 1804.05938). Each tower learns while the other is held still.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ultr.objectives.softmax import Terms, softmax_nll


def inverse_propensity(
    logits: jax.Array, *, reference: jax.Array, max_weight: float
) -> tuple[jax.Array, jax.Array]:
    """`w_i = exp(g_1 − g_i)`, detached and cut at `max_weight`; and where it was cut.

    A difference of logits, not a quotient of two softmaxes: the same value, stable, and
    independent of which documents are masked.

    Args:
        logits: `[..., K]` propensity logits g.
        reference: g at position 1, broadcastable to `[..., K]`.
        max_weight: weights above it become it; all others are untouched.
    """
    log_weight = jax.lax.stop_gradient(reference - logits)
    is_cut = log_weight > jnp.log(max_weight)
    return jnp.where(is_cut, max_weight, jnp.exp(jnp.where(is_cut, 0.0, log_weight))), is_cut


def dla_weights(
    scores: jax.Array,
    clicks: jax.Array,
    *,
    logits: jax.Array,
    reference: jax.Array,
    position: jax.Array,
    where: jax.Array,
    max_weight: float = 100.0,
) -> Terms:
    """The paper's form: clicks weighted by inverse propensity, and by inverse relevance.

    Equations 13 to 17 of the paper: `rank_loss = Σ c w · −log softmax(f) / Σ c w` with
    `w_i = sg exp(g_1 − g_i)`, and `prop_loss = Σ c v · −log softmax(g) / Σ c v` with
    `v_i = sg exp(f_1 − f_i)`, f_1 the score of the document shown at position 1. A list without
    position 1 keeps its rank_loss and gives no term to prop_loss.

    Args:
        scores: `[..., K]` ranker scores f.
        clicks: `[..., K]` clicks, or their number over equal sessions.
        logits: `[..., K]` propensity logits g.
        reference: g at position 1.
        position: `[..., K]` rank on the page, from 1.
        where: `[..., K]`.
        max_weight: bound on w and v.
    """
    w, is_cut = inverse_propensity(logits, reference=reference, max_weight=max_weight)
    rank, rank_weight = softmax_nll(scores, clicks, where=where, weights=w)
    is_first = where & (position == 1)
    first = jnp.sum(jnp.where(is_first, scores, 0.0), axis=-1, keepdims=True)
    v, _ = inverse_propensity(scores, reference=first, max_weight=max_weight)
    in_propensity = where & jnp.any(is_first, axis=-1, keepdims=True)
    propensity, propensity_weight = softmax_nll(logits, clicks, where=in_propensity, weights=v)
    c = jnp.where(where, clicks, 0.0)
    return Terms(
        rank,
        rank_weight,
        jnp.sum(c * w**2),
        propensity,
        propensity_weight,
        jnp.sum(c * is_cut),
        jnp.sum(c),
    )


def dla_offset(
    scores: jax.Array,
    clicks: jax.Array,
    *,
    logits: jax.Array,
    where: jax.Array,
) -> Terms:
    """The offset form: each tower explains the clicks beside the other, held still.

    `rank_loss = Σ c · −log softmax(f + sg g) / Σ c` and `prop_loss = Σ c · −log softmax(g + sg f)
    / Σ c`. Together they have the gradient of the click likelihood under examination × relevance,
    given the number of clicks; no inverse weight can explode. At the truth the expected gradient
    of both forms is zero.

    Args:
        scores: `[..., K]` ranker scores f.
        clicks: `[..., K]` clicks, or their number over equal sessions.
        logits: `[..., K]` propensity logits g.
        where: `[..., K]`.
    """
    stop = jax.lax.stop_gradient
    rank, total = softmax_nll(scores + stop(logits), clicks, where=where)
    propensity, _ = softmax_nll(logits + stop(scores), clicks, where=where)
    return Terms(rank, total, total, propensity, total, jnp.zeros(()), total)
