"""What a new ranking would have got from the users of a log, without labels.

Under the position-based model a document is worth the same wherever it stands: its attractiveness
γ, seen through the examination θ of the position. The log gives γ of each (query, document) as
clicks per expected examination, `C / E` with `E = Σ θ` over its impressions; a ranking is worth
`Σ_d D_d γ_d`, where D is what the ranking gives the place of d: θ of the new position for clicks,
`1 / log2(1 + k)` for DCG.

`snips` uses only what was observed and divides by the share of D on documents that were
(self-normalised inverse propensity scoring); `dr` fills the rest with a model of γ (doubly robust),
right if the propensities or the model are. A document that the log hardly examined has a huge
weight `sessions / E`; above `max_weight` the share `max_weight · E / sessions` of its estimate
comes from the log and the rest from the model.

Sources: Li, Abbasi-Yadkori, Kveton, Muthukrishnan, Vinay, Wen: Offline Evaluation of Ranking
Policies with Click Models, KDD 2018, section 4 (the item-position estimator with a position-based
model); Swaminathan & Joachims, NIPS 2015 (self-normalisation); Dudík, Langford, Li, ICML 2011
(doubly robust); Su et al., ICML 2020 (shrinking of its weights).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

RESAMPLES = 1_000
_BLOCKS = 10_000
_CELLS = 1 << 22  # random numbers held at once
_LEVEL = 0.95


@dataclass(frozen=True)
class Pairs:
    """(query, document) pairs of Q queries: what the log says, and where two rankings put them.

    Args:
        query: `[N]` 0 to Q − 1.
        clicks: `[N]` C, over all sessions of the query.
        examination: `[N]` E, Σ θ over the impressions; 0 where the log never showed it.
        attraction: `[N]` γ of the model.
        new: `[N]` D of the new ranking, mean over sessions.
        logged: `[N]` D of the log, mean over sessions.
        sessions: `[Q]` number of sessions.
    """

    query: Longs
    clicks: Floats
    examination: Floats
    attraction: Floats
    new: Floats
    logged: Floats
    sessions: Floats


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval over resampled queries; NaN for a single query."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Estimate:
    """Values per session.

    Args:
        logged: of the log's own ranking.
        snips: of the new one, by self-normalised inverse propensity scoring.
        dr: of the new one, doubly robust.
        lift: `dr` of the new one less `dr` of the logged one, on the same queries.
        support: share of the new ranking's D on documents that the log has shown.
        effective_sample_size: Kish's sample size of the weights, in expected examinations.
        clipped_share: share of the new ranking's D where the weight is bounded.
    """

    logged: Interval
    snips: Interval
    dr: Interval
    lift: Interval
    support: float
    effective_sample_size: float
    clipped_share: float


def estimate(pairs: Pairs, *, max_weight: float = 100.0, seed: int = 0) -> Estimate:
    """The value of a new ranking, and of the logged one.

    Args:
        pairs: the log and the two rankings.
        max_weight: bound on sessions per expected examination.
        seed: of the resampling.

    Example:
        >>> one = np.ones(2)
        >>> pairs = Pairs(
        ...     query=np.array([0, 1]), clicks=5 * one, examination=10 * one, attraction=one / 2,
        ...     new=one, logged=one, sessions=10 * one,
        ... )
        >>> estimate(pairs).dr.value
        0.5
    """
    weight = pairs.sessions[pairs.query]
    rate = np.minimum(1.0, max_weight * pairs.examination / np.maximum(weight, 1e-12))
    observed = np.divide(
        pairs.clicks, pairs.examination, out=np.zeros_like(rate), where=pairs.examination > 0
    )
    # Of a doubly robust estimate of pair d: model + rate · (observed − model).
    dr = rate * observed + (1 - rate) * pairs.attraction
    columns = [
        weight * pairs.logged * observed,
        weight * pairs.logged,
        weight * pairs.new * rate * observed,
        weight * pairs.new * rate,
        weight * pairs.new,
        weight * pairs.new * dr,
        weight * pairs.logged * dr,
    ]
    size = len(pairs.sessions)
    by_query = np.stack(
        [*(np.bincount(pairs.query, c, size) for c in columns), pairs.sessions], axis=1
    )
    names = _statistics(by_query.sum(axis=0)[None])
    draws = _statistics(np.concatenate(list(_resampled(by_query, seed=seed))))
    tail = (1 - _LEVEL) / 2
    intervals = {
        name: Interval(
            float(value[0]), *(float(q) for q in _quantiles(draws[name], tail, n_queries=size))
        )
        for name, value in names.items()
    }
    is_shown = pairs.examination > 0
    total = float((weight * pairs.new).sum())
    is_clipped = is_shown & (rate < 1)
    return Estimate(
        **intervals,
        support=_share(weight * pairs.new, is_shown, total),
        effective_sample_size=_effective(pairs, weight=weight, rate=rate),
        clipped_share=_share(weight * pairs.new, is_clipped, total),
    )


def _statistics(sums: Floats) -> dict[str, Floats]:
    """Values per session of sums over queries `[B, 8]`."""
    logged, _, seen, seen_place, place, dr, dr_logged, sessions = sums.T
    n = np.maximum(sessions, 1e-12)
    snips = np.divide(seen, seen_place, out=np.full_like(seen, np.nan), where=seen_place > 0)
    return {
        "logged": logged / n,
        "snips": snips * place / n,
        "dr": dr / n,
        "lift": (dr - dr_logged) / n,
    }


def _resampled(by_query: Floats, *, seed: int) -> Iterator[Floats]:
    """Sums over resampled queries, `[B, m]` in pieces: each counts Poisson(1) times."""
    rng = np.random.default_rng(seed)
    if len(by_query) > _BLOCKS:  # blocks of queries are as independent, and there are fewer
        block = rng.permutation(len(by_query)) % _BLOCKS
        by_query = np.stack([np.bincount(block, c, _BLOCKS) for c in by_query.T], axis=1)
    rows = max(1, _CELLS // len(by_query))
    for begin in range(0, RESAMPLES, rows):
        size = (min(rows, RESAMPLES - begin), len(by_query))
        yield rng.poisson(1.0, size).astype(np.float64) @ by_query


def _quantiles(draws: Floats, tail: float, *, n_queries: int) -> Floats:
    known = draws[np.isfinite(draws)]
    if n_queries < 2 or not len(known):
        return np.full(2, np.nan)
    return np.quantile(known, [tail, 1 - tail])


def _share(values: Floats, chosen: NDArray[np.bool_], total: float) -> float:
    return float(values[chosen].sum() / total) if total else 0.0


def _effective(pairs: Pairs, *, weight: Floats, rate: Floats) -> float:
    """`(Σ w)² / Σ w²` over expected examinations; each of the E of a pair weighs n D / E."""
    shown = pairs.examination > 0
    d, e, n = (x[shown] for x in (pairs.new * rate, pairs.examination, weight))
    total, squares = (n * d).sum(), (n**2 * d**2 / e).sum()
    return float(total**2 / squares) if squares else 0.0
