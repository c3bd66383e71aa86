"""DLA in two phases: learn the propensities, then the ranker with them held still.

What is best for the ranker is not best for the propensities. Strong weight decay lifts nDCG@10 by
.01 to .03, but a ranker held that small leaves relevance for the propensity model to explain: on
the generated set with a deterministic logger the propensity error rose from .03 to .08 and nDCG@10
fell from .91 to .82. And a flexible ranker takes position bias for relevance where a log of few
queries does not tell them apart (on MQ2008 the error was .04 to .28 with an MLP). So the
propensities are learned jointly with a linear ranker that is trained to its end, and then fitted in
closed form beside that ranker and an estimate of the logging policy (`ultr.train.control`). On the
generated set, deterministic logger, one million sessions, η = .5, 1, weak and strong, the error is
.076 .086 .043 .046 after the joint training (.056 .070 .022 .034 beside an MLP) and .017 .022 .011
.015 after that; with 10,000 sessions at η = 1 .052 .048 and .017 .007; with a Plackett-Luce logger,
where swaps tell the curve, it stays as small as it was (.009 .014 and .008 .011).

The ranker is then fitted once more, with its full weight decay, which is chosen by held-out clicks:
10 is best for a few hundred queries, 3 for thousands. How far it is corrected, and how, depends on
the effective clicks n:
- It is corrected by the share n / (n + 4,000) of the log propensities. A share below 1 leaves in
  the ranker some of what the logging policy knew, which few clicks cannot replace. With 10,000
  sessions, a strong logger and η = 2 on the generated set, a fit with the full true propensities
  is .019 to .09 nDCG@10 below naive, one with a share of .15 within .001; with a weak one at η = 1
  naive is .897, the share of .7 .914, the full correction .902. Over 19 such cells (two to three
  seeds, true propensities) the mean over naive and the number of cells more than .002 below are
  .0057 and 2 with 3,000 in that formula, .0046 and 1 with 5,000, .0066 and 5 with a fixed half;
  the full correction falls to −.07. With 100,000 sessions 3,000 is the better one (.025 and .023
  above naive). Selecting the share by held-out clicks gained no more (.0052 and 5), and costs a
  training for each. Where swaps identify the curve and there are clicks enough for weights, nothing
  is held back: on MQ2008 with a weak Plackett-Luce logger and η = 2 a share of .91 of a million
  sessions' clicks is .0047 below a ranker with the true propensities (mean of ten seeds), the whole
  .001 above it, and in eleven other such cells of 100,000 to a million sessions the two are within
  .0015 of each other. With one fixed list per query the share is kept: the curve rests on features.
- Clicks are weighted by inverse propensity where n is 30,000 or more, else the offset form is used,
  which has no weights to explode. With full weights and 10,000 sessions even the true propensities
  rank worse than no correction at severe bias (.751 and .862 at η = 2). At n = 20,000 (generated
  set, η = .5) the offset is ahead by .001 to .002, at 32,000 (MQ2008) weights by .011, at 80,000
  (generated set) by .001 to .003, on MQ2008 with a million sessions by .009 (mean of 8 seeds).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.train import upe
from ultr.train.config import TrainConfig
from ultr.train.control import controlled_logits, falling
from ultr.train.keeper import Keeper
from ultr.train.loop import Fitted, train
from ultr.train.policy import evidence
from ultr.train.propensities import relative_logits
from ultr.train.splits import TrainingSet

_WEIGHTED_CLICKS = 30_000
"""Effective clicks from which on the last fit uses weights, in full if swaps tell the curve."""

_HALF_STRENGTH = 4_000
"""Effective clicks at which the last fit corrects by half of the log propensities."""

_JOINT_DECAY = 1.0
"""Weight decay of a flexible ranker beside the propensity model."""

_LINEAR_STEPS = 480
"""Before the linear ranker may stop: it cannot overfit, and its propensities come late."""


def train_method(
    data: TrainingSet,
    held_out: TrainingSet,
    *,
    config: TrainConfig,
    n_documents: int,
    n_positions: int,
    sessions: int,
    log_propensity: jax.Array | None,
    is_identified: bool,
    keeper: Keeper,
) -> Fitted:
    """Train as the configuration says: DLA with an MLP in two phases, all else in one.

    Args:
        data: the training split.
        held_out: the validation split.
        config: the settings.
        n_documents: of the whole lake, for the table ranker.
        n_positions: P, positions that the propensity model is to know.
        sessions: that the training split stands for.
        log_propensity: `[P, *levels]` given log propensities, for ipw.
        is_identified: whether swaps tell the propensities.
        keeper: keeps the work of each training; those that are finished are not repeated.

    Returns:
        The last phase; its times are the sums over all phases.
    """

    def phase(
        name: str,
        chosen: TrainConfig,
        given: jax.Array | None,
        *,
        is_frozen: bool,
        lists: tuple[TrainingSet, TrainingSet] = (data, held_out),
    ) -> list[Fitted]:
        """One training for each weight decay."""
        return [
            train(
                *lists,
                config=chosen,
                n_documents=n_documents,
                sessions=sessions,
                decay=decay,
                n_positions=n_positions,
                log_propensity=given,
                is_frozen=is_frozen,
                keeper=keeper.training(phase=name, weight_decay=decay),
            )
            for decay in chosen.decays
        ]

    if config.method == "upe":
        dla = replace(config, method="dla")
        (encoder,) = phase(
            "logging policy", upe.encoder_config(config), None, is_frozen=True,
            lists=(upe.logged(data), upe.logged(held_out)),
        )  # fmt: skip
        scored = upe.scored(encoder, data, held_out)
        joint = replace(dla, weight_decay=_JOINT_DECAY if dla.is_flexible else dla.decays[0])
        (both,) = phase(
            "joint", joint, None, is_frozen=False, lists=(scored.training, scored.held_out)
        )
        curve = upe.averaged(both.log_propensity, scored.share)
        clicks = effective_clicks(data, np.asarray(curve), max_weight=config.max_weight)
        last = _refit(dla, clicks)
        return _best(phase("refit", last, curve, is_frozen=True), after=(encoder, both))
    if not (config.method == "dla" and config.is_flexible and config.is_refitted):
        given = log_propensity
        return _best(phase(config.method, config, given, is_frozen=config.method != "dla"))
    linear = replace(
        config, ranker="linear", ranker_rate=None, weight_decay=None,
        min_steps=max(config.first_step, _LINEAR_STEPS),
    )  # fmt: skip
    (first,) = phase("joint", linear, None, is_frozen=False)
    learned = np.asarray(first.log_propensity, np.float64)
    logits = controlled_logits(evidence(data, partial(_scores, first)), logits=learned)
    if config.is_monotone:
        logits = falling(logits, clicks=data.position_clicks)
    effective = effective_clicks(data, logits, max_weight=config.max_weight)
    last = _refit(config, effective)
    strength = config.strength
    if strength is None:
        is_sure = is_identified and effective >= _WEIGHTED_CLICKS
        strength = 1.0 if is_sure else effective / (effective + _HALF_STRENGTH)
    used = jnp.asarray(strength * logits, jnp.float32)
    best = _best(phase("refit", last, used, is_frozen=True), after=(first,))
    # What the run tells is the curve; with which share of it the ranker was corrected is beside it.
    curve = jax.tree.map(lambda _: jnp.asarray(logits, jnp.float32), best.params.propensity)
    return replace(best, params=best.params._replace(propensity=curve), strength=strength)


def _refit(config: TrainConfig, effective: float) -> TrainConfig:
    """The settings of the last fit: by weights where there are clicks enough."""
    weighted = config.correction == "weights" or effective >= _WEIGHTED_CLICKS
    return replace(config, correction="weights" if weighted else "offset")


def _scores(fitted: Fitted, data: Lists) -> NDArray[np.float64]:
    """`[N]` scores of the documents of some lists, by a ranker on features."""
    ranker: Any = nnx.merge(fitted.model.graphs.ranker, fitted.params.ranker)
    return np.asarray(ranker(data.inputs(), None, None), np.float64)


def _best(candidates: list[Fitted], *, after: tuple[Fitted, ...] = ()) -> Fitted:
    """The candidate with the best held-out clicks, with the work of all trainings added up."""
    best = min(candidates, key=lambda fitted: fitted.click_nll_listwise)
    phases = [*after, *candidates]
    before = phases[: next(i for i, p in enumerate(phases) if p is best)]
    return replace(
        best,
        seconds=sum(p.seconds for p in phases),
        compile_seconds=sum(p.compile_seconds for p in phases),
        steps_seconds=sum(p.steps_seconds for p in phases),
        epochs=sum(p.epochs for p in phases),
        best_epoch=sum(p.epochs for p in before) + best.best_epoch,
    )


def effective_clicks(
    data: TrainingSet, logits: NDArray[np.floating[Any]], *, max_weight: float
) -> float:
    """Kish's effective sample size `(Σ c w)² / Σ c w²` of inverse-propensity weighted clicks.

    Args:
        data: the lists.
        logits: `[P, *levels]` log propensities.
        max_weight: bound on the weights.
    """
    clicks = data.position_clicks
    inverse = np.exp(-relative_logits(np.asarray(logits), data.bias))
    w = np.minimum(inverse, max_weight)[: len(clicks)]
    return float((clicks * w).sum() ** 2 / max((clicks * w**2).sum(), 1e-12))
