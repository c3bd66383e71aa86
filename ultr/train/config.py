"""The training configuration: every choice has a measured default."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ultr.errors import UsageError
from ultr.model import MLP, Linear, RankerSpec, TableRanker

Method = Literal["dla", "naive", "ipw"]

_RATE = {"mlp": 3e-3, "linear": 1e-2, "table": 3e-2}
# The table ranker overfits within a few passes; it has no shared weights that come late.
_MIN_STEPS = {"mlp": 160, "linear": 160, "table": 1}
_DECAYS = {"mlp": (3.0, 10.0), "linear": (1e-2,), "table": (1e-2,)}

Rule = tuple[Callable[[float], bool], str]

_A_COUNT: Rule = (lambda v: v >= 1, "at least 1")
_RANGES: dict[str, Rule] = {
    "ranker_rate": (lambda v: v > 0, "a number above 0"),
    # An Adam step is about as large as its rate, and these logits are of order 1. The ranker needs
    # no bound: its loss runs away visibly, while a softmax hides propensities that do.
    "propensity_rate": (lambda v: 0 < v <= 1, "above 0, up to 1"),
    "weight_decay": (lambda v: v >= 0, "a number from 0"),
    "clip_norm": (lambda v: v > 0, "a number above 0"),
    "max_weight": (lambda v: v >= 1, "a number from 1"),
    "strength": (lambda v: 0 <= v <= 1, "from 0 to 1"),
    "averaging": (lambda v: 0 <= v < 1, "from 0 to below 1"),
    "documents_per_batch": _A_COUNT,
    "evaluations": _A_COUNT,
    "evaluation_steps": _A_COUNT,
    "min_steps": (lambda v: v >= 0, "at least 0"),
    "patience": _A_COUNT,
    "seed": (lambda v: 0 <= v < 2**32, "from 0 to below 2^32"),
}


@dataclass(frozen=True)
class TrainConfig:
    """What `ultr train` can be told.

    Args:
        method: dla learns ranker and propensities together; naive takes clicks for relevance; ipw
            weights by the propensities given.
        correction: of DLA, `offset` (default: wins or draws in nearly every measured cell and has
            no inverse weights to explode) or `weights` (the paper's).
        ranker: mlp, linear, or table (one score per query-document pair, needs no features).
        hidden: widths of the MLP's hidden layers.
        propensities: for ipw, a Parquet file with `position, propensity`, or a truth.json.
        ranker_rate: AdamW learning rate of the ranker; None takes the measured one of the ranker.
        propensity_rate: Adam learning rate of the propensity model. Much faster than the ranker's
            on purpose: at equal rates the ranker absorbs the position bias.
        weight_decay: of the ranker, decoupled from the gradient; None chooses among measured ones
            by held-out clicks.
        strength: of DLA's last fit, the share of the learned log propensities that the ranker is
            corrected by, from 0 (none) to 1; None lets it grow with the effective clicks.
        is_refitted: for DLA with an MLP, learn the propensities jointly first, then fit the ranker
            with them held still (`ultr.train.phases` says why).
        clip_norm: bound on the global norm of each tower's gradient.
        max_weight: bound on inverse propensities and inverse relevances.
        weighting: what a query counts for: its `session`s, `query` (all alike), or `sqrt`.
        documents_per_batch: about how many documents a step scores.
        averaging: decay per step of the running mean of the parameters, which is what is selected
            and kept; 0 keeps the parameters themselves.
        evaluations: of the held-out click likelihood, at most.
        evaluation_steps: least number of steps between two; at least one pass over the lists.
        min_steps: before a state may be selected: held-out clicks of a few queries are too noisy
            to stop early on, and a curve that runs away at the start must not be kept; None takes
            the measured one of the ranker.
        patience: evaluations without a better one before training ends.
        seed: of parameters and order.
    """

    method: Method = "dla"
    correction: Literal["offset", "weights"] = "offset"
    ranker: Literal["mlp", "linear", "table"] = "mlp"
    hidden: tuple[int, ...] = (64, 32)
    propensities: Path | None = None
    ranker_rate: float | None = None
    propensity_rate: float = 3e-2
    weight_decay: float | None = None
    strength: float | None = None
    is_refitted: bool = True
    clip_norm: float = 5.0
    max_weight: float = 100.0
    weighting: Literal["session", "query", "sqrt"] = "session"
    documents_per_batch: int = 1024
    averaging: float = 0.95
    evaluations: int = 60
    evaluation_steps: int = 16
    min_steps: int | None = None
    patience: int = 6
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UsageError: a value out of its range, or a combination that means nothing.
        """
        for name, (is_in_range, rule) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and is_in_range(value)):
                raise _out_of_range(name, rule, value)
        if self.ranker == "mlp" and not all(width >= 1 for width in self.hidden):
            raise _out_of_range("hidden", "widths of at least 1", list(self.hidden))
        if (self.method == "ipw") != (self.propensities is not None):
            raise UsageError(
                "propensities go with the method ipw, and ipw needs them",
                got=f"method={self.method}, propensities={self.propensities}",
                hint="ultr train --method ipw --propensities truth.json",
            )

    @property
    def rate(self) -> float:
        """The ranker's learning rate."""
        return _RATE[self.ranker] if self.ranker_rate is None else self.ranker_rate

    @property
    def decays(self) -> tuple[float, ...]:
        """The ranker's weight decay, or those to choose among."""
        return _DECAYS[self.ranker] if self.weight_decay is None else (self.weight_decay,)

    @property
    def first_step(self) -> int:
        """Steps before a state may be selected."""
        return _MIN_STEPS[self.ranker] if self.min_steps is None else self.min_steps

    def ranker_spec(self) -> RankerSpec:
        """The ranker that `ranker` and `hidden` describe."""
        match self.ranker:
            case "mlp":
                return MLP(self.hidden)
            case "linear":
                return Linear()
            case "table":
                return TableRanker()


def _out_of_range(name: str, rule: str, value: object) -> UsageError:
    return UsageError(f"{name} must be {rule}", got=repr(value), hint="change the value")
