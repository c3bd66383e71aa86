"""DLA in two phases: learn the propensities jointly, then the ranker with them held still.

What is best for the ranker is not best for the propensities. Strong weight decay lifts nDCG@10 by
.01 to .03, but a ranker held that small leaves relevance for the propensity model to explain: on
the generated set with a deterministic logger the propensity error rose from .03 to .08 and nDCG@10
fell from .91 to .82. And a flexible ranker takes position bias for relevance where a log of few
queries does not tell them apart: on MQ2008 the error was .04 to .28 with an MLP, .03 to .05 with a
linear ranker that is trained to its end. So both learn beside a propensity model of their own. The
linear one is believed unless the MLP explains the clicks of held-out queries better by two standard
errors. Then the ranker is fitted once more, with those propensities and its full weight decay,
which is chosen by held-out clicks too: 10 is best for a few hundred queries, 3 for thousands. The
last fit weights clicks by inverse propensity where the log is large enough to bear it (nDCG@10 .705
against .696 by offset, mean of 8 seeds on MQ2008 with a million sessions), and else uses the offset
form, which has no weights to explode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.train import upe
from ultr.train.config import TrainConfig
from ultr.train.loop import Fitted, train
from ultr.train.propensities import relative_logits

_JOINT_DECAY = 1.0
"""Weight decay of the MLP beside the propensity model."""

_WEIGHTED_CLICKS = 20_000
"""Effective clicks from which on the last fit uses weights. With 10,000 sessions even the true
propensities rank worse as weights than no correction at severe bias (.751 and .862 at η = 2)."""

_LINEAR_STEPS = 480
"""Before the linear ranker may stop: it cannot overfit, and its propensities come late."""


def train_method(
    data: Lists,
    held_out: Lists,
    *,
    config: TrainConfig,
    n_documents: int,
    sessions: int,
    log_propensity: jax.Array | None,
    on_epoch: Callable[[dict[str, Any]], None],
) -> Fitted:
    """Train as the configuration says: DLA with an MLP in two phases, all else in one.

    Args:
        data: the training split.
        held_out: the validation split.
        config: the settings.
        n_documents: of the whole lake, for the table ranker.
        sessions: that the training split stands for.
        log_propensity: `[P, *levels]` given log propensities, for ipw.
        on_epoch: receives one line of measurements per evaluation, `phase` among them.

    Returns:
        The last phase; its times are the sums over all phases.
    """

    def phase(
        name: str,
        chosen: TrainConfig,
        given: jax.Array | None,
        *,
        is_frozen: bool,
        lists: tuple[Lists, Lists] = (data, held_out),
    ) -> list[Fitted]:
        """One training for each weight decay."""
        return [
            train(
                *lists,
                config=chosen,
                n_documents=n_documents,
                sessions=sessions,
                decay=decay,
                log_propensity=given,
                is_frozen=is_frozen,
                on_epoch=lambda line, decay=decay: on_epoch(  # type: ignore[misc]
                    {"phase": name, "weight_decay": decay, **line}
                ),
            )
            for decay in chosen.decays
        ]

    if config.method == "upe":
        dla = replace(config, method="dla")
        (encoder,) = phase(
            "logging policy", upe.encoder_config(config), None, is_frozen=True,
            lists=(upe.as_logged(data), upe.as_logged(held_out)),
        )  # fmt: skip
        scores = [upe.encoded(encoder, part) for part in (data, held_out)]
        edges = upe.score_edges(scores[0], data)
        scored = tuple(
            upe.with_score(part, s, edges) for part, s in zip((data, held_out), scores, strict=True)
        )
        joint = replace(dla, weight_decay=_JOINT_DECAY if dla.is_flexible else dla.decays[0])
        (both,) = phase("joint", joint, None, is_frozen=False, lists=(scored[0], scored[1]))
        curve = upe.averaged(both.log_propensity, scored[0])
        last = _refit(dla, data, curve)
        return _best(phase("refit", last, curve, is_frozen=True), after=(encoder, both))
    if not (config.method == "dla" and config.is_flexible and config.is_refitted):
        given = log_propensity
        return _best(phase(config.method, config, given, is_frozen=config.method != "dla"))
    mlp = replace(config, weight_decay=_JOINT_DECAY)
    linear = replace(
        config, ranker="linear", ranker_rate=None, weight_decay=None,
        min_steps=max(config.first_step, _LINEAR_STEPS),
    )  # fmt: skip
    (simple,), (flexible,) = (
        phase(f"joint, {c.kind}", c, None, is_frozen=False) for c in (linear, mlp)
    )
    is_better = explains_better(flexible.query_nll, simple.query_nll, held_out.query_clicks)
    chosen = flexible if is_better else simple
    logits = chosen.log_propensity
    last = _refit(config, data, logits)
    return _best(phase("refit", last, logits, is_frozen=True), after=(simple, flexible))


def _refit(config: TrainConfig, data: Lists, logits: jax.Array) -> TrainConfig:
    """The settings of the last fit: by weights where there are clicks enough."""
    spread = effective_clicks(data, np.asarray(logits), max_weight=config.max_weight)
    weighted = config.correction == "weights" or spread >= _WEIGHTED_CLICKS
    return replace(config, correction="weights" if weighted else "offset")


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


def explains_better(
    first: NDArray[np.float64], second: NDArray[np.float64], clicks: NDArray[np.float64]
) -> bool:
    """Whether `first` has the lower NLL per click by two standard errors, paired over queries.

    The rule of Breiman et al. (Classification and Regression Trees, 1984) for the simpler of two
    models, with the standard error of a ratio of sums.

    Args:
        first: `[Q]` sum of the NLL over the clicks of each query.
        second: `[Q]` the other model's.
        clicks: `[Q]` number of clicks.
    """
    difference, total = first - second, clicks.sum()
    mean = difference.sum() / total
    error = np.sqrt(np.sum((difference - mean * clicks) ** 2)) / total
    return bool(mean < -2 * error)


def effective_clicks(data: Lists, logits: NDArray[np.floating[Any]], *, max_weight: float) -> float:
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
