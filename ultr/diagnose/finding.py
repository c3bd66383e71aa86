"""A finding: what was measured on a log, what it means, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Severity = Literal["ok", "note", "warning", "problem"]
"""`ok`: as it should be; `note`: worth knowing, or not measurable here; `warning`: results may be
off; `problem`: results will be wrong unless something is done."""

SEVERITIES: tuple[Severity, ...] = get_args(Severity)

Number = float | int | str | None


@dataclass(frozen=True)
class Finding:
    """One thing that a diagnosis found.

    Args:
        name: snake case, the same in every diagnosis.
        severity: how much it matters.
        meaning: one sentence, for somebody who knows search and not this literature.
        advice: what to do, empty where nothing is to be done.
        numbers: name -> what was measured.
    """

    name: str
    severity: Severity
    meaning: str
    advice: str = ""
    numbers: Mapping[str, Number] = field(default_factory=dict)


def worst(findings: Iterable[Finding]) -> Severity:
    """The greatest severity among findings, `ok` without any.

    Example:
        >>> worst([Finding("a", "ok", "fine"), Finding("b", "note", "well")])
        'note'
    """
    return max((f.severity for f in findings), key=SEVERITIES.index, default="ok")


def missing(name: str, meaning: str, *, advice: str) -> Finding:
    """A note that something could not be measured, and what it needs."""
    return Finding(name, "note", f"Not measured: {meaning}", advice)
