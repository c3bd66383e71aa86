"""Swaps: the same document for the same query at several ranks, which is what identifies bias."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.diagnose.chunks import Chunk
from ultr.etl.grouping import mix

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

POSITION_BITS = 15
"""Positions are int16: a node is a context's code, then a position in so many bits."""


class Shown(NamedTuple):
    """What was shown where, summed over time: `[N]` rows, those of a (query, document) together.

    Attributes:
        query: ids.
        pair: a number for each (query, document), ascending.
        node: `context << POSITION_BITS | position`, ascending within a pair.
        impressions: times shown.
        clicks: times clicked.
    """

    query: Longs
    pair: Longs
    node: Longs
    impressions: Longs
    clicks: Longs

    @property
    def position(self) -> Longs:
        """`[N]` ranks from 1."""
        return self.node & ((1 << POSITION_BITS) - 1)


class Swaps(NamedTuple):
    """A document at two nodes, `[S]` each; `a` is the lesser node.

    Attributes:
        query: ids.
        node_a: one node.
        node_b: the other.
        n_a: impressions at `a`.
        n_b: impressions at `b`.
        clicks_a: clicks at `a`.
        clicks_b: clicks at `b`.
    """

    query: Longs
    node_a: Longs
    node_b: Longs
    n_a: Longs
    n_b: Longs
    clicks_a: Longs
    clicks_b: Longs

    @property
    def harmonic(self) -> Floats:
        """`[S]` h = n·n'/(n + n'), the weight of *both* sides (Agarwal et al. 2019, WSDM).

        Each side weighted by its own impressions would sum to raw clicks, and bring back the
        logger's opinion of relevance.
        """
        return np.asarray(self.n_a * (self.n_b / (self.n_a + self.n_b)), np.float64)


def add_up(chunk: Chunk) -> Shown:
    """Sum over periods, and bring the nodes of each (query, document) together."""
    node = chunk.context << POSITION_BITS | chunk.position
    # One word to sort: a hash of (query, document), its low bits replaced by the node. Without
    # contexts about 60 bits are left to tell a bucket's few million pairs apart.
    bits = np.uint64(max(int(node.max(initial=0)).bit_length(), 1))
    pair = mix(mix(chunk.query) ^ chunk.document.astype(np.uint64))
    word = pair >> bits << bits | node.astype(np.uint64)
    order = np.argsort(word)
    word = word[order]
    is_first, is_new = np.ones(len(order), bool), np.ones(len(order), bool)
    is_first[1:] = word[1:] != word[:-1]
    pair = word >> bits
    is_new[1:] = pair[1:] != pair[:-1]
    start = np.flatnonzero(is_first)
    return Shown(
        chunk.query[order[start]],
        (np.cumsum(is_new) - 1)[start],
        node[order[start]],
        _sums(chunk.impressions[order], start),
        _sums(chunk.clicks[order], start),
    )


def find_swaps(shown: Shown) -> Swaps:
    """Every two nodes at which a (query, document) was seen."""
    parts: list[tuple[Longs, Longs]] = []
    step = 1
    at = np.arange(len(shown.pair))
    while True:
        at = at[at + step < len(shown.pair)]
        at = at[shown.pair[at] == shown.pair[at + step]]  # those without a partner have no further
        if not len(at):
            break
        parts.append((at, at + step))
        step += 1
    a, b = (
        np.concatenate([p[i] for p in parts]) if parts else np.zeros(0, np.int64) for i in (0, 1)
    )
    return Swaps(
        shown.query[a], shown.node[a], shown.node[b], shown.impressions[a], shown.impressions[b],
        shown.clicks[a], shown.clicks[b],
    )  # fmt: skip


def within_context(swaps: Swaps) -> Swaps:
    """Those of two ranks in one context: only there is the rank all that changed."""
    is_same = swaps.node_a >> POSITION_BITS == swaps.node_b >> POSITION_BITS
    return Swaps(*(column[is_same] for column in swaps))


def group_of(query: Longs, *, groups: int) -> Longs:
    """Which of so many groups each query belongs to, by hash."""
    return (mix(query ^ np.int64(0x5EED)) % np.uint64(groups)).astype(np.int64)


def _sums(values: NDArray[Any], start: Longs) -> Longs:
    if not len(start):
        return np.zeros(0, np.int64)
    return np.asarray(np.add.reduceat(values, start), np.int64)
