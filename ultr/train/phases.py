"""DLA in two phases: learn the propensities jointly, then the ranker with them held still.

What is best for the ranker is not best for the propensities. Strong weight decay lifts nDCG@10 by
.01 to .03, but a ranker held that small leaves relevance for the propensity model to explain: on
the generated set with a deterministic logger the propensity error rose from .03 to .08 and nDCG@10
fell from .91 to .82. And a flexible ranker takes position bias for relevance where a log of few
queries does not tell them apart: on MQ2008 the error was .07 to .13 with an MLP, .03 with a linear
ranker. So both learn beside a propensity model of their own, the held-out click likelihood says
which pair explains unseen queries better, and the ranker is then fitted once more, with those
propensities and its full weight decay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import jax

from ultr.data import Lists
from ultr.train.config import TrainConfig
from ultr.train.loop import Fitted, train


def train_method(
    data: Lists,
    held_out: Lists,
    *,
    config: TrainConfig,
    sessions: int,
    log_propensity: jax.Array | None,
    on_epoch: Callable[[dict[str, Any]], None],
) -> Fitted:
    """Train as the configuration says: DLA with an MLP in two phases, all else in one.

    Args:
        data: the training split.
        held_out: the validation split.
        config: the settings.
        sessions: that the training split stands for.
        log_propensity: `[P]` given log propensities, for ipw.
        on_epoch: receives one line of measurements per evaluation, `phase` among them.

    Returns:
        The last phase; its times are the sums over all phases.
    """

    def phase(name: str, chosen: TrainConfig, given: jax.Array | None, *, frozen: bool) -> Fitted:
        return train(
            data,
            held_out,
            spec=chosen.ranker_spec(),
            config=chosen,
            sessions=sessions,
            log_propensity=given,
            is_frozen=frozen,
            on_epoch=lambda line: on_epoch({"phase": name, **line}),
        )

    if not (config.method == "dla" and config.ranker == "mlp" and config.is_refitted):
        return phase(config.method, config, log_propensity, frozen=config.method != "dla")
    rankers: tuple[Literal["linear", "mlp"], ...] = ("linear", "mlp")
    joint = [
        phase(
            f"joint, {ranker}",
            replace(
                config, ranker=ranker, ranker_rate=None, weight_decay=config.joint_decay(ranker)
            ),
            None,
            frozen=False,
        )
        for ranker in rankers
    ]
    chosen = min(joint, key=lambda fitted: fitted.click_nll_listwise)
    logits = chosen.params.propensity["logits"][...]
    last = phase("refit", config, logits, frozen=True)
    phases = [*joint, last]
    return replace(
        last,
        seconds=sum(p.seconds for p in phases),
        compile_seconds=sum(p.compile_seconds for p in phases),
        steps_seconds=sum(p.steps_seconds for p in phases),
        epochs=sum(p.epochs for p in phases),
        best_epoch=sum(p.epochs for p in joint) + last.best_epoch,
    )
