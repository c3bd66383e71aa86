"""Click metrics: how well a model explains held-out clicks.

Two likelihoods that must not share a name: `listwise` is conditional on the number of clicks (what
DLA optimises), `bernoulli` is per impression and needs a model that predicts probabilities.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.integer[Any]]


def listwise_nll(scores: Array, logits: Array, *, clicks: Array, where: Bools) -> Floats:
    """−Σ_i c_i log softmax(f + g)_i of every list.

    Args:
        scores: f `[L, K]`, the ranker's.
        logits: g `[L, K]`, the propensity model's.
        clicks: `[L, K]` click counts.
        where: `[L, K]` whether there is a document.

    Returns:
        `[L]`; divide the sum by the sum of the clicks. A list without clicks gives 0.

    Source:
        Ai et al. 2018, eq. 7 and 11, with both towers in one softmax.

    Example:
        >>> one, zero = np.ones((1, 2)), np.zeros((1, 2))
        >>> float(listwise_nll(zero, zero, clicks=one, where=one > 0)[0] / np.log(2))
        2.0
    """
    joint = np.where(where, scores.astype(np.float64) + logits, -np.inf)
    highest = np.where(where.any(axis=1), joint.max(axis=1, initial=-np.inf), 0.0)
    shifted = joint - highest[:, None]
    normaliser = np.log(np.maximum(np.exp(shifted).sum(axis=1), 1e-300))
    log_probability = np.where(where, shifted - normaliser[:, None], 0.0)
    return np.asarray(-(np.where(where, clicks, 0.0) * log_probability).sum(axis=1))


def bernoulli_nll(logits: Array, *, clicks: Array, weight: Array, where: Bools) -> Floats:
    """−[c log p + (n − c) log(1 − p)] of every impression, p = σ(logits).

    Args:
        logits: `[L, K]` of a click.
        clicks: `[L, K]` click counts.
        weight: `[L]` n, how often the list was shown.
        where: `[L, K]` whether there is a document.

    Returns:
        `[L, K]`, 0 where masked; divide the sum by the number of impressions.
    """
    x = logits.astype(np.float64)
    # −log σ(x) = log(1 + e^−x): the other form overflows.
    nll = clicks * np.logaddexp(0, -x) + (weight[:, None] - clicks) * np.logaddexp(0, x)
    return np.where(where, nll, 0.0)


def perplexity(nll: Floats, *, position: Ints, weight: Array, where: Bools) -> Floats:
    """2^(mean NLL in bits) of every position, NaN where nothing was shown.

    Args:
        nll: `[L, K]` in nats, of `bernoulli_nll`.
        position: `[L, K]` from 1.
        weight: `[L]` how often the list was shown.
        where: `[L, K]` whether there is a document.

    Returns:
        `[P]` for positions 1 to the lowest; 1 is perfect, 2 a fair coin.

    Source:
        Dupret & Piwowarski 2008; Chuklin et al. 2015, section 5.1.2.
    """
    at = position[where] - 1
    size = int(position[where].max(initial=0))
    shown = np.bincount(at, np.broadcast_to(weight[:, None], where.shape)[where], minlength=size)
    total = np.bincount(at, nll[where], minlength=size)
    mean = np.divide(total, shown, out=np.full(size, np.nan), where=shown > 0)
    return np.asarray(np.exp(mean))
