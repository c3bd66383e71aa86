"""Unconfounded propensities for strong loggers (UPE).

Luo, Zou, Ai, Chen, Li, Yin, Xia: Unconfounded Propensity Estimation for Unbiased Ranking (arXiv
2305.09918). A strong logger shows relevant documents first, so that relevance that the ranker has
not learned (yet) looks like examination. An encoder therefore learns the logging policy from the
features first; the propensity model then learns from position *and* the encoder's score, held
still; and what depends on the score is averaged out: over random permutations of the documents each
position shows each score as often as any other does (backdoor adjustment). The ranker learns with
these propensities as fixed weights.

Here the encoder's score enters in quantiles, as one more bias column, so that the average over all
permutations is a sum over levels, exact and without sampling.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.data.context import BiasColumn
from ultr.train.config import TrainConfig
from ultr.train.loop import Fitted

LEVELS = 8
"""Quantiles of the encoder's score."""

_CHUNK = 65_536

Scores = NDArray[np.floating[Any]]


def encoder_config(config: TrainConfig) -> TrainConfig:
    """The settings of the encoder: the ranker, or an MLP in place of one that compares documents.

    It is fitted to where the log showed documents.
    """
    ranker = "mlp" if config.ranker_spec().compares else config.ranker
    return replace(config, method="naive", ranker=ranker, weight_decay=config.decays[0])


def as_logged(data: Lists) -> Lists:
    """The lists with 1/position in place of clicks: what the encoder learns."""
    inverse = np.divide(
        data.weight[:, None], data.position, where=data.where, out=np.zeros(data.where.shape)
    )
    return replace(data, clicks=inverse.astype(np.float32))


def encoded(encoder: Fitted, data: Lists) -> Scores:
    """`[N]` the encoder's score of each document."""
    ranker: Any = nnx.merge(encoder.model.graphs.ranker, encoder.params.ranker)
    score = jax.jit(lambda x, q: ranker(x, q, jnp.ones(len(q), bool)))
    begins = range(0, data.n_documents, _CHUNK)
    parts = [slice(i, i + _CHUNK) for i in begins]
    return np.concatenate([np.asarray(score(data.inputs(p), data.doc_query[p])) for p in parts])


def score_edges(scores: Scores, data: Lists) -> Scores:
    """`[LEVELS − 1]` quantiles of the score over impressions."""
    shown = np.broadcast_to(data.sessions[:, None], data.where.shape)[data.where]
    values = scores[data.document[data.where]]
    order = np.argsort(values)
    share = np.cumsum(shown[order]) / shown.sum()
    at = np.searchsorted(share, np.arange(1, LEVELS) / LEVELS)
    return values[order][at]


def with_score(data: Lists, scores: Scores, edges: Scores) -> Lists:
    """The lists with the quantile of the encoder's score as one more bias column."""
    level = np.searchsorted(edges, scores)[data.document]
    context = np.where(data.where, level, 0).astype(np.int32)[:, :, None]
    column = BiasColumn("logged", tuple(map(str, range(LEVELS))), is_per_document=True)
    return replace(
        data, context=np.concatenate([data.context, context], axis=-1), bias=(*data.bias, column)
    )


def averaged(log_propensity: jax.Array, data: Lists) -> jax.Array:
    """`[P, *levels]`: the last axis averaged by how often each level is shown, at any position.

    Args:
        log_propensity: `[P, *levels, LEVELS]`.
        data: lists with the score as their last bias column.
    """
    shown = np.broadcast_to(data.sessions[:, None], data.where.shape)[data.where]
    share = np.bincount(data.context[data.where][:, -1], shown, minlength=LEVELS) / shown.sum()
    return jax.nn.logsumexp(log_propensity, b=jnp.asarray(share, jnp.float32), axis=-1)
