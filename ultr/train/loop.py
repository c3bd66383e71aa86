"""The training loop: reads top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from ultr.data import Lists, batch_shape, epoch_plan
from ultr.errors import DataError
from ultr.model import PositionBias, RankerSpec
from ultr.objectives import Terms, dla_offset, dla_weights, ipw, naive
from ultr.train.config import TrainConfig
from ultr.train.step import Arrays, Model, State, Towers, click_nll, run_epoch

T = TypeVar("T")


@dataclass(frozen=True)
class Fitted:
    """What training ends with.

    Args:
        model: graph definitions.
        params: the state with the best held-out click likelihood.
        best_epoch: its epoch, from 1.
        epochs: epochs that were run.
        click_nll_listwise: its held-out listwise click NLL, nats per click.
        seconds: wall time of everything.
        compile_seconds: of the first epoch and the first evaluation, over what a later one takes.
        steps_seconds: wall time of the epochs alone, compilation left out.
        sessions: sessions one epoch passes over.
    """

    model: Model
    params: Towers
    best_epoch: int
    epochs: int
    click_nll_listwise: float
    seconds: float
    compile_seconds: float
    steps_seconds: float
    sessions: int


class _Best(NamedTuple):
    click_nll: float
    evaluation: int
    params: Towers


def train(
    data: Lists,
    held_out: Lists,
    *,
    spec: RankerSpec,
    config: TrainConfig,
    sessions: int,
    log_propensity: jax.Array | None,
    is_frozen: bool,
    on_epoch: Callable[[dict[str, Any]], None],
) -> Fitted:
    """Fit ranker and propensity model; keep the best state by held-out click likelihood.

    Args:
        data: the training split.
        held_out: the validation split.
        spec: the ranker.
        config: everything else.
        sessions: that the training split stands for, those without a click included: they
            contribute nothing to these objectives and are left out of `data`, exactly.
        log_propensity: `[P]` log propensities to start from; all alike by default.
        is_frozen: hold the propensities still.
        on_epoch: receives one line of measurements per evaluation.

    Raises:
        DataError: a loss that is not a number, naming the step.
    """
    began = time.perf_counter()
    n_positions = max(data.max_position, held_out.max_position)
    n_documents = 1 + int(max(data.doc_row.max(initial=0), held_out.doc_row.max(initial=0)))
    model, state = _start(
        data.n_features,
        n_documents,
        spec=spec,
        config=config,
        log_propensity=jnp.zeros(n_positions) if log_propensity is None else log_propensity,
        is_frozen=is_frozen,
    )
    arrays, held_arrays = (_on_device(d, spec, config.weighting) for d in (data, held_out))
    shape, held_shape = (
        batch_shape(d, documents=config.documents_per_batch) for d in (data, held_out)
    )
    held_plan = epoch_plan(held_out, held_shape, seed=config.seed, epoch=0)
    passes = max(1, math.ceil(config.evaluation_steps / shape.batches))
    best = _Best(math.inf, 0, state.params)
    took: list[tuple[float, float]] = []
    for evaluation in range(1, config.evaluations + 1):
        if evaluation > max(best.evaluation, config.min_evaluations) + config.patience:
            break
        start = time.perf_counter()
        for epoch in range((evaluation - 1) * passes + 1, evaluation * passes + 1):
            plan = epoch_plan(data, shape, seed=config.seed, epoch=epoch)
            state, measured = _wait(run_epoch(model, state, arrays, plan))
        middle = time.perf_counter()
        kept = state.averaged if config.averaging else state.params
        nll, clicks = np.asarray(click_nll(model, kept, held_arrays, held_plan))
        took.append((middle - start, time.perf_counter() - middle))
        line = _summary(measured, epoch=epoch, held_out_nll=float(nll / clicks))
        _check_finite(line, measured, epoch=epoch)
        sessions_per_second = passes * sessions / took[-1][0]
        on_epoch({**line, "seconds": took[-1][0], "sessions_per_second": sessions_per_second})
        may_select = evaluation >= min(config.min_evaluations, config.evaluations)
        if may_select and line["click_nll_listwise"] < best.click_nll:
            # A copy: the next epoch donates this state's buffers.
            best = _Best(line["click_nll_listwise"], evaluation, jax.tree.map(jnp.copy, kept))
    usual = np.median(np.asarray(took[1:] or took), axis=0)
    return Fitted(
        model=model,
        params=best.params,
        best_epoch=best.evaluation * passes,
        epochs=len(took) * passes,
        click_nll_listwise=best.click_nll,
        seconds=time.perf_counter() - began,
        compile_seconds=float(max(0.0, sum(took[0]) - usual.sum())) if len(took) > 1 else 0.0,
        steps_seconds=float(usual[0]) * len(took),
        sessions=sessions,
    )


def _wait(result: T) -> T:
    jax.block_until_ready(result)  # type: ignore[no-untyped-call]
    return result


def _start(
    n_features: int,
    n_documents: int,
    *,
    spec: RankerSpec,
    config: TrainConfig,
    log_propensity: jax.Array,
    is_frozen: bool = False,
) -> tuple[Model, State]:
    ranker = spec.build(n_features=n_features, n_documents=n_documents, rngs=nnx.Rngs(config.seed))
    propensity = PositionBias(len(log_propensity))
    # A copy: steps donate their buffers, and the caller keeps what it gave.
    propensity.logits[...] = jnp.copy(log_propensity)
    split = [nnx.split(m) for m in (ranker, propensity)]
    params = Towers(*(p for _, p in split))
    optimizers = Towers(
        optax.chain(
            optax.clip_by_global_norm(config.clip_norm),
            optax.adamw(config.rate, weight_decay=config.decay),
        ),
        optax.set_to_zero()
        if is_frozen
        else optax.chain(
            optax.clip_by_global_norm(config.clip_norm), optax.adam(config.propensity_rate)
        ),
    )
    memory = Towers(*(o.init(p) for o, p in zip(optimizers, params, strict=True)))
    model = Model(Towers(*(g for g, _ in split)), optimizers, config.averaging, objective(config))
    averaged = jax.tree.map(jnp.copy, params)
    return model, State(params, averaged, memory, jnp.zeros(3), jnp.zeros((), jnp.int32))


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


def _on_device(data: Lists, spec: RankerSpec, weighting: str) -> Arrays:
    clicks = data.clicks * _query_weight(data, weighting)[data.list_query][:, None]
    inputs = data.inputs() if spec.reads == "features" else data.doc_row
    return Arrays(
        inputs=_padded(inputs),
        query=_padded(data.doc_query),
        document=_padded(data.document),
        position=_padded(np.where(data.where, data.position, 0)),
        clicks=_padded(np.where(data.where, clicks, 0.0).astype(np.float32)),
    )


def _query_weight(data: Lists, weighting: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """`[Q]` what a click of each query counts for, 1 on average over clicks."""
    clicks = np.bincount(
        data.list_query, data.clicks.sum(axis=1), minlength=len(data.query_id)
    ).clip(1e-12)
    power = {"session": 0.0, "sqrt": 0.5, "query": 1.0}[weighting]
    weight = clicks**-power
    return np.asarray(weight * clicks.sum() / (weight * clicks).sum())


def _padded(values: np.ndarray[Any, Any]) -> jax.Array:
    return jnp.asarray(np.concatenate([values, np.zeros((1, *values.shape[1:]), values.dtype)]))


def _summary(measured: dict[str, jax.Array], *, epoch: int, held_out_nll: float) -> dict[str, Any]:
    m = {name: np.asarray(values, np.float64) for name, values in measured.items()}
    steps = max(1, int((m["clicks"] > 0).sum()))
    weight = m["rank_weight"].sum()
    return {
        "epoch": epoch,
        "rank_loss": _ratio(m["rank"].sum(), weight),
        "propensity_loss": _ratio(m["propensity"].sum(), m["propensity_weight"].sum()),
        "click_nll_listwise": held_out_nll,
        "clipped_share": _ratio(m["clipped"].sum(), m["clicks"].sum()),
        "effective_sample_size": _ratio(weight**2, m["rank_weight_sq"].sum()),
        "gradient_norm_ranker": float(m["gradient_norm_ranker"].sum()) / steps,
        "gradient_norm_propensity": float(m["gradient_norm_propensity"].sum()) / steps,
        "steps": steps,
    }


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else 0.0


def _check_finite(line: dict[str, Any], measured: dict[str, jax.Array], *, epoch: int) -> None:
    if math.isfinite(line["click_nll_listwise"]) and math.isfinite(line["rank_loss"]):
        return
    bad = np.flatnonzero(~np.isfinite(np.asarray(measured["rank"])))
    where = f"step {int(bad[0]) + 1} of epoch {epoch}" if len(bad) else f"epoch {epoch}"
    raise DataError(
        "the loss must stay a finite number",
        got=f"NaN or infinity at {where}",
        hint="lower ranker_rate (--set ranker_rate=0.001), or look for wild feature values",
    )
