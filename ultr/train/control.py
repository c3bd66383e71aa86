"""Propensities beside what the logging policy knew: a closed-form fit with control covariates.

A ranker misses some of relevance: it is held small, and it sees a document without the others of
its page. The logging policy knew part of what is missed, so that it goes along with the position,
and a curve learned beside that ranker alone takes it for examination. Here relevance may also
depend on an estimate of the logging policy's score s, and on how both scores stand to those of the
query's other documents: a document at the top beat the others, so that, its own features given,
the others are worse. Given the policy's score, what is left of the position is chance: the backdoor
adjustment of UPE (Luo et al., Unconfounded Propensity Estimation for Unbiased Ranking, 2023), by
covariates instead of a second network.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.train.policy import LISTS, Evidence, impressions, query_mean

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]

_PRIOR_CLICKS = 1.0
"""Weight of the curve and ranker that the fit begins with, in clicks. It also keeps the sum of the
log propensities, on which the likelihood does not depend, where it was."""

_STEPS = 50
_CHUNK = 400_000
"""Documents of lists that are worked on at once."""

_MOST_CELLS = 2000
"""Of a table of propensities that is fitted cell by cell: the curvature has a row for each."""


def controlled_logits(found: Evidence, *, logits: Floats) -> Floats:
    """`[P, *levels]` log propensities that explain the clicks beside ranker and logging policy.

    Newton's method on the listwise click likelihood, which is concave in the covariates'
    coefficients and the log propensities.

    Args:
        found: lists of the training split, with the scores of a ranker trained jointly with the
            propensities.
        logits: `[P, *levels]` those propensities, to begin with. Of a table of more than 2,000
            only the positions are fitted: every context keeps how it stands to the others.
    """
    data, design = found.data, covariates(found)
    chosen = np.arange(data.n_lists)
    if data.n_lists > LISTS:
        chosen = np.sort(np.random.default_rng(0).choice(data.n_lists, LISTS, replace=False))
    # Where a list's document stands: its cell in the flattened table.
    at = (np.maximum(data.position - 1, 0), *np.moveaxis(data.context, -1, 0))
    cell = np.ravel_multi_index(at, logits.shape)
    offset, own = np.zeros(cell.shape), logits.ravel()
    by_position = logits.size > _MOST_CELLS
    if by_position:
        offset, own, cell = own[cell], np.zeros(len(logits)), at[0]
    start = np.concatenate([[1.0], np.zeros(design.shape[1] - 1), own])
    fitted = _newton(_Problem(data, chosen, design, cell, offset, start))[design.shape[1] :]
    if by_position:
        return logits + fitted.reshape(-1, *[1] * (logits.ndim - 1))
    return fitted.reshape(logits.shape)


def falling(logits: Floats, *, clicks: Floats) -> Floats:
    """`[P, *levels]` the nearest log propensities that never rise from one position to the next.

    Isotonic regression by its max-min formula: the least over i ≤ k of the greatest over j ≥ k of
    the mean of positions i to j (Robertson, Wright and Dykstra, Order Restricted Statistical
    Inference, 1988, equation 1.4.3, turned round).

    Args:
        logits: `[P, *levels]`.
        clicks: `[P', *levels]` of the first positions: what each logit counts for, beside the
            prior's click.
    """
    weight = np.full(logits.shape, _PRIOR_CLICKS)
    weight[: len(clicks)] += clicks
    is_run = np.triu(np.ones((len(logits), len(logits)), bool))
    out = np.empty_like(logits)
    for context in np.ndindex(logits.shape[1:]):
        w, y = weight[:, *context], logits[:, *context]
        # Sums of positions i to j, `[P, P]`.
        of_weight, of_both = (
            np.cumsum(v)[None, :] - (np.cumsum(v) - v)[:, None] for v in (w, w * y)
        )
        mean = np.divide(of_both, of_weight, where=is_run, out=np.full(is_run.shape, -np.inf))
        greatest = np.maximum.accumulate(mean[:, ::-1], axis=1)[:, ::-1]
        out[:, *context] = np.where(is_run, greatest, np.inf).min(axis=0)
    return out


def covariates(found: Evidence) -> Floats:
    """`[N, 5]` of each document: f, s, s², f·f̄ and s·s̄.

    f is the ranker's score, s the logging policy's in standard deviations, and a bar the mean over
    the query's shown documents.
    """
    data, score, s = found
    is_shown = impressions(data) > 0
    f_mean, s_mean = (query_mean(data, values, where=is_shown) for values in (score, s))
    spread = max(float(score.std()), 1e-6)
    return np.stack([score, s, s**2, score * f_mean / spread, s * s_mean], axis=1)


class _Problem(NamedTuple):
    """What does not change between Newton's steps.

    Attributes:
        data: the lists.
        lists: which of them to use.
        design: `[N, M]` covariates.
        cell: `[L, K]` which of the C numbers that are fitted is a document's log propensity.
        offset: `[L, K]` what is added to it.
        start: `[M + C]` what the fit begins with.
    """

    data: Lists
    lists: NDArray[np.intp]
    design: Floats
    cell: Ints
    offset: Floats
    start: Floats


def _newton(problem: _Problem) -> Floats:
    """Minimise the click NLL plus the prior's `½ λ |x − start|²`, halving steps that overshoot."""
    x = problem.start
    value, gradient, curvature = _terms(problem, x)
    for _ in range(_STEPS):
        step = np.linalg.solve(curvature, gradient)
        decrease = float(gradient @ step)
        if decrease < 1e-9 * max(value, 1.0):
            break
        size = 1.0
        while size > 1e-6:
            tried = x - size * step
            terms = _terms(problem, tried)
            if terms[0] <= value - 1e-4 * size * decrease:
                x, (value, gradient, curvature) = tried, terms
                break
            size /= 2
        else:
            break
    return x


def _terms(problem: _Problem, x: Floats) -> tuple[float, Floats, Floats]:
    """Value, gradient and Hessian of what is minimised."""
    m = problem.design.shape[1]
    value = 0.5 * _PRIOR_CLICKS * float(((x - problem.start) ** 2).sum())
    gradient = _PRIOR_CLICKS * (x - problem.start)
    curvature = _PRIOR_CLICKS * np.eye(len(x))
    size = max(1, _CHUNK // problem.cell.shape[1])
    for first in range(0, len(problem.lists), size):
        p, n, clicks, nll = _clicks_and_chances(problem, problem.lists[first : first + size], x)
        at = problem.lists[first : first + size]
        rows, cell = problem.design[problem.data.document[at]], problem.cell[at]
        w = n * p
        value += nll
        gradient[:m] += np.einsum("lk,lkm->m", w - clicks, rows)
        gradient[m:] += np.bincount(cell.ravel(), (w - clicks).ravel(), len(x) - m)
        # Σ n p (r − r̄)(r − r̄)ᵀ of rows r = (covariates, one-hot cell), whose second half is sparse.
        centred = rows - np.einsum("lk,lkm->lm", p, rows)[:, None]
        flat = centred.reshape(-1, m)
        curvature[:m, :m] += flat.T @ (w.reshape(-1, 1) * flat)
        mixed = [
            np.bincount(cell.ravel(), (w * column).ravel(), len(x) - m)
            for column in np.moveaxis(centred, -1, 0)
        ]
        curvature[:m, m:] += mixed
        curvature[m:, :m] += np.transpose(mixed)
        curvature[m:, m:] += _between_cells(cell, w, p, size=len(x) - m)
    return value, gradient, curvature


def _clicks_and_chances(
    problem: _Problem, at: NDArray[np.intp], x: Floats
) -> tuple[Floats, Floats, Floats, float]:
    """Chances of a click `[l, K]`, clicks of each list `[l, 1]` and document, and their NLL."""
    data, m = problem.data, problem.design.shape[1]
    where = data.where[at]
    # Products first: a document's are the same in all its lists.
    score = (problem.design @ x[:m])[data.document[at]]
    z = np.where(where, score + x[m:][problem.cell[at]] + problem.offset[at], -np.inf)
    z -= z.max(axis=1, keepdims=True)
    p = np.exp(z)
    total = p.sum(axis=1, keepdims=True)
    clicks = np.where(where, data.clicks[at], 0.0).astype(np.float64)
    nll = -float((clicks * np.where(where, z - np.log(total), 0.0)).sum())
    return p / total, clicks.sum(axis=1, keepdims=True), clicks, nll


def _between_cells(cell: Ints, w: Floats, p: Floats, *, size: int) -> Floats:
    """`[C, C]` of the one-hot cells: diag(Σ w) less Σ w pᵀ, where a list has K cells of C."""
    if size <= cell.shape[1] * 4:  # few: a product of matrices
        list_of = np.arange(len(cell))[:, None] * size
        spread = np.bincount((list_of + cell).ravel(), p.ravel(), len(cell) * size)
        spread = spread.reshape(-1, size)
        n = w.sum(axis=1, keepdims=True)
        pairs = (n * spread).T @ spread
    else:
        place = cell[:, :, None] * size + cell[:, None, :]
        both = w[:, :, None] * p[:, None, :]
        pairs = np.bincount(place.ravel(), both.ravel(), size * size).reshape(size, size)
    return np.asarray(np.diag(np.bincount(cell.ravel(), w.ravel(), size)) - pairs, np.float64)
