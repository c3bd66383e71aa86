"""Ranking metrics per query: nDCG, DCG, ERR, MRR, MAP and precision, for all queries at once.

Conventions: gain 2^grade − 1 (`linear`: the grade itself), discount 1 / log2(1 + rank), the ideal
over all documents of the query, relevant from grade 1. With linear gain nDCG, MAP, MRR and
precision are those of trec_eval, ties included: it ranks equal scores by *descending* document
number, and so do we.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ultr.errors import DataError
from ultr.letor import MAX_GRADE

Gain = Literal["exponential", "linear"]
Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]

CUTOFFS = (1, 3, 5, 10)
ERR_CUTOFF = 10


@dataclass(frozen=True)
class _Ranked:
    """Values per document in some order within each query, with the queries one after the other.

    Args:
        grade: `[N]`.
        query: `[N]` ascending.
        start: `[Q]` first document of each query.
        size: `[Q]` documents of each query.
    """

    grade: Floats
    query: NDArray[np.int64]
    start: NDArray[np.int64]
    size: NDArray[np.int64]

    @property
    def rank(self) -> NDArray[np.int64]:
        """`[N]` from 1."""
        return np.arange(1, len(self.query) + 1) - self.start[self.query]

    def top(self, k: int) -> Floats:
        """`[Q, k]` grades at ranks 1 to k, 0 below the last document."""
        at = self.start[:, None] + np.arange(k)
        is_there = np.arange(k) < self.size[:, None]
        return np.where(is_there, self.grade[at.clip(max=len(self.grade) - 1)], 0.0)


def ranking_metrics(
    scores: NDArray[np.floating[Any]],
    grades: Ints,
    *,
    query: Ints,
    document: Ints,
    max_grade: int,
    gain: Gain = "exponential",
) -> dict[str, NDArray[Any]]:
    """Metrics of every query with at least one relevant document.

    Args:
        scores: `[N]` higher ranks first.
        grades: `[N]` 0 is irrelevant, negative ones (spam) count as 0.
        query: `[N]` which query a document belongs to, 0 to Q − 1, each at least once.
        document: `[N]` ids; among equal scores the higher id ranks first.
        max_grade: top grade of the scale, for ERR.
        gain: exponential, or linear for figures of trec_eval.

    Returns:
        `query` (index), `n_documents`, `n_relevant`, and `ndcg@k dcg@k precision@k` for k in
        `CUTOFFS`, `err@10`, `mrr`, `map`, each `[Q']` for the Q' queries with a relevant document.

    Raises:
        DataError: a score that is not a number, or a grade above `max_grade`.

    Source:
        Järvelin & Kekäläinen 2002 (nDCG); Chapelle et al. 2009 (ERR); trec_eval 9.

    Example:
        >>> m = ranking_metrics(
        ...     np.array([0.9, 0.1]), np.array([0, 1]), query=np.array([0, 0]),
        ...     document=np.array([1, 2]), max_grade=4,
        ... )
        >>> float(m["mrr"][0])
        0.5
    """
    _check(scores, grades, max_grade=max_grade)
    grade = np.maximum(grades, 0).astype(np.float64)
    # ~ reverses the order of integers without overflow at the smallest one.
    by_score = _ranked(grade, query, np.lexsort((~document.astype(np.int64), -scores, query)))
    by_grade = _ranked(grade, query, np.lexsort((-grade, query)))
    n_relevant = np.add.reduceat(by_score.grade > 0, by_score.start, dtype=np.int64)
    out: dict[str, NDArray[Any]] = {
        "query": np.arange(len(by_score.size)),
        "n_documents": by_score.size,
        "n_relevant": n_relevant,
        **_discounted(by_score, by_grade, gain=gain),
        f"err@{ERR_CUTOFF}": _err(by_score.top(ERR_CUTOFF), max_grade=max_grade),
        **_binary(by_score, n_relevant),
    }
    is_evaluated = n_relevant > 0
    return {name: values[is_evaluated] for name, values in out.items()}


def _check(scores: NDArray[np.floating[Any]], grades: Ints, *, max_grade: int) -> None:
    bad = ~np.isfinite(scores)
    if bad.any():
        raise DataError(
            "every score must be a finite number",
            got=f"{int(bad.sum()):,} of {len(scores):,} are not, the first is {scores[bad][0]}",
            hint="look for wild values in the features, and train again",
        )
    highest = int(grades.max(initial=0))
    if highest > min(max_grade, MAX_GRADE):
        wider = f"say --max-grade {highest}, or " if highest <= MAX_GRADE else ""
        raise DataError(
            f"grades go up to {min(max_grade, MAX_GRADE)}",
            got=f"a grade of {highest}",
            hint=wider + "correct the grades",
        )


def _ranked(grade: Floats, query: Ints, order: NDArray[np.intp]) -> _Ranked:
    size = np.bincount(query)
    start = np.cumsum(size) - size
    return _Ranked(grade[order], query[order].astype(np.int64), start, size)


def _discounted(by_score: _Ranked, by_grade: _Ranked, *, gain: Gain) -> dict[str, Floats]:
    deepest = max(CUTOFFS)
    discount = 1 / np.log2(1 + np.arange(1, deepest + 1))

    def dcg(ranked: _Ranked) -> Floats:
        top = ranked.top(deepest)
        gains = top if gain == "linear" else np.exp2(top) - 1
        return np.cumsum(gains * discount, axis=1)

    got, ideal = dcg(by_score), dcg(by_grade)
    # Without a relevant document the ideal is 0; such queries are left out by the caller.
    share = np.divide(got, ideal, out=np.zeros_like(got), where=ideal > 0)
    ndcg = {f"ndcg@{k}": share[:, k - 1] for k in CUTOFFS}
    return ndcg | {f"dcg@{k}": got[:, k - 1] for k in CUTOFFS}


def _err(top: Floats, *, max_grade: int) -> Floats:
    """Chapelle et al. 2009, eq. 4: Σ_r 1/r R_r Π_{i<r} (1 − R_i), R = (2^g − 1) / 2^g_max."""
    stops = (np.exp2(top) - 1) / np.exp2(max_grade)
    goes_on = np.cumprod(1 - stops, axis=1)
    arrives = np.concatenate([np.ones((len(top), 1)), goes_on[:, :-1]], axis=1)
    return np.asarray((arrives * stops / np.arange(1, top.shape[1] + 1)).sum(axis=1))


def _binary(ranked: _Ranked, n_relevant: NDArray[np.int64]) -> dict[str, Floats]:
    """MRR and MAP over the whole ranking, precision at the cut-offs."""
    rank = ranked.rank
    is_relevant = ranked.grade > 0
    total = np.cumsum(is_relevant)
    before: NDArray[np.int64] = (total - is_relevant)[ranked.start]
    seen: NDArray[np.int64] = total - before[ranked.query]
    average = np.add.reduceat(is_relevant * seen / rank, ranked.start)
    is_first = is_relevant & (seen == 1)
    hits = np.cumsum(ranked.top(max(CUTOFFS)) > 0, axis=1)
    return {
        "mrr": np.add.reduceat(is_first / rank, ranked.start),
        "map": average / np.maximum(n_relevant, 1),
        **{f"precision@{k}": hits[:, k - 1] / k for k in CUTOFFS},
    }
