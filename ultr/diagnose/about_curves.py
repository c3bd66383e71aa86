"""Findings about examination by rank: click rates, harvesting, randomisation, drift, weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ultr.diagnose.about_log import percent
from ultr.diagnose.bootstrap import FEW_QUERIES, Curve, with_data
from ultr.diagnose.counts import Counts
from ultr.diagnose.drift import Z, greatest_change
from ultr.diagnose.finding import Finding, Severity, missing
from ultr.diagnose.randomised import MOST_ERROR, Fixed
from ultr.diagnose.randomised import Z as Z_SHUFFLED
from ultr.diagnose.result import State, at
from ultr.diagnose.weights import MAX_WEIGHT, effective_sample_size

_USE = "ultr train --method ipw --propensities DIR/propensities_{name}.parquet (with --out DIR)"


def about_ctr(counts: Counts, ctr: Curve) -> Finding:
    """The click-through rate by rank."""
    n, clicks = counts.by_position.T
    shown = np.flatnonzero(n) + 1
    with np.errstate(invalid="ignore"):
        rate = clicks / n
    first, last = int(shown[0]), int(shown[-1])
    words = (
        f"The click-through rate is {rate[first - 1]:.3f} at rank {first} and "
        f"{rate[last - 1]:.3f} at rank {last}; it mixes how often a rank is looked at with how "
        "relevant its documents are."
    )
    rises = [k for k in shown[1:].tolist() if ctr.low[k - 1] > 1 and k > 1]
    advice = ""
    if rises:
        advice = (
            f"ranks {', '.join(map(str, rises))} are clicked more often than rank {first}: check "
            "that positions count from the top, and what stands at rank 1"
        )
    return Finding(
        "ctr_by_position", "note" if rises else "ok", words, advice, {"positions": len(shown)}
    )


def about_harvesting(curve: Curve, ctr: Curve, state: State, counts: Counts) -> Finding:
    """The curve from documents seen at several ranks."""
    known = curve.known
    shown = np.flatnonzero(counts.by_position[:, 0]) + 1
    if len(known) < 2:
        return missing(
            "harvesting",
            "no document with clicks was seen at the first rank and at another one.",
            advice="swap neighbouring results at random on a small share of the pages",
        )
    last = int(known[-1])
    left_out = sorted(set(shown.tolist()) - set(known.tolist()))
    queries = with_data(counts.swaps)
    words = (
        f"From documents seen at several ranks, rank {last} is looked at "
        f"{at(curve, last)} times as often as rank {known[0]}; click rates alone would say "
        f"{ctr.propensity[last - 1]:.2f}."
    )
    numbers = {"ranks": len(known), "queries_or_groups": queries}
    if queries < FEW_QUERIES:
        words += f" Fewer than {FEW_QUERIES} queries have such documents: no interval is given."
    if left_out:
        advice = (
            f"ranks {', '.join(map(str, left_out))} stay unknown: leave them out of the log's "
            "pages, or swap results there, before inverse weighting"
        )
        return Finding("harvesting", "warning", words, advice, numbers)
    if state != "swaps" or queries < FEW_QUERIES:
        advice = "collect more swaps before this curve is used as inverse weights"
        return Finding("harvesting", "warning", words, advice, numbers)
    return Finding("harvesting", "ok", words, _USE.format(name="all_pairs"), numbers)


def about_randomisation(curve: Curve | None, fixed: Fixed | None, *, is_told: bool) -> Finding:
    """Whether pages are shuffled, and the curve if they are."""
    numbers = {} if fixed is None else {"rank_correlation": round(fixed.correlation, 5)}
    if curve is None and (fixed is None or fixed.error > MOST_ERROR):
        return missing(
            "randomisation",
            "too few documents were shown twice to see whether pages are shuffled.",
            advice="add --randomised if you know that they are",
        )
    keep = "" if fixed is None else f"{fixed.correlation:.2g} (0: shuffled, 1: nothing ever moves)"
    if curve is None:
        words = f"The pages are not shuffled: two looks at a document correlate in rank by {keep}."
        return Finding("randomisation", "ok", words, "", numbers)
    last = int(curve.known[-1])
    looks = "The pages are taken for shuffled" if is_told else "The pages look uniformly shuffled"
    words = (
        f"{looks}, so click rates are examination: rank {last} is looked at {at(curve, last)} "
        f"times as often as rank {curve.known[0]}."
    )
    if is_told and fixed is not None and fixed.correlation > Z_SHUFFLED * fixed.error:
        words += f" But two looks at a document correlate in rank by {keep}."
        advice = "leave --randomised out, or give only the part of the log that is shuffled"
        return Finding("randomisation", "problem", words, advice, numbers)
    return Finding("randomisation", "ok", words, _USE.format(name="randomised"), numbers)


def about_drift(drift: Mapping[str, Mapping[str, Curve]], windows: int) -> Finding:
    """Whether the curves change over time."""
    if windows < 2:
        return missing(
            "drift",
            "the lake keeps all pages as one period.",
            advice="if the log has times: ultr lists --lake LAKE --period day",
        )
    found = {name: greatest_change(list(c.values())) for name, c in drift.items()}
    sure = {n: c for n, c in found.items() if c is not None and c.z > Z}
    numbers: dict[str, float | int] = {"windows": windows}
    numbers |= {f"{n}_z": round(c.z, 2) for n, c in found.items() if c is not None}
    numbers |= {f"{n}_change": round(c.change, 4) for n, c in found.items() if c is not None}
    if not sure:
        words = f"Over {windows} time windows, no curve changes by more than chance and 10%."
        return Finding("drift", "ok", words, "", numbers)
    name = "all_pairs" if "all_pairs" in sure else "ctr"
    change = sure[name]
    window = list(drift[name])[change.window]
    what = "examination" if name == "all_pairs" else "the click rate"
    return Finding(
        "drift",
        "warning",
        f"In {window}, {what} of rank {change.position} relative to rank 1 is "
        f"{change.change:+.0%} off that of the other times ({change.z:.0f} standard errors).",
        "train on recent periods, or go on from an earlier run, so that the curve follows"
        if name == "all_pairs"
        else "the ranking or the page changed then, or the bias did: compare the harvested curves",
        numbers,
    )


def about_weights(clicks: NDArray[np.float64], curve: Curve, *, source: str) -> Finding:
    """How many clicks inverse-propensity weighting leaves."""
    found = effective_sample_size(clicks, curve.propensity)
    if found is None:
        return missing("effective_sample_size", "no clicks at known ranks.", advice="")
    severity: Severity = "ok" if found.share >= 0.3 else "note" if found.share >= 0.1 else "warning"
    words = (
        f"Weighted by 1 / propensity ({source}), the clicks are worth {percent(found.share)} of "
        f"their number ({found.size:,.0f}); the greatest weight is {found.greatest:.1f}."
    )
    if found.clipped:
        words += f" {percent(found.clipped)} of the clicks reach the bound of {MAX_WEIGHT:.0f}."
    advice = (
        "few clicks far down the page decide: prefer `ultr train --method dla`, which weights none"
    )
    return Finding(
        "effective_sample_size",
        severity,
        words,
        "" if severity == "ok" else advice,
        {
            "size": round(found.size, 1),
            "share": round(found.share, 4),
            "greatest_weight": round(found.greatest, 3),
            "clipped_share": round(found.clipped, 5),
        },
    )
