"""What a diagnosis returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ultr.diagnose.bootstrap import Curve
from ultr.diagnose.finding import Finding, Number, Severity, worst
from ultr.diagnose.graph import Graph

State = Literal["swaps", "features only", "none", "unknown"]
"""What identifies the curve: documents seen at several ranks; only that ranks share the kind of
document; nothing; or it could not be looked at."""


@dataclass(frozen=True)
class Curves:
    """Curves by rank, by name.

    Args:
        ctr: click-through rate relative to that of the first rank; None without clicks.
        estimates: `pivot`, `adjacent`, `all_pairs`, `randomised`: examination.
        drift: `ctr`, `all_pairs` -> window -> curve.
    """

    ctr: Curve | None = None
    estimates: Mapping[str, Curve] = field(default_factory=dict)
    drift: Mapping[str, Mapping[str, Curve]] = field(default_factory=dict)


@dataclass(frozen=True)
class Diagnosis:
    """A log's diagnosis.

    Args:
        state: what identifies the curve.
        findings: in the order in which they are to be read.
        curves: by rank.
        graph: positions × contexts and what connects them.
        auc: (k, k') -> AUC of telling rank k from k' by features.
        shown: position -> (impressions, clicks).
    """

    state: State
    findings: tuple[Finding, ...]
    curves: Curves = Curves()
    graph: Graph = field(default_factory=lambda: Graph((), ()))
    auc: Mapping[tuple[int, int], float] = field(default_factory=dict)
    shown: Mapping[int, tuple[int, int]] = field(default_factory=dict)

    @property
    def severity(self) -> Severity:
        """The greatest severity among the findings."""
        return worst(self.findings)

    def finding(self, name: str) -> Finding:
        """The finding of a name.

        Raises:
            KeyError: no such finding.
        """
        found = next((f for f in self.findings if f.name == name), None)
        if found is None:
            raise KeyError(name)
        return found

    def flat(self) -> dict[str, Number]:
        """One flat mapping for machines.

        Returns:
            `state`, `severity`, `<finding>.severity`, `<finding>.<number>`, `ctr@<rank>`,
            `<curve>@<rank>`, `<curve>@<rank>_low` and `<curve>@<rank>_high`.
        """
        out: dict[str, Number] = {"state": self.state, "severity": self.severity}
        for f in self.findings:
            out[f"{f.name}.severity"] = f.severity
            out |= {f"{f.name}.{name}": value for name, value in f.numbers.items()}
        curves = {"ctr_relative": self.curves.ctr} if self.curves.ctr else {}
        for name, curve in (curves | dict(self.curves.estimates)).items():
            for k in curve.known.tolist():
                values = (curve.propensity[k - 1], curve.low[k - 1], curve.high[k - 1])
                names = (f"{name}@{k}", f"{name}@{k}_low", f"{name}@{k}_high")
                out |= {n: _rounded(v) for n, v in zip(names, values, strict=True)}
        for k, (impressions, clicks) in self.shown.items():
            out[f"ctr@{k}"] = round(clicks / impressions, 6) if impressions else None
        return out


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def at(curve: Curve, position: int) -> str:
    """A rank's value for people, with its interval.

    Example:
        >>> one = np.array([1.0])
        >>> at(Curve(one, one, one, one), 1)
        '1.00 (1.00 to 1.00)'
    """
    k = position - 1
    value, low, high = (float(v[k]) for v in (curve.propensity, curve.low, curve.high))
    if np.isnan(value):
        return "unknown"
    return f"{value:.2f}" if np.isnan(low) else f"{value:.2f} ({low:.2f} to {high:.2f})"
