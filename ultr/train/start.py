"""What a training begins with: modules, optimizers, the objective and the first state."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from ultr.data.context import BiasColumn
from ultr.model import BiasModel, ContextBias, DenseBias, MonotoneBias, PositionBias
from ultr.objectives import Terms, dla_offset, dla_weights, ipw, naive
from ultr.train.config import TrainConfig
from ultr.train.sharding import everywhere
from ultr.train.step import SUM_DECAY, Model, State, Towers


class _Sizes(NamedTuple):
    n_features: int
    n_documents: int
    bias: tuple[int, ...]
    per_document: tuple[bool, ...]
    is_frozen: bool


def start(
    *,
    n_features: int,
    n_documents: int,
    config: TrainConfig,
    decay: float,
    bias: tuple[BiasColumn, ...] = (),
    log_propensity: jax.Array,
    is_frozen: bool,
) -> tuple[Model, State]:
    """The static model and the first state.

    Args:
        n_features: F.
        n_documents: parameters of the table ranker.
        config: the settings.
        decay: weight decay of the ranker.
        bias: the bias columns.
        log_propensity: `[P, *levels]` to start from; a propensity model that is more than a table
            starts from its own beginning.
        is_frozen: hold the propensities still.
    """
    per_document = tuple(column.is_per_document for column in bias)
    sizes = _Sizes(n_features, n_documents, log_propensity.shape, per_document, is_frozen)
    ranker, propensity = _modules(config, sizes)
    if isinstance(propensity, PositionBias):
        # A copy: steps donate their buffers, and the caller keeps what it gave.
        propensity.logits[...] = jnp.copy(log_propensity)
    params = Towers(*(nnx.split(m)[1] for m in (ranker, propensity)))
    # Seed and decay are not part of the compiled program: trainings that differ in them share it.
    model = _model(replace(config, seed=0, weight_decay=None), sizes)
    memory = Towers(*(o.init(p) for o, p in zip(model.optimizers, params, strict=True)))
    averaged = jax.tree.map(jnp.copy, params)
    shrink = jnp.asarray(config.rate * decay)
    first = State(params, averaged, memory, jnp.zeros(3), shrink, jnp.zeros((), jnp.int32))
    return model, everywhere(first)


@functools.lru_cache(maxsize=16)
def _model(config: TrainConfig, sizes: _Sizes) -> Model:
    modules = _modules(config, sizes)
    clips = (config.clip_norm, config.propensity_clip_norm or config.clip_norm)
    ranker, learning = (
        optax.chain(optax.clip_by_global_norm(clip), _optimizer(config, rate))
        for clip, rate in zip(clips, (_schedule(config), config.propensity_rate), strict=True)
    )
    propensity = optax.set_to_zero() if sizes.is_frozen else learning
    graphs = Towers(*(nnx.split(m)[0] for m in modules))
    optimizers = Towers(ranker, propensity)
    return Model(
        graphs,
        optimizers,
        config.averaging,
        objective(config),
        config.compute_dtype,
        SUM_DECAY if config.sessions_per_batch is None else 0.0,
        config.is_deterministic,
    )


def _optimizer(config: TrainConfig, rate: float | optax.Schedule) -> optax.GradientTransformation:
    return optax.adagrad(rate) if config.optimizer == "adagrad" else optax.adam(rate)


def _schedule(config: TrainConfig) -> float | optax.Schedule:
    """The ranker's rate, by step where it changes."""
    steps = config.schedule_steps - config.warmup_steps
    match config.schedule:
        case "constant":
            after: optax.Schedule = optax.constant_schedule(config.rate)
        case "cosine":
            after = optax.cosine_decay_schedule(config.rate, steps)
        case "linear":
            after = optax.linear_schedule(config.rate, 0.0, steps)
    if not config.warmup_steps:
        return config.rate if config.schedule == "constant" else after
    before = optax.linear_schedule(0.0, config.rate, config.warmup_steps)
    return optax.join_schedules([before, after], [config.warmup_steps])


def _modules(config: TrainConfig, sizes: _Sizes) -> tuple[nnx.Module, BiasModel]:
    ranker = config.ranker_spec().build(
        n_features=sizes.n_features,
        n_documents=sizes.n_documents,
        rngs=nnx.Rngs(config.seed),
    )
    return ranker, _propensity(config, sizes)


def _propensity(config: TrainConfig, sizes: _Sizes) -> BiasModel:
    if sizes.is_frozen:
        return PositionBias(sizes.bias, sizes.per_document)
    model: BiasModel = PositionBias(sizes.bias)
    if config.propensity_hidden is not None and not sizes.per_document:
        (n_positions,) = sizes.bias
        hidden = config.propensity_hidden
        model = DenseBias(n_positions, hidden=hidden, rngs=nnx.Rngs(config.seed))
    elif sizes.per_document:
        model = ContextBias(sizes.bias, sizes.per_document, rngs=nnx.Rngs(config.seed))
    return MonotoneBias(model) if config.is_monotone else model


def objective(config: TrainConfig) -> Callable[..., Terms]:
    """The objective that a configuration names, with one signature for all.

    Called as `(scores, clicks, *, logits, reference, position, where)`.
    """

    def call(
        scores: jax.Array,
        clicks: jax.Array,
        *,
        logits: jax.Array,
        reference: jax.Array,
        position: jax.Array,
        where: jax.Array,
    ) -> Terms:
        bound = config.max_weight
        match config.method, config.correction:
            case "naive", _:
                return naive(scores, clicks, where=where)
            case "ipw", _:
                return ipw(
                    scores, clicks, logits=logits, reference=reference, where=where,
                    max_weight=bound,
                )  # fmt: skip
            case "dla", "weights":
                return dla_weights(
                    scores, clicks, logits=logits, reference=reference, position=position,
                    where=where, max_weight=bound,
                )  # fmt: skip
            case _:
                return dla_offset(scores, clicks, logits=logits, where=where)

    return call
