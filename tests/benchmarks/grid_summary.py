"""Lines of the grid to a results file: paired differences by cell, with their bounds."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t

PAIRS = (("dla", "ipw"), ("dla", "naive"), ("dla", "lightgbm_position"))
COMMAND = "python tests/benchmarks/grid.py --mq2008 ../shared/data/mq2008 --seeds 10 [--lightgbm]"
_LEVEL = 0.95
_GAP = 0.02
"""How far IPW must be above naive for a share of the gap to mean something."""

Line = dict[str, Any]


def write_summary(lines: list[Line], path: Path) -> None:
    """Write the results file, and one line per cell to standard output."""
    by_cell: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_cell[line["cell"]].append(line)
    summary = {cell: summarise(of_cell) for cell, of_cell in by_cell.items()}
    out = {
        "command": COMMAND,
        "commits": {
            method: sorted({line["commit"] for line in lines if line["method"] == method})
            for method in sorted({line["method"] for line in lines})
        },
        "bounds": "lower: one-sided 95%, lower_two_sided: lower end of the two-sided 95% interval "
        "(paired t over seeds)",
        "cells": summary,
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
    for cell, found in summary.items():
        sys.stdout.write(f"{cell:46}{_short(found)}\n")


def summarise(lines: list[Line]) -> dict[str, Any]:
    """Means of each method, differences over the seeds that both methods of a pair have."""
    by_method: dict[str, dict[int, Line]] = defaultdict(dict)
    for line in lines:
        by_method[line["method"]][line["seed"]] = line
    out: dict[str, Any] = {"methods": {m: _method(runs) for m, runs in by_method.items()}}
    for one, other in PAIRS:
        seeds = sorted(by_method[one].keys() & by_method[other].keys())
        if seeds:
            values = [by_method[one][s]["ndcg@10"] - by_method[other][s]["ndcg@10"] for s in seeds]
            out[f"{one} - {other}"] = paired(np.array(values))
    gap = _mean(by_method["ipw"], "ndcg@10") - _mean(by_method["naive"], "ndcg@10")
    if gap > _GAP:
        gained = _mean(by_method["dla"], "ndcg@10") - _mean(by_method["naive"], "ndcg@10")
        out["share of the gap closed"] = round(gained / gap, 3)
    return out


def paired(values: np.ndarray[Any, np.dtype[np.float64]]) -> dict[str, Any]:
    """Mean over seeds and its 95% lower bounds (Student's t); one seed has no bound."""
    n, mean = len(values), float(values.mean())
    out = {"seeds": n, "mean": round(mean, 5)}
    if n > 1:
        error = float(values.std(ddof=1)) / np.sqrt(n)
        for name, level in (("lower", _LEVEL), ("lower_two_sided", (1 + _LEVEL) / 2)):
            out[name] = round(float(mean - t.ppf(level, n - 1) * error), 5)
    return out


def _method(runs: dict[int, Line]) -> dict[str, Any]:
    out = {"seeds": sorted(runs), "ndcg@10": round(_mean(runs, "ndcg@10"), 5)}
    if all("propensity_rmse" in line for line in runs.values()):
        errors = [line["propensity_rmse"] for line in runs.values()]
        out |= {"propensity_rmse": round(float(np.mean(errors)), 4)}
        out |= {"propensity_rmse_worst": round(max(errors), 4)}
    return out | {"seconds": round(_mean(runs, "seconds"), 1)}


def _mean(runs: dict[int, Line], key: str) -> float:
    return float(np.mean([line[key] for line in runs.values()])) if runs else float("nan")


def _short(found: dict[str, Any]) -> str:
    parts = [f"{name} {m['ndcg@10']:.4f}" for name, m in found["methods"].items()]
    if "dla" in found["methods"]:
        parts.append(f"rmse {found['methods']['dla'].get('propensity_rmse', np.nan):.3f}")
    for one, other in PAIRS:
        if (pair := found.get(f"{one} - {other}")) is not None:
            bound = f"(≥ {pair['lower']:+.4f})" if "lower" in pair else ""
            parts.append(f"−{other} {pair['mean']:+.4f}{bound}")
    if (share := found.get("share of the gap closed")) is not None:
        parts.append(f"closed {share:.2f}")
    return "  ".join(parts)
