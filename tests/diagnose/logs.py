"""Logs with planted examination, as rows of exposures: no files, so that hundreds can be drawn."""

from __future__ import annotations

import numpy as np

from ultr.clicks import User, examination, pbm
from ultr.diagnose.chunks import Chunk, Windows
from ultr.diagnose.counts import Counts

K = 10


def planted(*, eta=1.0, positions=K):
    """Examination relative to the first rank."""
    theta = examination(User(eta=eta), positions=positions)
    return theta / theta[0]


def pages(rng, *, queries=200, documents=14, sessions=20_000, temperature=1.0):
    """Pages `[S, K]` of documents under Plackett-Luce around the grades, and their grades.

    The logger knows the grades, so that better documents stand higher: clicks by rank mix both.
    """
    grades = rng.choice(5, (queries, documents), p=[0.5, 0.2, 0.15, 0.1, 0.05])
    query = rng.integers(0, queries, sessions)
    noise = rng.gumbel(size=(sessions, documents))
    scores = grades[query] if np.isfinite(temperature) else np.zeros((sessions, documents))
    order = np.argsort(-(scores / min(temperature, 1e9) + noise), axis=1)[:, :K]
    return query, order, np.take_along_axis(grades[query], order, axis=1)


def chunk_of(query, document, click, *, position=None, context=None, window=None):
    """Exposures of pages `[S, K]`, one row per impression."""
    s, k = document.shape
    flat = {
        "query": np.repeat(query, k),
        "document": document.reshape(-1) + 1000 * np.repeat(query, k),
        "position": np.tile(np.arange(1, k + 1), s) if position is None else position.reshape(-1),
        "context": np.broadcast_to(0 if context is None else context, (s, k)).reshape(-1),
        "window": np.zeros(s * k) if window is None else np.repeat(window, k),
        "impressions": np.ones(s * k),
        "clicks": click.reshape(-1),
    }
    return Chunk(**{name: np.asarray(v, np.int64) for name, v in flat.items()})


def log(seed, *, eta=1.0, **settings):
    """Exposures of a simulated log."""
    rng = np.random.default_rng(seed)
    query, document, grades = pages(rng, **settings)
    return chunk_of(query, document, pbm(rng, grades, user=User(eta=eta)))


def counted(chunk, *, positions=K, windows=1):
    """The sums of one chunk."""
    names = tuple(f"w{i}" for i in range(windows))
    counts = Counts.empty(positions, Windows(names, {}))
    counts.add(chunk)
    counts.contexts = [""] + [f"c{i}" for i in range(1, int(chunk.context.max(initial=0)) + 1)]
    return counts
