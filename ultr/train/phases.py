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
- With less than 30,000 of them it is fitted with two shares of the log propensities, s =
  n / (n + 4,000) and (s + 1) / 2, and held-out clicks choose (`ultr.train.strength`).
- With more it is corrected in full where swaps identify the curve, and by n / (n + 1,000) where the
  curve rests on features. On MQ2008 with a weak Plackett-Luce logger and η = 2 a share of .91 of a
  million sessions' clicks is .0047 below a ranker with the true propensities (mean of ten seeds),
  the whole .001 above it. With one fixed list per query, on eight other seeds, 1,000 in place of
  4,000 gains .015 and .006 (MQ2008, weak and strong, η = 2, a million sessions) and .004 (weak,
  η = 1, 100,000 sessions), and changes six other cells by at most .0006; without any share MQ2008
  gains .003 more (weak, η = 2), and two of 12 generated logs lose .008 and .011.
- Clicks are weighted by inverse propensity where n is 30,000 or more and 3 for each document that
  was shown, else the offset form is used, which has no weights to explode. With full weights and
  10,000 sessions even the true propensities rank worse than no correction at severe bias (.751 and
  .862 at η = 2). On the generated set the offset is .004 ahead on average with .7 clicks a document
  and .001 with 1.9 (Plackett-Luce), weights are by .001 to .003 with 5 and by .014 and .007 with 11
  (fixed lists); on MQ2008 weights are ahead by .009 with a million sessions (mean of 8 seeds).
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
from ultr.train.stream import open_source
from ultr.train.strength import held_out_logits, most_cautious, with_curve

_MANY_CLICKS = 30_000
"""Effective clicks from which on nothing has to be chosen by held-out ones."""

_CLICKS_PER_DOCUMENT = 3.0
"""Effective clicks for each shown document from which on many are used by weights."""

_HALF_STRENGTH_OF_FEW, _HALF_STRENGTH_OF_MANY = 4_000, 1_000
"""Effective clicks at which half of the log propensities would be corrected by, at least."""

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
        last = _refit(dla, clicks, data)
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
    last = _refit(config, effective, data)
    tried = {
        strength: phase(name, last, jnp.asarray(strength * logits, jnp.float32), is_frozen=True)
        for name, strength in _strengths(config, effective, is_identified=is_identified).items()
    }
    strength = _chosen(tried, held_out, logits=logits, config=last)
    others = [fitted for s, all_of_it in tried.items() if s != strength for fitted in all_of_it]
    best = _best(tried[strength], after=(first, *others))
    # What the run tells is the curve; with which share of it the ranker was corrected is beside it.
    return replace(best, params=with_curve(best.params, logits), strength=strength)


def _strengths(config: TrainConfig, effective: float, *, is_identified: bool) -> dict[str, float]:
    """By name of the fit, the shares of the log propensities to correct by, the least one first."""
    if config.strength is not None:
        return {"refit": config.strength}
    if effective >= _MANY_CLICKS:
        share = effective / (effective + _HALF_STRENGTH_OF_MANY)
        return {"refit": 1.0 if is_identified else share}
    least = effective / (effective + _HALF_STRENGTH_OF_FEW)
    return {"refit": least, "refit corrected more": (least + 1) / 2}


def _chosen(
    tried: dict[float, list[Fitted]],
    held_out: TrainingSet,
    *,
    logits: NDArray[np.float64],
    config: TrainConfig,
) -> float:
    """The share to keep."""
    if len(tried) == 1:
        return next(iter(tried))
    held = open_source(held_out, spec=config.ranker_spec(), config=config)
    judged = [held_out_logits(_best(each), held, logits) for each in tried.values()]
    return list(tried)[most_cautious(judged)]


def _refit(config: TrainConfig, effective: float, data: TrainingSet) -> TrainConfig:
    """The settings of the last fit: by weights where there are clicks enough."""
    documents = data.n_documents if isinstance(data, Lists) else data.total().documents
    is_enough = effective >= max(_MANY_CLICKS, _CLICKS_PER_DOCUMENT * documents)
    weighted = config.correction == "weights" or is_enough
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
