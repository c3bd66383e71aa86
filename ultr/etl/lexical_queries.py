"""The terms of every query, and the vocabulary that they make up."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ultr.commit import Commit
from ultr.etl.lexical_tokens import TERM_BITS, Longs, Terms, runs, text_blocks, tokenise


@dataclass(frozen=True)
class Queries:
    """Q queries with a text, and the V distinct terms in them.

    Held in memory: some 50 bytes per query and per distinct term.

    Args:
        query_id: `[Q]` ascending.
        length: `[Q]` tokens.
        start: `[Q + 1]` first entry of each query.
        term: `[E]` index into the vocabulary, ascending and distinct within a query.
        count: `[E]` times that the term occurs in the query.
        vocabulary: `[V]` hashes, ascending.
    """

    query_id: Longs
    length: Longs
    start: Longs
    term: NDArray[np.uint32]
    count: NDArray[np.int32]
    vocabulary: Terms

    def terms_in(self, hashes: Terms) -> tuple[NDArray[np.bool_], Longs]:
        """Which of the hashes are in the vocabulary, and the indices of those that are."""
        if not len(self.vocabulary):
            return np.zeros(len(hashes), bool), np.zeros(0, np.int64)
        shift, first = self._directory
        slot = (hashes >> shift).astype(np.int64)
        at, end = first[slot], first[slot + 1]
        # Few slots hold several terms, so that few hashes are looked at twice.
        behind = np.flatnonzero((at < end) & (self._at(at) < hashes))
        while len(behind):
            at[behind] += 1
            left = at[behind] < end[behind]
            behind = behind[left & (self._at(at[behind]) < hashes[behind])]
        is_known = (at < end) & (self._at(at) == hashes)
        return is_known, at[is_known]

    def _at(self, index: Longs) -> Terms:
        return self.vocabulary[np.minimum(index, len(self.vocabulary) - 1)]

    @cached_property
    def _directory(self) -> tuple[np.uint64, Longs]:
        """By how much to shift a hash to its slot, and the first term of each slot."""
        bits = max(4, (4 * len(self.vocabulary)).bit_length())
        shift = np.uint64(TERM_BITS - bits)
        slots = np.arange((1 << bits) + 1, dtype=np.uint64)
        return shift, np.searchsorted(self.vocabulary, slots << shift)


def read_queries(change: Commit) -> Queries:
    """Read the texts of the lake's queries."""
    ids, lengths, terms = [], [], []
    for block in text_blocks(change, "queries", ("query_id", "text")):
        tokens = tokenise(block["text"])
        ids.append(block["query_id"].to_numpy())
        lengths.append(tokens.length)
        terms.append(tokens.term)
    query_id = np.concatenate([np.zeros(0, np.int64), *ids])
    length = np.concatenate([np.zeros(0, np.int64), *lengths])
    term = np.concatenate([np.zeros(0, np.uint64), *terms])
    distinct, first = np.unique(query_id, return_index=True)
    # The row of each token, or Q for tokens of a query that was read before.
    number = np.full(len(query_id), len(distinct))
    number[first] = np.arange(len(distinct))
    query = np.repeat(number, length)
    kept = query < len(distinct)
    return _of(distinct, length[first], query[kept], term[kept])


def _of(query_id: Longs, length: Longs, query: Longs, hashes: Terms) -> Queries:
    vocabulary, term = np.unique(hashes, return_inverse=True)
    order = np.lexsort((term, query))
    key = np.stack([query[order], term[order]], axis=1)
    begin = np.flatnonzero(runs(key[:, 0]) | runs(key[:, 1]))
    entries = key[begin]
    sizes = np.bincount(entries[:, 0], minlength=len(query_id))
    return Queries(
        query_id=query_id,
        length=length,
        start=np.concatenate([[0], np.cumsum(sizes)]),
        term=entries[:, 1].astype(np.uint32),
        count=np.diff(begin, append=len(key)).astype(np.int32),
        vocabulary=vocabulary,
    )
