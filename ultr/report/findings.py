"""What the numbers of a comparison say, in words that follow them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FOUND = 0.05
"""Propensity RMSE up to which a curve counts as found."""

GAP = 0.005
"""Least nDCG@10 between naive and skyline of which a share is worth telling."""


@dataclass(frozen=True)
class Method:
    """A trained method and how good it turned out.

    Args:
        name: dla, naive or ipw.
        label: its name for people.
        metrics: what `evaluate` returns, such as `ndcg@10`.
        propensities: `[K]` examination of ranks 1 to K relative to rank 1, as the method has it.
        training: what training returns, such as `best_epoch`.
        difference: (mean, low, high) of nDCG@10 over naive on the same queries, with a 95%
            interval; None for naive itself.
    """

    name: str
    label: str
    metrics: Mapping[str, Any]
    propensities: tuple[float, ...]
    training: Mapping[str, Any] = field(default_factory=dict)
    difference: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Findings:
    """DLA against naive, the skyline and the planted truth.

    Args:
        truth: `[K]` planted examination relative to rank 1.
        naive: clicks taken for relevance.
        dla: learned from clicks alone.
        ipw: told the truth.
        seen_at_several: share of the shown (query, document) pairs seen at more than one rank.
    """

    truth: tuple[float, ...]
    naive: Method
    dla: Method
    ipw: Method
    seen_at_several: float

    @property
    def methods(self) -> tuple[Method, ...]:
        """From naive to the skyline."""
        return (self.naive, self.dla, self.ipw)

    @property
    def rmse(self) -> float:
        """Of DLA's curve against the truth, over all ranks."""
        return rmse(self.dla.propensities, self.truth)

    @property
    def rmse_without(self) -> float:
        """Of the assumption that all ranks are looked at alike."""
        return rmse([1.0] * len(self.truth), self.truth)

    @property
    def bias(self) -> str:
        """Whether the curve was `found`, found `partly`, `missed`, or there was `none` to find."""
        if self.rmse_without <= FOUND:
            return "none" if self.rmse <= FOUND else "missed"
        if self.rmse <= FOUND:
            return "found"
        return "partly" if self.rmse < self.rmse_without / 2 else "missed"

    @property
    def ranking(self) -> str:
        """Whether DLA ranks `better` than naive, `worse`, or the `same` within the interval."""
        _, low, high = self.dla.difference or (0.0, 0.0, 0.0)
        return "better" if low > 0 else "worse" if high < 0 else "same"

    def headline(self) -> str:
        """One sentence for somebody who reads no further."""
        then = {
            "better": "correcting for it made the ranking better",
            "same": "correcting for it left the ranking as good as before",
            "worse": "yet the corrected ranking is worse",
        }[self.ranking]
        return {
            "found": f"Position bias was found, and {then}.",
            "partly": f"Position bias was found in part, and {then}.",
            "missed": f"Position bias was not estimated correctly, and {then}.",
            "none": f"There was next to no position bias to find, and {then}.",
        }[self.bias].replace("and yet", "yet")

    def explanation(self) -> list[str]:
        """Paragraphs with the numbers behind the headline."""
        return [self._about_bias(), self._about_ranking()]

    def _about_bias(self) -> str:
        k = len(self.truth)
        told = {
            "found": "That is right",
            "partly": "That is only roughly right",
            "missed": "That is wrong",
            "none": "That is right",
        }[self.bias]
        return (
            f"From clicks alone, DLA estimated that rank {k} is looked at "
            f"{self.dla.propensities[-1]:.2f} times as often as rank 1. {told}: the simulation "
            f"planted {self.truth[-1]:.2f}, and over all {k} ranks the estimate is off by "
            f"{self.rmse:.3f} (root mean square), against {self.rmse_without:.3f} if every rank "
            "were looked at alike."
        )

    def _about_ranking(self) -> str:
        naive, dla, ipw = (m.metrics["ndcg@10"] for m in self.methods)
        mean, low, high = self.dla.difference or (0.0, 0.0, 0.0)
        n = self.dla.metrics["n_queries"]
        words = (
            f"On {n:,} queries kept aside, DLA ranks at nDCG@10 {dla:.3f}; taking clicks for "
            f"relevance gives {naive:.3f}. The difference is {mean:+.3f} "
            f"(95% interval {low:+.3f} to {high:+.3f}), {self._verdict()}"
        )
        gap = ipw - naive
        if gap > GAP:
            share = (dla - naive) / gap
            closed = "all" if share >= 1 else f"{max(share, 0):.0%}"
            return words + (
                f" Told the true propensities, the same ranker reaches {ipw:.3f}: DLA closes "
                f"{closed} of that gap without being told."
            )
        words += f" Even told the true propensities, the same ranker reaches {ipw:.3f}."
        return words + self._why_no_gap()

    def _verdict(self) -> str:
        return {
            "better": "a real gain.",
            "same": "too little to tell from none.",
            "worse": "a real loss.",
        }[self.ranking]

    def _why_no_gap(self) -> str:
        if self.seen_at_several < 0.5:
            return " There is next to nothing to gain on this log."
        return (
            f" A likely reason is the log itself: {self.seen_at_several:.0%} of its query-document "
            "pairs were shown at more than one rank, which identifies the curve and at the same "
            "time averages much of the bias out of the clicks. A log with one fixed order per "
            "query does not do that."
        )


def rmse(estimate: Sequence[float], truth: Sequence[float]) -> float:
    """Root mean squared error of propensities over the ranks that both have.

    Example:
        >>> rmse([1.0, 0.5], [1.0, 0.5])
        0.0
    """
    k = min(len(estimate), len(truth))
    error = np.asarray(estimate[:k], np.float64) - np.asarray(truth[:k], np.float64)
    return float(np.sqrt(np.mean(error**2)))
