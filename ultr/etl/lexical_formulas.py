"""What one query term adds to the match of a query and a document, formula by formula.

Every function takes entries `[E]`, one per (pair, distinct term of the query), and gives what the
entry adds to the pair's value; a pair's value is the sum. Symbols: c(t,d) times that term t occurs
in the document's field, c(t,q) in the query, |d| tokens of the field, |d|ᵤ distinct tokens of it;
df(t) documents with the term in this field, N documents that have the field, cf(t) = Σ c(t,d) and
|C| = Σ |d| over them; p(t|C) = cf(t) / |C|.

Sources: Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009);
Zhai and Lafferty, "A Study of Smoothing Methods for Language Models Applied to Information
Retrieval" (TOIS 2004); Qin et al., "LETOR: A Benchmark Collection for Research on Learning to Rank
for Information Retrieval" (2010), whose low-level features these are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Entries:
    """Occurrences of query terms in one field.

    Args:
        tf: `[E]` c(t,d).
        qtf: `[E]` c(t,q).
        df: `[E]` df(t).
        cf: `[E]` cf(t).
        length: `[E]` |d|.
        unique: `[E]` |d|ᵤ.
        documents: N.
        tokens: |C|.
    """

    tf: Floats
    qtf: Floats
    df: Floats
    cf: Floats
    length: Floats
    unique: Floats
    documents: int
    tokens: int

    @property
    def background(self) -> Floats:
        """p(t|C); a term that the collection lacks counts as half an occurrence, as in Indri."""
        return np.maximum(self.cf, 0.5) / max(self.tokens, 1)


def tf(e: Entries) -> Floats:
    """Term frequency: Σ c(t,q) c(t,d)."""
    return e.qtf * e.tf


def idf(e: Entries) -> Floats:
    """Inverse document frequency of the terms that match: Σ c(t,q) ln(N / df(t)), t in d."""
    return np.where(e.tf > 0, e.qtf * np.log(max(e.documents, 1) / np.maximum(e.df, 1)), 0.0)


def tfidf(e: Entries) -> Floats:
    """TF-IDF: Σ c(t,q) c(t,d) ln(N / df(t))."""
    return e.tf * idf(e)


def bm25(e: Entries, *, k1: float, b: float) -> Floats:
    """BM25 (Robertson and Zaragoza 2009, eq. 3.15): Σ c(t,q) w(t) c(t,d) (k1 + 1) / (c(t,d) + K).

    K = k1 (1 − b + b |d| / mean |d|); w(t) = ln(1 + (N − df(t) + ½) / (df(t) + ½)), the
    Robertson-Spärck Jones weight with a 1 under the logarithm, so that a term which most documents
    have does not count against the one that has it.
    """
    weight = np.log1p((e.documents - e.df + 0.5) / (e.df + 0.5))
    mean = e.tokens / max(e.documents, 1)
    saturation = k1 * (1 - b + b * e.length / max(mean, 1e-12))
    # Without a match nothing is added; k1 = 0 would divide 0 by 0.
    share = e.tf * (k1 + 1) / np.where(e.tf > 0, e.tf + saturation, 1.0)
    return e.qtf * weight * share


def jelinek_mercer(e: Entries, *, jm_lambda: float) -> Floats:
    """Query likelihood, Jelinek-Mercer: Σ c(t,q) ln((1 − λ) c(t,d) / |d| + λ p(t|C))."""
    seen = e.tf / np.maximum(e.length, 1)
    return e.qtf * np.log((1 - jm_lambda) * seen + jm_lambda * e.background)


def dirichlet(e: Entries, *, dirichlet_mu: float) -> Floats:
    """Query likelihood, Dirichlet prior: Σ c(t,q) ln((c(t,d) + μ p(t|C)) / (|d| + μ))."""
    return e.qtf * np.log((e.tf + dirichlet_mu * e.background) / (e.length + dirichlet_mu))


def absolute_discount(e: Entries, *, absolute_delta: float) -> Floats:
    """Query likelihood, absolute discounting.

    Σ c(t,q) ln(max(c(t,d) − δ, 0) / |d| + δ |d|ᵤ / |d| p(t|C)); for an empty field p(t|C) alone.
    """
    length = np.maximum(e.length, 1)
    seen = np.maximum(e.tf - absolute_delta, 0) / length
    share = np.where(e.length > 0, absolute_delta * e.unique / length, 1.0)
    return e.qtf * np.log(seen + share * e.background)


def covered(e: Entries) -> Floats:
    """Distinct query terms that the field has."""
    return (e.tf > 0).astype(np.float64)
