"""Losses for a training loop of one's own: `(scores, clicks, *, where, …) -> mean loss of a click`.

Example:
    A ranker and propensities, learned by DLA with optax:

    >>> import jax, optax, ultr  # doctest: +SKIP
    >>> import ultr.losses, ultr.models  # doctest: +SKIP
    >>> from flax import nnx  # doctest: +SKIP
    >>> data = ultr.load_lists("lake").split("train", by="query")  # doctest: +SKIP
    >>> ranker = ultr.models.MLP((64, 32)).build(  # doctest: +SKIP
    ...     n_features=data.n_features, n_documents=data.n_documents, rngs=nnx.Rngs(0)
    ... )
    >>> propensity = ultr.models.PositionBias(data.max_position)  # doctest: +SKIP
    >>> # Propensities learn ten times faster, or the ranker absorbs the position bias.
    >>> optimizers = (  # doctest: +SKIP
    ...     nnx.Optimizer(ranker, optax.adamw(3e-3), wrt=nnx.Param),
    ...     nnx.Optimizer(propensity, optax.adam(3e-2), wrt=nnx.Param),
    ... )
    >>> @nnx.jit  # doctest: +SKIP
    ... def step(ranker, propensity, optimizers, batch):
    ...     def loss(ranker, propensity):
    ...         scores = ranker(batch.inputs, batch.query, batch.where_document)[batch.document]
    ...         logits = propensity(batch.position)
    ...         return ultr.losses.dla_loss(scores, batch.clicks, where=batch.where, logits=logits)
    ...
    ...     value, gradients = nnx.value_and_grad(loss, argnums=(0, 1))(ranker, propensity)
    ...     optimizers[0].update(ranker, gradients[0])
    ...     optimizers[1].update(propensity, gradients[1])
    ...     return value
    >>> for epoch in range(1, 31):  # doctest: +SKIP
    ...     for batch in ultr.data.batches(data, documents=256, seed=0, epoch=epoch):
    ...         value = step(ranker, propensity, optimizers, batch)
    >>> logits = propensity.table()  # doctest: +SKIP
    >>> examination = jax.numpy.exp(logits - logits[0])  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from ultr.errors import UsageError
from ultr.objectives import dla_offset, dla_weights
from ultr.objectives.softmax import softmax_nll

__all__ = ["dla_loss", "ipw_loss", "naive_loss"]


def naive_loss(scores: jax.Array, clicks: jax.Array, *, where: jax.Array) -> jax.Array:
    """Clicks taken for relevance: `Σ c · −log softmax(f) / Σ c`.

    Args:
        scores: `[..., K]` ranker scores f.
        clicks: `[..., K]` clicks, or their number over equal sessions.
        where: `[..., K]` whether there is a document; what lies outside counts for nothing.

    Returns:
        The mean over all clicks, 0 without any.
    """
    return _mean(*softmax_nll(scores, clicks, where=where))


def ipw_loss(
    scores: jax.Array, clicks: jax.Array, *, where: jax.Array, weights: jax.Array
) -> jax.Array:
    """Each click times its weight, `Σ c w · −log softmax(f) / Σ c w`.

    The weights are normalised over the batch, never within a list, where they would cancel.

    Args:
        scores: `[..., K]` ranker scores f.
        clicks: `[..., K]` clicks, or their number over equal sessions.
        where: `[..., K]` whether there is a document.
        weights: `[..., K]` inverse propensities relative to position 1; cut them from above.
    """
    return _mean(*softmax_nll(scores, clicks, where=where, weights=weights))


def dla_loss(
    scores: jax.Array,
    clicks: jax.Array,
    *,
    where: jax.Array,
    logits: jax.Array,
    correction: Literal["offset", "weights"] = "offset",
    reference: jax.Array | None = None,
    position: jax.Array | None = None,
    max_weight: float = 100.0,
) -> jax.Array:
    """Both losses of the Dual Learning Algorithm, added: each has a gradient to its own tower only.

    Ai et al., SIGIR 2018 (arXiv 1804.05938); `ultr.objectives.dla` has the two corrections.

    Args:
        scores: `[..., K]` ranker scores f.
        clicks: `[..., K]` clicks, or their number over equal sessions.
        where: `[..., K]` whether there is a document.
        logits: `[..., K]` propensity logits g.
        correction: `offset`, or the paper's `weights`, which needs the next two.
        reference: g at position 1 (and the reference level of a bias context), `[]` or `[..., 1]`.
        position: `[..., K]` rank on the page, from 1.
        max_weight: bound on inverse propensities and inverse relevances.

    Raises:
        UsageError: weights without their reference or without positions.
    """
    if correction == "offset":
        terms = dla_offset(scores, clicks, logits=logits, where=where)
    elif reference is None or position is None:
        raise UsageError(
            "the weights of DLA are relative to position 1",
            got="no " + " and no ".join(
                name for name, v in (("reference", reference), ("position", position)) if v is None
            ),
            hint="give reference=propensity.reference() and position=batch.position",
        )  # fmt: skip
    else:
        terms = dla_weights(
            scores, clicks, logits=logits, reference=reference, position=position, where=where,
            max_weight=max_weight,
        )  # fmt: skip
    return _mean(terms.rank, terms.rank_weight) + _mean(terms.propensity, terms.propensity_weight)


def _mean(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    # The denominator is a constant: weights are detached, and the numerator is 0 where it is.
    return numerator / jnp.maximum(jax.lax.stop_gradient(denominator), 1e-12)
