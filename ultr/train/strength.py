"""How far the ranker is corrected for the propensities, where few clicks were made.

The share s of the log propensities by which the last fit corrects leaves in the ranker some of what
the logging policy knew. How much clicks can replace of that depends on how hard relevance is to
learn, which their number does not tell: with 10,000 sessions, fixed pages and η = 2, (s + 1) / 2 in
place of s = n / (n + 4,000) is .044 nDCG@10 better on MQ2008 with a weak logger (from n = 375
effective clicks), and .007 worse on the generated set with a strong one (n = 1,080). So held-out
clicks choose between the two. The full correction is no third choice: they took it too often (.047
and .053 nDCG@10 lost on two of 150 such logs), where (s + 1) / 2 gained .015 and .011.

Each ranker is judged beside the *whole* curve, whatever it was corrected by: one that took position
bias for relevance counts it twice then. It may be scaled first, since what a small share leaves in
the ranker is a matter of scale too, and ranking has none. Held-out clicks are few as well, and see
the order within a page only, not what the logging policy knew of documents further down. The lesser
share therefore stands unless the other is better by more than its standard error, the rule of
Breiman, Friedman, Olshen and Stone (Classification and Regression Trees, 1984, section 3.4.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ultr.train.loop import Fitted
from ultr.train.source import Source
from ultr.train.step import Towers, list_logits

Floats = NDArray[np.float64]

_STEPS = 50


class HeldOut(NamedTuple):
    """Held-out lists under a ranker and the whole curve.

    Attributes:
        score: `[L, K]` of the ranker, 0 where masked.
        log_propensity: `[L, K]`, −∞ where masked.
        clicks: `[L, K]`, 0 where masked.
        query: `[L]` from 0.
        n_queries: Q.
    """

    score: Floats
    log_propensity: Floats
    clicks: Floats
    query: NDArray[np.integer[Any]]
    n_queries: int

    @property
    def query_clicks(self) -> Floats:
        """`[Q]` clicks of each query."""
        return self._by_query(self.clicks.sum(axis=1))

    def query_nll(self) -> Floats:
        """`[Q]` listwise NLL of the clicks by softmax(a·f + log p), at the best scale a ≥ 0."""
        scale, nll = 1.0, self._at(1.0)
        for _ in range(_STEPS):
            step = self._newton(scale)
            while step and self._at(max(0.0, scale - step)).sum() > nll.sum():
                step = step / 2 if abs(step) > 1e-9 else 0.0
            if max(0.0, scale - step) == scale:
                break
            scale = max(0.0, scale - step)
            nll = self._at(scale)
        return self._by_query(nll)

    def _by_query(self, values: Floats) -> Floats:
        return np.bincount(self.query, values, self.n_queries).astype(np.float64)

    def _log_p(self, scale: float) -> Floats:
        logits = scale * self.score + self.log_propensity
        logits = logits - logits.max(axis=1, keepdims=True)
        return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))

    def _at(self, scale: float) -> Floats:
        log_p = np.where(np.isfinite(self.log_propensity), self._log_p(scale), 0.0)
        return np.asarray(-(self.clicks * log_p).sum(axis=1))

    def _newton(self, scale: float) -> float:
        p, clicks = np.exp(self._log_p(scale)), self.clicks.sum(axis=1)
        mean = (p * self.score).sum(axis=1)
        slope = (clicks * mean).sum() - (self.clicks * self.score).sum()
        curvature = (clicks * ((p * self.score**2).sum(axis=1) - mean**2)).sum()
        return float(slope / curvature) if curvature > 1e-12 else 0.0


def with_curve(params: Towers, log_propensity: Floats) -> Towers:
    """The same ranker beside another table of propensities, `[P, *levels]`."""
    curve = jax.tree.map(lambda _: jnp.asarray(log_propensity, jnp.float32), params.propensity)
    return params._replace(propensity=curve)


def held_out_logits(fitted: Fitted, held: Source, log_propensity: Floats) -> HeldOut:
    """Held-out lists under a ranker and a curve.

    Args:
        fitted: the ranker, trained with held propensities.
        held: the lists.
        log_propensity: `[P, *levels]` the whole curve.
    """
    params = with_curve(fitted.params, log_propensity)
    parts: list[tuple[Floats, ...]] = []
    for arrays, plan, query in held.segments(epoch=0):
        f, g, clicks = (
            np.asarray(v, np.float64) for v in list_logits(fitted.model, params, arrays, plan)
        )
        chosen = (query >= 0) & (clicks.sum(axis=-1) > 0)
        parts.append((f[chosen], g[chosen], clicks[chosen], query[chosen]))
    width = max(part[0].shape[1] for part in parts)

    def joined(place: int, fill: float) -> Floats:
        rows = [part[place] for part in parts]
        return np.concatenate([
            np.pad(v, [(0, 0), (0, width - v.shape[1])], constant_values=fill) for v in rows
        ])  # fmt: skip

    query = np.concatenate([part[3] for part in parts])
    return HeldOut(joined(0, 0.0), joined(1, -np.inf), joined(2, 0.0), query, held.n_queries)


def most_cautious(candidates: Sequence[HeldOut]) -> int:
    """Which ranker to keep: the first, unless another is better by more than its standard error.

    Args:
        candidates: the same held-out lists under each ranker, the most cautious one first.
    """
    clicks = candidates[0].query_clicks
    n = np.count_nonzero(clicks)
    if n < 2:
        return 0  # nothing tells how sure it is
    nll = [held.query_nll() for held in candidates]
    bounds = []
    for each in nll:
        change = each - nll[0]
        # A ratio of sums over queries: its error is that of the residuals.
        residual = change - change.sum() / clicks.sum() * clicks
        bounds.append(change.sum() + np.sqrt((residual**2).sum() * n / (n - 1)))
    return int(np.argmin(bounds))
