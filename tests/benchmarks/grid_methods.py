"""The methods of the grid: they differ in weights only, and each gives metrics of one seed."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from grid_data import Judged
from grid_lightgbm import lightgbm_scores
from numpy.typing import NDArray

import ultr
from ultr.data import Lists
from ultr.eval.propensity import propensity_rmse
from ultr.eval.ranking import ranking_metrics

METHODS = ("naive", "ipw", "dla")
LIGHTGBM = ("lightgbm", "lightgbm_position")


def run_method(
    name: str, data: Lists, test: Judged, *, truth: NDArray[np.float64], seed: int, **settings: Any
) -> dict[str, Any]:
    """Train one method with the defaults and measure it.

    Args:
        name: one of `METHODS` or `LIGHTGBM`.
        data: the lists.
        test: documents to rank.
        truth: `[positions]` planted propensities, given to ipw and compared with.
        seed: of the training.
        **settings: other settings of `TrainConfig`, for experiments.

    Returns:
        `ndcg@10 err@10 seconds` and, where there are any, `propensity_rmse propensities` and what
        training tells of itself.
    """
    began = time.perf_counter()
    if name in LIGHTGBM:
        scores, told = lightgbm_scores(data, test, with_position=name == "lightgbm_position")
        seconds = round(time.perf_counter() - began, 2)
        return _ranking(scores, test) | told | {"seconds": seconds}
    with tempfile.TemporaryDirectory() as folder:
        if name == "ipw":
            path = Path(folder) / "truth.json"
            path.write_text(json.dumps({"relative_propensity": truth.tolist()}))
            settings["propensities"] = path
        run = ultr.fit(data, run=Path(folder) / "run", method=name, seed=seed, **settings)
        found = run.propensities
        propensity = found["propensity"].to_numpy()
        lines = (run.root / "metrics.jsonl").read_text().splitlines()
        out = _ranking(run.score(test.features), test)
    error = propensity_rmse(propensity, truth, position=found["position"].to_numpy())
    return out | {
        "propensity_rmse": round(error, 5),
        "propensities": [round(float(p), 4) for p in propensity],
        "phases": list(dict.fromkeys(json.loads(line)["phase"] for line in lines)),
        **{k: run.summary[k] for k in ("epochs", "click_nll_listwise")},
        "seconds": round(time.perf_counter() - began, 2),
    }


def _ranking(scores: NDArray[Any], test: Judged) -> dict[str, float]:
    metrics = ranking_metrics(
        scores, test.grade, query=test.query, document=test.document, max_grade=test.top
    )
    return {k: round(float(metrics[k].mean()), 5) for k in ("ndcg@10", "err@10")}
