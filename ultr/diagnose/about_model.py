"""Findings about confounding: the logging policy, and what a trained model leaves unexplained."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ultr.diagnose.finding import Finding, missing
from ultr.diagnose.policy import Strength
from ultr.diagnose.residuals import Residuals

_STRONG, _SOME = 0.8, 0.4
_OFF = 0.1


def about_policy(found: Strength | None) -> Finding:
    """The logging policy's strength, and what it means."""
    if found is None:
        return missing(
            "logging_policy",
            "it takes features of at least ten queries with two documents each.",
            advice="add some with: ultr features --lake LAKE --from FILE, then ultr lists",
        )
    numbers = {
        "ndcg": round(found.ndcg, 4),
        "ndcg_random": round(found.random, 4),
        "strength": round(found.share, 4),
        "queries": found.queries,
    }
    words = (
        f"A linear model of the features predicts the logged ranking with nDCG {found.ndcg:.2f} "
        f"(random order: {found.random:.2f}), {found.share:.0%} of the way to perfect"
    )
    if found.share >= _STRONG:
        return Finding(
            "logging_policy",
            "warning",
            f"{words}: rank and features go together, so a model can take bias for relevance.",
            "trust the curve only if swaps identify it, and compare with a harvested one",
            numbers,
        )
    if found.share >= _SOME:
        return Finding(
            "logging_policy", "note", f"{words}: some confounding of rank and relevance.",
            "compare the learned curve with the harvested one", numbers,
        )  # fmt: skip
    return Finding("logging_policy", "ok", f"{words}: little confounding.", "", numbers)


def about_residuals(run: Path, found: Residuals | None) -> Finding:
    """Observed against expected clicks, by rank and by decile of the logged rank."""
    if found is None:
        return missing(
            "residuals",
            f"{run} has no residuals.parquet.",
            advice=f"make it with: ultr evaluate --run {run} --lake LAKE",
        )
    off, by_decile = found.off, found.by_decile()
    if not by_decile or not np.isfinite(off).any():
        return missing(
            "residuals",
            "too few clicks in every cell of rank and decile.",
            advice="evaluate on more pages: ultr evaluate --queries all",
        )
    i = int(np.nanargmax(np.abs(off)))
    size = found.expected[np.isfinite(off)]
    mean = float(np.average(np.abs(off[np.isfinite(off)]), weights=size))
    values = np.array(list(by_decile.values()))
    slope = float(values[-1] - values[0])
    numbers: dict[str, float | int] = {
        "mean_absolute": round(mean, 4),
        "worst": round(float(off[i]), 4),
        "worst_rank": int(found.rank[i]),
        "worst_decile": int(found.decile[i]),
        "decile_slope": round(slope, 4),
    } | {f"decile@{d}": round(v, 4) for d, v in by_decile.items()}
    words = (
        f"Clicks differ from what the model expects by {mean:.0%} on average over cells of shown "
        f"rank and decile of logged rank; from the first to the last decile by {slope:+.0%}."
    )
    if mean < _OFF and abs(slope) < _OFF:
        return Finding("residuals", "ok", words + " Flat is healthy.", "", numbers)
    return Finding(
        "residuals",
        "warning",
        words + " What is left goes with the logged rank: bias and relevance are mixed up, or the "
        "ranker is too simple.",
        "try a larger ranker; compare the run's curve with the harvested one",
        numbers,
    )
