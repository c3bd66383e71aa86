"""Logs whose truth is known, for tests of estimates without labels."""

import numpy as np

from ultr.eval.counterfactual import Pairs

THETA = np.array([1.0, 0.7, 0.45, 0.3, 0.2])


def logged_pairs(rng, *, queries, sessions, docs=8, noise=1.0, model_error=0.3):
    """Pages of a Plackett-Luce logger under a position-based model, and a better new ranking.

    Returns:
        The pairs with places valued in clicks, and the true clicks per session of the new ranking
        and of the logged one on exactly these queries.
    """
    depth = len(THETA)
    gamma = rng.beta(1, 3, (queries, docs))
    logger = np.log(gamma) + noise * rng.normal(size=gamma.shape)
    n = rng.integers(1, 2 * sessions, queries)
    clicks, examination, logged = (np.zeros(gamma.shape) for _ in range(3))
    for q in range(queries):
        gumbel = rng.gumbel(size=(n[q], docs))
        page = np.argsort(-(logger[q] + gumbel), axis=1)[:, :depth]
        clicked = rng.random(page.shape) < THETA * gamma[q][page]
        seen = np.broadcast_to(THETA, page.shape).ravel()
        clicks[q] = np.bincount(page.ravel(), clicked.ravel(), docs)
        examination[q] = np.bincount(page.ravel(), seen, docs)
        logged[q] = examination[q] / n[q]
    best = np.argsort(-(np.log(gamma) + 0.3 * rng.normal(size=gamma.shape)), axis=1)[:, :depth]
    new = np.zeros_like(gamma)
    np.put_along_axis(new, best, np.broadcast_to(THETA, best.shape), axis=1)
    attraction = np.clip(gamma * np.exp(model_error * rng.normal(size=gamma.shape)), 0, 1)
    # What the logger shows on average, known exactly: many more pages than were logged.
    gumbel = rng.gumbel(size=(4000, 1, docs))
    order = np.argsort(-(logger + gumbel), axis=2)[:, :, :depth]
    of_logger = np.zeros(queries)
    for q in range(queries):
        of_logger[q] = (THETA * gamma[q][order[:, q]]).sum(axis=1).mean()
    pairs = Pairs(
        query=np.repeat(np.arange(queries), docs),
        clicks=clicks.ravel(),
        examination=examination.ravel(),
        attraction=attraction.ravel(),
        new=new.ravel(),
        logged=logged.ravel(),
        sessions=n.astype(float),
    )
    truth = (n * (new * gamma).sum(axis=1)).sum() / n.sum()
    return pairs, truth, (n * of_logger).sum() / n.sum()
