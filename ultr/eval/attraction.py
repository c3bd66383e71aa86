"""From ranker scores to click probabilities: P(click | examined) = σ(a + b f), fitted on clicks.

DLA's scores order documents; they are no probabilities. Two numbers fitted on sessions that are
held out from the ranker make them so, which perplexity and the doubly robust estimate need.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_STEPS = 50
_HIGHEST = 1 - 1e-6
"""Of a click probability: relative propensities above 1 could lead beyond 1."""


@dataclass(frozen=True)
class Attraction:
    """The fitted map.

    Args:
        intercept: a.
        slope: b.
    """

    intercept: float
    slope: float

    def __call__(self, scores: Array) -> Floats:
        """P(click | examined), relative to the examination of position 1, in the scores' shape."""
        return np.asarray(_sigmoid(self.intercept + self.slope * scores.astype(np.float64)))


def fit_attraction(
    scores: Array, examination: Array, *, clicks: Array, weight: Array, where: Bools
) -> Attraction:
    """Maximum likelihood of `P(c) = θ σ(a + b f)` by Fisher scoring.

    Args:
        scores: f `[L, K]`.
        examination: θ `[L, K]` relative to position 1.
        clicks: `[L, K]` click counts.
        weight: `[L]` how often the list was shown.
        where: `[L, K]` whether there is a document.

    Source:
        The position-based model (Richardson et al. 2007) with a logistic attractiveness; scaling
        of scores after Platt (1999).

    Example:
        >>> f = np.array([[0.0, 0.0], [2.0, 2.0]])
        >>> fit = fit_attraction(f, np.ones((2, 2)), clicks=np.array([[5, 5], [9, 9]]),
        ...                      weight=np.array([10, 10]), where=np.ones((2, 2), bool))
        >>> [round(float(p), 3) for p in fit(np.array([0.0, 2.0]))]
        [0.5, 0.9]
    """
    f, theta = scores[where].astype(np.float64), examination[where].astype(np.float64)
    c = clicks[where].astype(np.float64)
    n = np.broadcast_to(weight[:, None], where.shape)[where].astype(np.float64)
    centre, scale = f.mean(), max(float(f.std()), 1e-6)
    columns = np.stack([np.ones_like(f), (f - centre) / scale])
    rate = float(np.clip(c.sum() / max((n * theta).sum(), 1e-12), 1e-6, _HIGHEST))
    b = np.array([np.log(rate / (1 - rate)), 0.0])
    for _ in range(_STEPS):
        step = _fisher_step(b @ columns, columns, theta=theta, clicks=c, weight=n)
        b = b + np.clip(step, -2.0, 2.0)  # far from the optimum a full step overshoots
        if np.abs(step).max() < 1e-9:
            break
    slope = b[1] / scale
    return Attraction(float(b[0] - slope * centre), float(slope))


def _fisher_step(
    logits: Floats, columns: Floats, *, theta: Floats, clicks: Floats, weight: Floats
) -> Floats:
    attraction = _sigmoid(logits)
    p = np.clip(theta * attraction, 1e-12, _HIGHEST)
    by_logit = theta * attraction * (1 - attraction)
    gradient = columns @ ((clicks / p - (weight - clicks) / (1 - p)) * by_logit)
    information = (columns * (weight * by_logit**2 / (p * (1 - p)))) @ columns.T
    # Scores that are all alike leave the slope without information: it stays 0.
    ridge = 1e-9 * max(float(np.trace(information)), 1e-12) * np.eye(2)
    return np.asarray(np.linalg.solve(information + ridge, gradient))


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))  # does not overflow
