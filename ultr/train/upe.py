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

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.data.context import BiasColumn
from ultr.train.config import TrainConfig
from ultr.train.loop import Fitted
from ultr.train.part import View
from ultr.train.policy import impressions
from ultr.train.quantiles import Quantiles
from ultr.train.splits import TrainingSet

LEVELS = 8
"""Quantiles of the encoder's score."""

_COLUMN = BiasColumn("logged", tuple(map(str, range(LEVELS))), is_per_document=True)
_CHUNK = 65_536

Scores = NDArray[np.floating[Any]]
Shares = NDArray[np.float64]
Levels = NDArray[np.uint8]


def encoder_config(config: TrainConfig) -> TrainConfig:
    """The settings of the encoder: the ranker, or an MLP in place of one that compares documents.

    It is fitted to where the log showed documents.
    """
    ranker = "mlp" if config.ranker_spec().compares else config.ranker
    return replace(config, method="naive", ranker=ranker, weight_decay=config.decays[0])


class Scored(NamedTuple):
    """Lists with the quantile of the encoder's score as one more bias column.

    Attributes:
        training: the training split.
        held_out: the validation split.
        share: `[LEVELS]` of the training split's impressions.
    """

    training: TrainingSet
    held_out: TrainingSet
    share: Shares


def logged(data: TrainingSet) -> TrainingSet:
    """The lists with 1/position in place of clicks: what the encoder learns."""
    if isinstance(data, Lists):
        return as_logged(data)
    return data.viewed(View(lambda some, _: as_logged(some), data.bias))


def as_logged(data: Lists) -> Lists:
    """The same of lists in memory."""
    inverse = np.divide(
        data.weight[:, None], data.position, where=data.where, out=np.zeros(data.where.shape)
    )
    return replace(data, clicks=inverse.astype(np.float32))


def scored(encoder: Fitted, data: TrainingSet, held_out: TrainingSet) -> Scored:
    """Both splits with the score of the encoder; levels are quantiles of the training split.

    Of lists above memory_limit each document's level is kept, a byte, and while the levels are
    being found its score.

    Args:
        encoder: what was trained on `logged` lists.
        data: the training split.
        held_out: the validation split.
    """
    score = scorer(encoder)
    known = Quantiles()
    shown: list[Shares] = []
    scores: list[Scores] = []
    for some in _pieces(data):
        scores.append(score(some))
        shown.append(impressions(some))
        known.add(scores[-1], shown[-1])
    edges = known.edges(LEVELS)
    levels = [_levels(s, edges) for s in scores]
    total = sum(np.bincount(at, n, LEVELS) for at, n in zip(levels, shown, strict=True))
    others = [_levels(score(some), edges) for some in _pieces(held_out)]
    share = np.asarray(total / np.sum(total), np.float64)
    return Scored(_with_levels(data, levels), _with_levels(held_out, others), share)


def scorer(encoder: Fitted) -> Callable[[Lists], Scores]:
    """Lists to the `[N]` scores of their documents."""
    ranker: Any = nnx.merge(encoder.model.graphs.ranker, encoder.params.ranker)
    score = jax.jit(lambda x, q: ranker(x, q, jnp.ones(len(q), bool)))

    def call(data: Lists) -> Scores:
        out = np.zeros(data.n_documents, np.float32)
        for begin in range(0, data.n_documents, _CHUNK):
            part = slice(begin, begin + _CHUNK)
            x, q = data.inputs(part), data.doc_query[part]
            more = (1 << (len(q) - 1).bit_length()) - len(q)  # few shapes, few compilations
            padded = score(np.pad(x, [(0, more), (0, 0)]), np.pad(q, (0, more), constant_values=-1))
            out[part] = np.asarray(padded)[: len(q)]
        return out

    return call


def averaged(log_propensity: jax.Array, share: Shares) -> jax.Array:
    """`[P, *levels]`: the last axis averaged by how often each level is shown, at any position.

    Args:
        log_propensity: `[P, *levels, LEVELS]`.
        share: `[LEVELS]`.
    """
    return jax.nn.logsumexp(log_propensity, b=jnp.asarray(share, jnp.float32), axis=-1)


def _pieces(data: TrainingSet) -> Iterator[Lists]:
    """All lists, as many at a time as are at hand."""
    if isinstance(data, Lists):
        yield data
    else:
        yield from (data.read([place]) for place in range(len(data.buckets)))


def _levels(scores: Scores, edges: Scores) -> Levels:
    return np.searchsorted(edges, scores).astype(np.uint8)


def _with_levels(data: TrainingSet, levels: Sequence[Levels]) -> TrainingSet:
    """The lists with one more bias column.

    Args:
        data: the lists.
        levels: of the documents of each piece.
    """
    if isinstance(data, Lists):
        return with_level(data, levels[0])

    def change(some: Lists, places: Sequence[int]) -> Lists:
        return with_level(some, np.concatenate([levels[place] for place in places]))

    return data.viewed(View(change, (*data.bias, _COLUMN)))


def with_level(data: Lists, level: Levels) -> Lists:
    """The lists with one more bias column.

    Args:
        data: the lists.
        level: `[N]` of each document.
    """
    context = np.where(data.where, level[data.document], 0).astype(np.int32)[:, :, None]
    return replace(
        data, context=np.concatenate([data.context, context], axis=-1), bias=(*data.bias, _COLUMN)
    )
