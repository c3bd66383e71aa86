"""Sessions: a query, the page its logging policy shows, and the clicks on it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ultr.clicks import CLICK_MODELS, User
from ultr.simulate import logger
from ultr.simulate.config import SimulateConfig
from ultr.simulate.judged import JudgedSet

_CELLS = 4_000_000
"""(session, candidate) pairs held at once: some 100 MB while a ranking is drawn."""

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Streams:
    """One source of randomness per purpose: changing one thing leaves the others as they were."""

    judged: np.random.Generator
    logger: np.random.Generator
    order: np.random.Generator
    query: np.random.Generator
    ranking: np.random.Generator
    click: np.random.Generator

    @classmethod
    def of(cls, seed: int) -> Streams:
        """Independent streams of a seed."""
        return cls(*map(np.random.default_rng, np.random.SeedSequence(seed).spawn(6)))


@dataclass(frozen=True)
class Pages:
    """Consecutive sessions.

    Args:
        first: number of the first one, from 0.
        query: [S] index into the judged set's queries.
        row: [S, K] the judged set's rows by position, −1 where the query has no more documents.
        click: [S, K] 1 where clicked.
    """

    first: int
    query: Ints
    row: Ints
    click: npt.NDArray[np.int8]


def sessions(config: SimulateConfig, *, judged: JudgedSet, streams: Streams) -> Iterator[Pages]:
    """All sessions of a simulation, in chunks; queries are drawn uniformly."""
    score = logger.scores(streams.logger, judged, logger=config.logger)
    k = config.positions
    policy: logger.Deterministic | logger.PlackettLuce
    if config.logging == "deterministic":
        policy = logger.deterministic(streams.order, judged, score=score, k=k)
    else:
        policy = logger.plackett_luce(judged, score=score / config.temperature, k=k)
    user = User(eta=config.eta, epsilon=config.epsilon, y_max=judged.y_max)
    sample = CLICK_MODELS[config.click_model]
    step = max(1, _CELLS // max(int(judged.sizes.max()), k))
    for first in range(0, config.sessions, step):
        query = streams.query.integers(judged.logged, size=min(step, config.sessions - first))
        row = policy.rank(streams.ranking, query)
        click = sample(streams.click, judged.grade[row], user=user, where=row >= 0)
        yield Pages(first=first, query=query, row=row, click=click)
