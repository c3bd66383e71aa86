"""The training configuration: every choice has a measured default."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from ultr.errors import UsageError
from ultr.model import DCN, KINDS, MLP, RankerSpec, as_spec, kind_of, spec_to_json

Method = Literal["dla", "upe", "naive", "ipw"]

_RATE = {
    "mlp": 3e-3, "linear": 1e-2, "table": 3e-2, "dcn": 3e-3, "setrank": 3e-3, "custom": 3e-3,
}  # fmt: skip
# The table ranker overfits within a few passes; it has no shared weights that come late.
_MIN_STEPS = {"table": 1}
_DECAYS = {"linear": (1e-2,), "table": (1e-2,)}

Rule = tuple[Callable[[float], bool], str]

_A_COUNT: Rule = (lambda v: v >= 1, "at least 1")
_RANGES: dict[str, Rule] = {
    "ranker_rate": (lambda v: v > 0, "a number above 0"),
    # An Adam step is about as large as its rate, and these logits are of order 1. The ranker needs
    # no bound: its loss runs away visibly, while a softmax hides propensities that do.
    "propensity_rate": (lambda v: 0 < v <= 1, "above 0, up to 1"),
    "weight_decay": (lambda v: v >= 0, "a number from 0"),
    "clip_norm": (lambda v: v > 0, "a number above 0"),
    "propensity_clip_norm": (lambda v: v > 0, "a number above 0"),
    "schedule_steps": _A_COUNT,
    "warmup_steps": (lambda v: v >= 0, "at least 0"),
    "sessions_per_batch": _A_COUNT,
    "list_size": (lambda v: v >= 2, "at least 2"),
    "max_weight": (lambda v: v >= 1, "a number from 1"),
    "strength": (lambda v: 0 <= v <= 1, "from 0 to 1"),
    "averaging": (lambda v: 0 <= v < 1, "from 0 to below 1"),
    "documents_per_batch": _A_COUNT,
    "evaluations": _A_COUNT,
    "evaluation_steps": _A_COUNT,
    "min_steps": (lambda v: v >= 0, "at least 0"),
    "patience": _A_COUNT,
    "batches_per_dispatch": _A_COUNT,
    "memory_limit": _A_COUNT,
    "checkpoint_seconds": (lambda v: v >= 0, "a number from 0"),
    "seed": (lambda v: 0 <= v < 2**32, "from 0 to below 2^32"),
}


@dataclass(frozen=True)
class TrainConfig:
    """What `ultr train` can be told.

    Args:
        method: dla learns ranker and propensities together; upe does too, and keeps what the
            logging policy knows of relevance out of the propensities (`ultr.train.upe`); naive
            takes clicks for relevance; ipw weights by the propensities given.
        correction: of DLA, `offset` (default: wins or draws in nearly every measured cell and has
            no inverse weights to explode) or `weights` (the paper's).
        ranker: mlp, linear, dcn (feature crosses), setrank (attends over the query's documents) or
            table (one score per query-document pair, needs no features); for other settings of
            theirs a mapping such as `{"kind": "setrank", "blocks": 2}`; in Python also a
            description (`ultr.SetRank(blocks=2)`) or a class that makes a Flax NNX module.
        hidden: widths of the hidden layers of the mlp and the dcn, where `ranker` is a name.
        propensities: for ipw, a Parquet file with `position, propensity`, or a truth.json.
        bias: columns of the bias context (`ultr lists --context`) that propensities may depend on,
            beside the position; None takes all that the lists have, `[]` the position alone.
        is_monotone: propensities never rise from one position to the next.
        ranker_rate: AdamW learning rate of the ranker; None takes the measured one of the ranker.
        propensity_rate: Adam learning rate of the propensity model. Much faster than the ranker's
            on purpose: at equal rates the ranker absorbs the position bias.
        weight_decay: of the ranker, decoupled from the gradient; None chooses among measured ones
            by held-out clicks.
        strength: of DLA's last fit, the share of the learned log propensities that the ranker is
            corrected by, from 0 (none) to 1; None lets held-out clicks choose where clicks are few,
            and corrects in full or nearly so where they are many (`ultr.train.phases`).
        is_refitted: for DLA with a flexible ranker, learn the propensities first, then fit the
            ranker with them held still (`ultr.train.phases` says why).
        propensity_hidden: widths of a network over one-hot positions in place of a free logit for
            each position, where the lists have no bias columns.
        optimizer: of both towers.
        schedule: how the ranker's rate goes down to 0 over `schedule_steps`; constant: it does not.
        schedule_steps: steps of the schedule, those of its warm-up among them.
        warmup_steps: over which the ranker's rate rises from 0.
        clip_norm: bound on the global norm of each tower's gradient.
        propensity_clip_norm: of the propensity model's; None takes the same.
        max_weight: bound on inverse propensities and inverse relevances.
        weighting: what a query counts for: its `session`s, `query` (all alike), or `sqrt`.
        documents_per_batch: about how many documents a step scores.
        sessions_per_batch: draw clicked sessions at random, in proportion to their number, and
            divide by the weights of the batch itself, as published code does; None takes whole
            queries.
        list_size: positions below it are left out of the lists; None keeps all.
        averaging: decay per step of the running mean of the parameters, which is what is selected
            and kept; 0 keeps the parameters themselves.
        evaluations: of the held-out click likelihood, at most.
        evaluation_steps: least number of steps between two; at least one pass over the lists.
        min_steps: before a state may be selected: held-out clicks of a few queries are too noisy
            to stop early on, and a curve that runs away at the start must not be kept; None takes
            the measured one of the ranker.
        patience: evaluations without a better one before training ends.
        seed: of parameters and order.
        features_dtype: of the features on the device: bfloat16 halves their memory and traffic, and
            keeps 8 bits of a standardised value.
        compute_dtype: of the ranker's arithmetic; parameters, losses and sums stay float32.
        is_deterministic: on a GPU, add gradients up in a fixed order, which is slower: a training
            that was stopped and resumed then ends bit-identical, as it does on a CPU anyway.
        batches_per_dispatch: how long the device works on its own; between two dispatches are
            progress and checkpoints.
        memory_limit: bytes that lists and features may take while training; a lake above it is
            trained on in groups of buckets, one loaded while the device works on the other. What
            was read once is kept on the run's disk while it trains, in a file without a name, where
            that takes at most half of the free space. None is half of the memory that the machine,
            or the container, has.
        checkpoint_seconds: between two checkpoints, at least; changes nothing in the result.
    """

    method: Method = "dla"
    correction: Literal["offset", "weights"] = "offset"
    ranker: str | dict[str, Any] | RankerSpec = "mlp"
    hidden: tuple[int, ...] = (64, 32)
    propensities: Path | None = None
    bias: tuple[str, ...] | None = None
    is_monotone: bool = False
    ranker_rate: float | None = None
    propensity_rate: float = 3e-2
    weight_decay: float | None = None
    strength: float | None = None
    is_refitted: bool = True
    propensity_hidden: tuple[int, ...] | None = None
    optimizer: Literal["adam", "adagrad"] = "adam"
    schedule: Literal["constant", "cosine", "linear"] = "constant"
    schedule_steps: int = 1000
    warmup_steps: int = 0
    clip_norm: float = 5.0
    propensity_clip_norm: float | None = None
    max_weight: float = 100.0
    weighting: Literal["session", "query", "sqrt"] = "session"
    documents_per_batch: int = 1024
    sessions_per_batch: int | None = None
    list_size: int | None = None
    averaging: float = 0.95
    evaluations: int = 60
    evaluation_steps: int = 16
    min_steps: int | None = None
    patience: int = 6
    seed: int = 0
    features_dtype: Literal["float32", "bfloat16"] = "float32"
    compute_dtype: Literal["float32", "bfloat16"] = "float32"
    is_deterministic: bool = False
    batches_per_dispatch: int = 1024
    memory_limit: int | None = None
    checkpoint_seconds: float = 30.0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UsageError: a value out of its range, or a combination that means nothing.
        """
        for name, (is_in_range, rule) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and is_in_range(value)):
                raise _out_of_range(name, rule, value)
        object.__setattr__(self, "ranker", self._normalised())
        for name in ("hidden", "propensity_hidden"):
            if not all(width >= 1 for width in getattr(self, name) or ()):
                raise _out_of_range(name, "widths of at least 1", list(getattr(self, name)))
        if self.method == "upe" and self.ranker_spec().reads != "features":
            raise UsageError(
                "upe learns the logging policy from features",
                got=f"the ranker {self.kind}, which reads none",
                hint="use --method dla, or a ranker on features",
            )
        if self.warmup_steps >= self.schedule_steps:
            raise _out_of_range("warmup_steps", "less than schedule_steps", self.warmup_steps)
        if (self.method == "ipw") != (self.propensities is not None):
            raise UsageError(
                "propensities go with the method ipw, and ipw needs them",
                got=f"method={self.method}, propensities={self.propensities}",
                hint="ultr train --method ipw --propensities truth.json",
            )

    def _normalised(self) -> str | RankerSpec:
        """One way to say each ranker, so that equal settings are equal."""
        spec = as_spec(self.ranker)
        if isinstance(self.ranker, str):
            return self.ranker
        if isinstance(spec, MLP | DCN):
            object.__setattr__(self, "hidden", spec.hidden)
        kind = kind_of(spec)
        is_default = kind in KINDS and spec == _spec(kind, self.hidden)
        return kind if is_default else spec

    @property
    def kind(self) -> str:
        """The name of the ranker; `custom` for one of the user's own."""
        return kind_of(self.ranker_spec())

    @property
    def is_flexible(self) -> bool:
        """Whether the ranker reads features and is more than a weighted sum of them."""
        return self.ranker_spec().reads == "features" and self.kind != "linear"

    @property
    def drawn_sessions(self) -> int | None:
        """Sessions between two evaluations where they are drawn at random."""
        size = self.sessions_per_batch
        return None if size is None else size * self.evaluation_steps

    @property
    def rate(self) -> float:
        """The ranker's learning rate."""
        return _RATE[self.kind] if self.ranker_rate is None else self.ranker_rate

    @property
    def decays(self) -> tuple[float, ...]:
        """The ranker's weight decay, or those to choose among."""
        chosen = _DECAYS.get(self.kind, (3.0, 10.0))
        return chosen if self.weight_decay is None else (self.weight_decay,)

    @property
    def first_step(self) -> int:
        """Steps before a state may be selected."""
        return _MIN_STEPS.get(self.kind, 160) if self.min_steps is None else self.min_steps

    def ranker_spec(self) -> RankerSpec:
        """The ranker that `ranker` and `hidden` describe."""
        return _spec(self.ranker, self.hidden)

    def to_json(self) -> dict[str, Any]:
        """The settings as `config.json` keeps them.

        Returns:
            Field -> value; a ranker of one's own by name only.
        """
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        if not isinstance(self.ranker, str):
            values["ranker"] = spec_to_json(self.ranker_spec())
        return {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}


def _spec(ranker: object, hidden: tuple[int, ...]) -> RankerSpec:
    if ranker in ("mlp", "dcn"):
        return as_spec({"kind": ranker, "hidden": hidden})
    return as_spec(ranker)


def _out_of_range(name: str, rule: str, value: object) -> UsageError:
    return UsageError(f"{name} must be {rule}", got=repr(value), hint="change the value")
