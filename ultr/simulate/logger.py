"""Logging policies: which documents a session shows, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ultr.simulate.config import Logger
from ultr.simulate.judged import JudgedSet

RIDGE = 10.0

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def scores(rng: np.random.Generator, judged: JudgedSet, *, logger: Logger) -> Floats:
    """[N] scores of the logging ranker, standardised per query; zeros for the random one.

    *weak* is a ridge regression on the grades of max(5, 1%) of the logged queries, *strong* of 20%.
    """
    if logger == "random":
        return np.zeros(len(judged.grade))
    enough = max(5, round(0.01 * judged.logged)) if logger == "weak" else round(0.2 * judged.logged)
    sample = min(max(enough, 1), judged.logged)
    queries = rng.choice(judged.logged, sample, replace=False)
    rows = np.concatenate([np.arange(*judged.offsets[q : q + 2]) for q in np.sort(queries)])
    weight = _ridge(judged.features[rows].astype(np.float64), judged.grade[rows].astype(np.float64))
    return _standardised(judged.features @ weight, judged.offsets)


@dataclass(frozen=True)
class Deterministic:
    """The same page for every session of a query.

    Args:
        pages: [Q, K] rows of the judged set by position, −1 beyond the end of a query.
    """

    pages: Ints

    def rank(self, rng: np.random.Generator, query: Ints) -> Ints:  # noqa: ARG002  one signature
        """[S, K] rows shown to sessions of the given queries [S]."""
        return self.pages[query]


def deterministic(
    rng: np.random.Generator, judged: JudgedSet, *, score: Floats, k: int
) -> Deterministic:
    """Sort by score, ties by document index; without any score in an order drawn once."""
    if not score.any():
        score = rng.random(len(score))
    query = np.repeat(np.arange(len(judged.sizes)), judged.sizes)
    order = np.lexsort((-score, query))
    padded = np.full((len(judged.sizes), k), -1)
    rank = np.arange(len(score)) - np.repeat(judged.offsets[:-1], judged.sizes)
    shown = rank < k
    padded[query[shown], rank[shown]] = order[shown]
    return Deterministic(padded)


@dataclass(frozen=True)
class PlackettLuce:
    """A ranking drawn for each session, P(first) ∝ exp(score), then among the rest.

    Args:
        hazard: [N] exp(score).
        offsets: [Q + 1] the judged set's.
        width: documents of the largest logged query, or `k` where that is more. One number for
            all sessions, so that a longer simulation begins with the shorter one.
        k: positions.
    """

    hazard: npt.NDArray[np.floating[Any]]
    offsets: Ints
    width: int
    k: int

    def rank(self, rng: np.random.Generator, query: Ints) -> Ints:
        """[S, K] rows shown to sessions of the given queries [S], −1 beyond the end of a query.

        Sorting by E/exp(score), E exponential, is the Gumbel trick without its logarithm.
        """
        begin, size = self.offsets[query], self.offsets[query + 1] - self.offsets[query]
        place = np.arange(self.width)
        row = np.minimum(begin[:, None] + place, len(self.hazard) - 1)
        time = rng.standard_exponential(row.shape, np.float32) / self.hazard[row]
        time[place >= size[:, None]] = np.inf
        first = np.argpartition(time, self.k - 1, axis=1)[:, : self.k]
        order = np.argsort(np.take_along_axis(time, first, axis=1), axis=1, kind="stable")
        chosen = np.take_along_axis(first, order, axis=1)
        return np.where(chosen < size[:, None], begin[:, None] + chosen, -1)


def plackett_luce(judged: JudgedSet, *, score: Floats, k: int) -> PlackettLuce:
    """The policy of these scores, below 700; equal ones give uniformly shuffled documents."""
    wide = bool(np.abs(score).max(initial=0) > 80)  # exp leaves the range of float32
    return PlackettLuce(
        hazard=np.exp(score).astype(np.float64 if wide else np.float32),
        offsets=judged.offsets,
        width=max(int(judged.sizes[: judged.logged].max()), k),
        k=k,
    )


def _ridge(x: Floats, y: Floats) -> Floats:
    """[F] weights of a ridge regression on raw columns with an intercept that is not penalised."""
    x, y = x - x.mean(0), y - y.mean()
    return np.asarray(np.linalg.solve(x.T @ x + RIDGE * np.eye(x.shape[1]), x.T @ y), np.float64)


def _standardised(score: Floats, offsets: Ints) -> Floats:
    """Mean 0 and standard deviation 1 within each query; 0 where all scores are equal."""
    size = np.diff(offsets)
    score = score - np.repeat(np.add.reduceat(score, offsets[:-1]) / size, size)
    spread = np.sqrt(np.add.reduceat(score**2, offsets[:-1]) / size)
    spread[spread <= 1e-12 * max(float(np.abs(score).max()), 1e-300)] = np.inf
    return np.asarray(score / np.repeat(spread, size))
