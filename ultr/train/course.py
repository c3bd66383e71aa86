"""Where a training is: its position in the data, and what its decisions depend on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from ultr.errors import DataError
from ultr.train.step import State, Towers

Floats = NDArray[np.float64]


class Kept(NamedTuple):
    """The arrays of a checkpoint.

    Attributes:
        state: the last.
        best: parameters of the best state so far.
        best_nll: `[Q]` sum over the clicks of each held-out query, of the best state.
    """

    state: State
    best: Towers
    best_nll: Floats


@dataclass
class Course:
    """Where a training is; JSON.

    Args:
        evaluation: the one that is worked towards, from 1.
        epoch: that is passed over, from 1.
        segment: of its segments that are done.
        batches: of its batches that are done.
        first: evaluation from which on a state may be selected, 0 while none may.
        best_evaluation: of the best state so far, 0 for none.
        best_click_nll: its held-out listwise click NLL.
        sums: of each measurement over the batches since the last evaluation.
        interval_s: wall time of these batches, in seconds.
        took: of each evaluation, seconds of its batches and of itself.
        seconds: wall time of all before this process.
        is_finished: nothing is left to do.
    """

    evaluation: int = 1
    epoch: int = 1
    segment: int = 0
    batches: int = 0
    first: int = 0
    best_evaluation: int = 0
    best_click_nll: float = math.inf
    sums: dict[str, float] = field(default_factory=dict)
    interval_s: float = 0.0
    took: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0
    is_finished: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object; floats come back exactly."""
        return asdict(self)

    def add(self, measured: dict[str, jax.Array]) -> None:
        """Add the measurements of a segment's batches, `[B]` each.

        Raises:
            DataError: a loss that is not a number, naming the step.
        """
        values = {k: np.asarray(v, np.float64) for k, v in measured.items()}
        bad = np.flatnonzero(~np.isfinite(values["rank"]))
        if len(bad):
            raise not_finite(f"step {self.batches + int(bad[0]) + 1} of epoch {self.epoch}")
        values["steps"] = (values["clicks"] > 0).astype(np.float64)
        self.batches += int(values["steps"].sum())  # a plan ends with empty ones
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value.sum())

    def next_epoch(self) -> None:
        """The epoch is passed over."""
        self.epoch, self.segment, self.batches = self.epoch + 1, 0, 0

    def next_evaluation(self, *, evaluation_s: float) -> None:
        """The evaluation is done."""
        self.took.append((self.interval_s, evaluation_s))
        self.evaluation, self.sums, self.interval_s = self.evaluation + 1, {}, 0.0

    def usual_s(self) -> tuple[float, float]:
        """Seconds that the batches between two evaluations take, and an evaluation."""
        if not self.took:
            return 0.0, 0.0
        # The first one compiles.
        batches, evaluation = np.median(np.asarray(self.took[1:] or self.took), axis=0)
        return float(batches), float(evaluation)

    def compile_s(self) -> float:
        """What the first epoch and the first evaluation took over what later ones take."""
        if len(self.took) < 2:
            return 0.0
        return max(0.0, sum(self.took[0]) - sum(self.usual_s()))

    def measurements(self) -> dict[str, float]:
        """What is told of the batches since the last evaluation."""
        sums = self.sums
        steps = max(1.0, sums["steps"])
        return {
            "rank_loss": _ratio(sums["rank"], sums["rank_weight"]),
            "propensity_loss": _ratio(sums["propensity"], sums["propensity_weight"]),
            "clipped_share": _ratio(sums["clipped"], sums["clicks"]),
            "effective_sample_size": _ratio(sums["rank_weight"] ** 2, sums["rank_weight_sq"]),
            "gradient_norm_ranker": sums["gradient_norm_ranker"] / steps,
            "gradient_norm_propensity": sums["gradient_norm_propensity"] / steps,
            "steps": int(sums["steps"]),
            "documents": int(sums["documents"]),
        }


def not_finite(where: str) -> DataError:
    """A loss that is no number."""
    return DataError(
        "the loss must stay a finite number",
        got=f"NaN or infinity at {where}",
        hint="lower ranker_rate (--set ranker_rate=0.001), or look for wild feature values",
    )


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else 0.0
