"""LightGBM's LambdaMART on the same clicks, with and without its `position` option."""

from __future__ import annotations

from typing import Any

import numpy as np
from grid_data import Judged
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp

from ultr.data import Lists

_REGULARISATION = (0.0, 0.1, 1.0)
_ROUNDS = 100
_TREES = {
    "objective": "lambdarank", "num_leaves": 31, "learning_rate": 0.1, "verbose": -1,
    "num_threads": 1, "deterministic": True, "force_col_wise": True,
}  # fmt: skip


def lightgbm_scores(
    data: Lists, test: Judged, *, with_position: bool
) -> tuple[NDArray[np.float64], dict[str, Any]]:
    """Scores `[N]` of the test documents: 31 leaves, rate .1, 100 rounds.

    A group is a list with a click pattern, weighted by its sessions: exact for the gradients. With
    `position`, the regularisation is that whose scores explain held-out clicks best.
    """
    import lightgbm

    clicked = data.select(data.clicks.sum(axis=1) > 0)
    training, held_out = (clicked.split(s, by="query") for s in ("train", "validation"))
    shown = training.where
    rows = training.document[shown]
    count = np.repeat(training.weight, shown.sum(axis=1))
    grouped = lightgbm.Dataset(
        training.features[rows],
        training.clicks[shown] > 0,
        group=shown.sum(axis=1),
        weight=count,
        position=training.position[shown] - 1 if with_position else None,
        params={"verbose": -1},
        free_raw_data=False,
    )
    best, told = None, {}
    for strength in _REGULARISATION if with_position else (0.0,):
        settings = _TREES | {"lambdarank_position_bias_regularization": strength}
        model = lightgbm.train(settings, grouped, _ROUNDS)
        nll = click_nll(model.predict(held_out.features), held_out)
        told[f"held-out nll, {strength:g}"] = round(nll, 5)
        if best is None or nll < best[0]:
            best = (nll, strength, model)
    assert best is not None
    return np.asarray(best[2].predict(test.features)), told | {"regularisation": best[1]}


def click_nll(scores: NDArray[np.float64], data: Lists) -> float:
    """Listwise click NLL of `a·score + g_position`, nats per click, at the best a and g.

    Trees give no probabilities and hide their position terms: scale and terms, few beside the
    clicks, are fitted to the lists themselves.
    """
    f = scores[data.document]
    at = np.maximum(data.position - 1, 0)
    clicks = data.clicks.astype(np.float64)
    total = clicks.sum(axis=1)

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = np.where(data.where, x[0] * f + x[1:][at], -np.inf)
        log_p = logits - logsumexp(logits, axis=1, keepdims=True)
        gradient = total[:, None] * np.exp(log_p) - clicks
        by_position = np.bincount(at[data.where], gradient[data.where], minlength=len(x) - 1)
        nll = -(clicks * np.where(data.where, log_p, 0.0)).sum()
        n = total.sum()
        return nll / n, np.concatenate([[(gradient * f)[data.where].sum()], by_position]) / n

    start = np.concatenate([[1.0], np.zeros(data.max_position)])
    return float(minimize(loss, start, jac=True, method="L-BFGS-B").fun)
