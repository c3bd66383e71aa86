"""Which features a lake is to have, and how they are made."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from ultr.errors import UsageError
from ultr.etl.feature_groups import BEHAVIOUR, FILE, GROUPS, LEXICAL, LOG
from ultr.transform import KINDS

TimePeriod = Literal["auto", "day", "week"]
ListsPeriod = Literal["auto", "day", "week", "source", "all"]
Field = Literal["title", "text"]

DEFAULT = "default"
"""As a transform: the group's own choice again."""


@dataclass(frozen=True)
class LexicalConfig:
    """How queries and documents are compared as texts.

    Args:
        fields: columns of `documents`; with several there is also the whole document.
        k1: BM25, how soon repeated terms stop counting.
        b: BM25, how much a long document is discounted, 0 to 1.
        jm_lambda: share of the collection in Jelinek-Mercer smoothing (0.1 suits short queries).
        dirichlet_mu: terms of the collection that Dirichlet smoothing adds to a document.
        absolute_delta: what absolute discounting takes from each term, 0 to 1.
    """

    fields: tuple[Field, ...] = ("title", "text")
    k1: float = 1.2
    b: float = 0.75
    jm_lambda: float = 0.1
    dirichlet_mu: float = 2000.0
    absolute_delta: float = 0.7

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: no field or one twice, or a parameter out of its range.
        """
        if not self.fields or len(set(self.fields)) < len(self.fields):
            raise UsageError(
                "lexical fields are title, text or both, once",
                got=", ".join(self.fields) or "none",
                hint="for example --set lexical.fields='[\"title\"]'",
            )
        ranges = {
            "k1": self.k1 >= 0,
            "b": 0 <= self.b <= 1,
            "jm_lambda": 0 < self.jm_lambda < 1,
            "dirichlet_mu": self.dirichlet_mu > 0,
            "absolute_delta": 0 < self.absolute_delta <= 1,
        }
        for name, is_right in ranges.items():
            if not is_right:
                raise UsageError(
                    "k1 is at least 0, b from 0 to 1, dirichlet_mu above 0, jm_lambda between 0 "
                    "and 1, absolute_delta above 0 and at most 1",
                    got=f"{name}={getattr(self, name)}",
                    hint="leave it out for the usual value",
                )


@dataclass(frozen=True)
class BehaviourConfig:
    """How behaviour of the past is counted.

    Args:
        prior: impressions at the log's own past CTR that are added before a CTR is taken, so that
            one click on one impression is not a CTR of 1.
    """

    prior: float = 20.0

    def __post_init__(self) -> None:
        """Check the value.

        Raises:
            UsageError: a prior that is not positive.
        """
        if not self.prior > 0:
            raise UsageError(
                "behaviour.prior is a positive number of impressions",
                got=str(self.prior),
                hint="leave it out",
            )


@dataclass(frozen=True)
class FeaturesConfig:
    """Which groups are made, replaced and removed; the others stay as they are.

    Args:
        source: a file of features: the group `file`.
        lexical: compare texts: the group `lexical`.
        behaviour: count the past: the group `behaviour`.
        log: values that stand in the log: the group `log`.
        refresh: make the groups again that come from the log, as they were made before.
        remove: groups to take out.
        transforms: group, feature or dotted beginning of features -> transform, or `default`.
        period: `day` or `week` (UTC), for features that depend on time; `auto` is what they have,
            else day.
        min_match: least share of the log's (query, document) pairs that must have features of a
            file, or texts.
        allow_missing: take NaN and null of a file as missing (the mean, after the transform).
        memory_gib: what DuckDB may hold before it spills to the lake's disk.
    """

    source: Path | None = None
    lexical: LexicalConfig | None = None
    behaviour: BehaviourConfig | None = None
    log: bool = False
    refresh: bool = False
    remove: tuple[str, ...] = ()
    transforms: dict[str, str] = field(default_factory=dict)
    period: TimePeriod = "auto"
    min_match: float = 0.5
    allow_missing: bool = False
    memory_gib: float = 1.0

    def __post_init__(self) -> None:
        """Check the combination.

        Raises:
            UsageError: nothing to do, an unknown group or transform, or a value out of its range.
        """
        if not 0 <= self.min_match <= 1:
            raise UsageError("min_match is a share", got=str(self.min_match), hint="give 0 to 1")
        if not (self.made or self.refresh or self.remove or self.transforms):
            raise UsageError(
                "features come from a file, from texts, from the past or from the log",
                got="none of them",
                hint="give --from FILE, --lexical, --behaviour, --log, --refresh, --remove GROUP "
                "or --transform GROUP=KIND",
            )
        unknown = [g for g in self.remove if g not in GROUPS]
        if unknown or set(self.remove) & set(self.made):
            raise UsageError(
                f"groups of features are {', '.join(GROUPS)}, and are made or removed",
                got=f"--remove {', '.join(self.remove)}",
                hint="name another one",
            )
        for key, kind in self.transforms.items():
            if kind not in (*KINDS, DEFAULT):
                raise UsageError(
                    f"a transform is one of {', '.join((*KINDS, DEFAULT))}",
                    got=f"{key}={kind}",
                    hint="for example --transform lexical.tf=log1p",
                )

    @property
    def made(self) -> tuple[str, ...]:
        """The groups that are asked for."""
        asked = {
            FILE: self.source is not None,
            LOG: self.log,
            LEXICAL: self.lexical is not None,
            BEHAVIOUR: self.behaviour is not None,
        }
        return tuple(g for g in GROUPS if asked[g])
