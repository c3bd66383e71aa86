"""The training loop: reads top to bottom."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.errors import DataError
from ultr.model import BiasModel
from ultr.train.config import TrainConfig
from ultr.train.drawn import DrawnSessions
from ultr.train.source import InMemory, Source
from ultr.train.start import start
from ultr.train.step import Model, State, Towers, click_nll, run_epoch

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Fitted:
    """What training ends with.

    Args:
        model: graph definitions.
        params: the state with the best held-out click likelihood.
        best_epoch: its epoch, from 1.
        epochs: epochs that were run.
        click_nll_listwise: its held-out listwise click NLL, nats per click.
        query_nll: `[Q]` its sum over the clicks of each held-out query.
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
    query_nll: Floats
    seconds: float
    compile_seconds: float
    steps_seconds: float
    sessions: int

    @property
    def log_propensity(self) -> jax.Array:
        """Log propensities of all positions and bias contexts, `[P, *levels]`."""
        model: BiasModel = nnx.merge(self.model.graphs.propensity, self.params.propensity)
        return model.table()


class _Best(NamedTuple):
    click_nll: float
    evaluation: int
    params: Towers
    nll: Floats


def train(
    data: Lists,
    held_out: Lists,
    *,
    config: TrainConfig,
    n_documents: int,
    sessions: int,
    decay: float | None = None,
    log_propensity: jax.Array | None,
    is_frozen: bool,
    on_epoch: Callable[[dict[str, Any]], None],
) -> Fitted:
    """Fit ranker and propensity model; keep the best state by held-out click likelihood.

    Args:
        data: the training split.
        held_out: the validation split.
        config: the settings.
        n_documents: of the whole lake, shown or not: parameters of the table ranker.
        sessions: that the training split stands for, those without a click included: they
            contribute nothing to these objectives and are left out of `data`, exactly.
        decay: weight decay of the ranker; the first of the configuration's by default.
        log_propensity: `[P, *levels]` log propensities to start from; all alike by default.
        is_frozen: hold the propensities still.
        on_epoch: receives one line of measurements per evaluation.

    Raises:
        DataError: a loss that is not a number, naming the step.
    """
    began = time.perf_counter()
    n_positions = max(data.max_position, held_out.max_position)
    shape = (n_positions, *(len(column.levels) for column in data.bias))
    model, state = start(
        n_features=data.n_features,
        n_documents=n_documents,
        config=config,
        decay=config.decays[0] if decay is None else decay,
        bias=data.bias,
        log_propensity=jnp.zeros(shape) if log_propensity is None else log_propensity,
        is_frozen=is_frozen,
    )
    spec = config.ranker_spec()
    kind = InMemory if config.sessions_per_batch is None else DrawnSessions
    source: Source = kind(data, spec=spec, config=config)
    held = InMemory(held_out, spec=spec, config=config)
    sessions = config.drawn_sessions or sessions
    passes = max(1, math.ceil(config.evaluation_steps / source.batches))
    first = 0  # evaluation from which on a state may be selected
    best = _Best(math.inf, 0, state.params, np.zeros(0))
    took: list[tuple[float, float]] = []
    for evaluation in range(1, config.evaluations + 1):
        if first and evaluation > max(best.evaluation, first) + config.patience:
            break
        before = time.perf_counter()
        for epoch in range((evaluation - 1) * passes + 1, evaluation * passes + 1):
            state, measured = _epoch(model, state, source, epoch=epoch)
        middle = time.perf_counter()
        kept = state.averaged if config.averaging else state.params
        nll = _query_nll(model, kept, held)
        took.append((middle - before, time.perf_counter() - middle))
        line = _summary(measured, epoch=epoch, held_out_nll=float(nll.sum() / held.clicks))
        _check_finite(line, measured, epoch=epoch)
        sessions_per_second = passes * sessions / took[-1][0]
        line["total_steps"] = int(state.step)
        on_epoch({**line, "seconds": took[-1][0], "sessions_per_second": sessions_per_second})
        if state.step >= config.first_step or evaluation == config.evaluations:
            first = first or evaluation
        if first and line["click_nll_listwise"] < best.click_nll:
            # A copy: the next epoch donates this state's buffers.
            copied = jax.tree.map(jnp.copy, kept)
            best = _Best(line["click_nll_listwise"], evaluation, copied, nll)
    usual = np.median(np.asarray(took[1:] or took), axis=0)
    return Fitted(
        model=model,
        params=best.params,
        best_epoch=best.evaluation * passes,
        epochs=len(took) * passes,
        click_nll_listwise=best.click_nll,
        query_nll=best.nll,
        seconds=time.perf_counter() - began,
        compile_seconds=float(max(0.0, sum(took[0]) - usual.sum())) if len(took) > 1 else 0.0,
        steps_seconds=float(usual[0]) * len(took),
        sessions=sessions,
    )


def _epoch(
    model: Model, state: State, source: Source, *, epoch: int
) -> tuple[State, dict[str, Floats]]:
    """One pass over the source; the measurements of its batches, `[B]` each."""
    parts = []
    for arrays, plan, _ in source.segments(epoch=epoch):
        state, measured = run_epoch(model, state, arrays, plan)
        parts.append({k: np.asarray(v, np.float64) for k, v in measured.items()})
    return state, {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}


def _query_nll(model: Model, params: Towers, held: InMemory) -> Floats:
    """`[Q]` listwise NLL, summed over the clicks of each query."""
    total = np.zeros(held.n_queries)
    for arrays, plan, query in held.segments(epoch=0):
        nll = np.asarray(click_nll(model, params, arrays, plan), np.float64)
        total += np.bincount(query[query >= 0], nll[query >= 0], minlength=held.n_queries)
    return total


def _summary(m: dict[str, Floats], *, epoch: int, held_out_nll: float) -> dict[str, Any]:
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


def _check_finite(line: dict[str, Any], measured: dict[str, Floats], *, epoch: int) -> None:
    if math.isfinite(line["click_nll_listwise"]) and math.isfinite(line["rank_loss"]):
        return
    bad = np.flatnonzero(~np.isfinite(measured["rank"]))
    where = f"step {int(bad[0]) + 1} of epoch {epoch}" if len(bad) else f"epoch {epoch}"
    raise DataError(
        "the loss must stay a finite number",
        got=f"NaN or infinity at {where}",
        hint="lower ranker_rate (--set ranker_rate=0.001), or look for wild feature values",
    )
