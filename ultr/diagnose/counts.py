"""Everything that a diagnosis takes from `exposures`, in one pass and in fixed memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultr.diagnose.chunks import (
    Chunk,
    Contexts,
    Windows,
    buckets,
    highest_position,
    read_chunk,
)
from ultr.diagnose.config import DiagnoseConfig
from ultr.diagnose.swaps import (
    POSITION_BITS,
    Shown,
    Swaps,
    add_up,
    find_swaps,
    group_of,
    within_context,
)
from ultr.etl.parallel import map_threads, workers
from ultr.lake import Lake
from ultr.manifest import File
from ultr.progress import progress

Floats = NDArray[np.float64]

GROUPS = 1024
"""Queries are summed into so many random groups, and groups are resampled: the variance of a sum
over queries is the same, and a log of any size needs no more memory."""

WINDOW_GROUPS = 256
_MASK = (1 << POSITION_BITS) - 1


@dataclass
class Counts:
    """Sums over a lake's exposures; `K` positions, `P = K(K−1)/2` unordered pairs of them.

    Attributes:
        positions: K.
        windows: the time windows, `W` of them.
        shown: `[W, G', K, 2]` impressions and clicks by group of queries.
        swaps: `[G, P, 3]` Σh, Σh·m at the upper and Σh·m' at the lower of two ranks, with the
            same h on both sides.
        window_swaps: `[W, G', P, 3]` the same within each window; empty with one window.
        nodes: node -> impressions.
        edges: (node, node) -> [documents seen at both, Σ min(n, n')].
        swapped: `[K]` impressions of documents that were seen at another rank too.
        pairs: (query, document) pairs.
        pairs_swapped: those seen at several ranks.
        looks: Σ over pairs of n(n − 1), of (n − 1)Σx and of (Σx)² − Σx², for ranks x: enough for
            the correlation of two looks at a document.
        contexts: texts of the context codes.
    """

    positions: int
    windows: Windows
    shown: Floats
    swaps: Floats
    window_swaps: Floats
    nodes: Counter[int] = field(default_factory=Counter)
    edges: dict[tuple[int, int], NDArray[np.int64]] = field(default_factory=dict)
    swapped: Floats = field(default_factory=lambda: np.zeros(0))
    pairs: int = 0
    pairs_swapped: int = 0
    looks: Floats = field(default_factory=lambda: np.zeros(3))
    contexts: list[str] = field(default_factory=list)

    @classmethod
    def empty(cls, positions: int, windows: Windows) -> Counts:
        """Nothing counted yet."""
        k, w = positions, len(windows.names)
        p = k * (k - 1) // 2
        return cls(
            positions=k,
            windows=windows,
            shown=np.zeros((w, WINDOW_GROUPS, k, 2)),
            swaps=np.zeros((GROUPS, p, 3)),
            window_swaps=np.zeros((w if w > 1 else 0, WINDOW_GROUPS, p, 3)),
            swapped=np.zeros(k),
        )

    @property
    def by_position(self) -> Floats:
        """`[K, 2]` impressions and clicks."""
        return np.asarray(self.shown.sum((0, 1)))

    @property
    def impressions(self) -> int:
        """Of all positions, those beyond K too."""
        return sum(self.nodes.values())

    def add(self, chunk: Chunk) -> None:
        """Count a chunk."""
        self.add_shown(chunk)
        found = add_up(chunk)
        swaps = find_swaps(found)
        self._add_nodes(found, swaps)
        self._add_coverage(found)
        self.swaps += self._by_pair(within_context(swaps), groups=GROUPS)
        for w in range(len(self.window_swaps)):
            part = Chunk(*(column[chunk.window == w] for column in chunk))
            inside = within_context(find_swaps(add_up(part)))
            self.window_swaps[w] += self._by_pair(inside, groups=WINDOW_GROUPS)

    def add_shown(self, chunk: Chunk) -> None:
        """Count impressions and clicks by window, group and position."""
        kept = chunk.position <= self.positions
        group = group_of(chunk.query[kept], groups=WINDOW_GROUPS)
        at = chunk.window[kept] * WINDOW_GROUPS + group
        at = at * self.positions + chunk.position[kept] - 1
        for i, values in enumerate((chunk.impressions, chunk.clicks)):
            self.shown[..., i] += _bins(at, values[kept], self.shown.shape[:3])

    def _by_pair(self, swaps: Swaps, *, groups: int) -> Floats:
        a, b = swaps.node_a & _MASK, swaps.node_b & _MASK  # one context: position_a < position_b
        kept = b <= self.positions
        swaps, a, b = Swaps(*(c[kept] for c in swaps)), a[kept], b[kept]
        shape = (groups, self.positions * (self.positions - 1) // 2)
        at = group_of(swaps.query, groups=groups) * shape[1] + pair_index(a, b)
        h = swaps.harmonic
        values = (h, h * swaps.clicks_a / swaps.n_a, h * swaps.clicks_b / swaps.n_b)
        return np.stack([_bins(at, v, shape) for v in values], axis=-1)

    def _add_nodes(self, found: Shown, swaps: Swaps) -> None:
        nodes, at = np.unique(found.node, return_inverse=True)
        sums = np.bincount(at, found.impressions, len(nodes))
        self.nodes.update(dict(zip(nodes.tolist(), sums.astype(int).tolist(), strict=True)))
        code_a, code_b = np.searchsorted(nodes, swaps.node_a), np.searchsorted(nodes, swaps.node_b)
        edges, at = np.unique(code_a * len(nodes) + code_b, return_inverse=True)
        documents = np.bincount(at, minlength=len(edges))
        least = np.bincount(at, np.minimum(swaps.n_a, swaps.n_b), len(edges))
        for edge, n, size in zip(edges.tolist(), documents, least, strict=True):
            key = (int(nodes[edge // len(nodes)]), int(nodes[edge % len(nodes)]))
            self.edges[key] = self.edges.get(key, np.zeros(2, np.int64)) + np.array([n, int(size)])

    def _add_coverage(self, found: Shown) -> None:
        n_pairs = int(found.pair[-1]) + 1 if len(found.pair) else 0
        start = np.searchsorted(found.pair, np.arange(n_pairs))
        if not n_pairs:
            return
        position = found.position
        several = np.minimum.reduceat(position, start) < np.maximum.reduceat(position, start)
        self.pairs += n_pairs
        self.pairs_swapped += int(several.sum())
        kept = several[found.pair] & (position <= self.positions)
        self.swapped += _bins(position[kept] - 1, found.impressions[kept], (self.positions,))
        n, x, xx = (
            np.bincount(found.pair, found.impressions * position.astype(np.float64) ** p, n_pairs)
            for p in (0, 1, 2)
        )
        self.looks += np.array([(n * (n - 1)).sum(), ((n - 1) * x).sum(), (x**2 - xx).sum()])

    def merge(self, other: Counts) -> None:
        """Add what another one counted."""
        for name in ("shown", "swaps", "window_swaps", "swapped", "looks"):
            mine: Floats = getattr(self, name)
            mine += getattr(other, name)
        self.nodes.update(other.nodes)
        for key, value in other.edges.items():
            self.edges[key] = self.edges.get(key, np.zeros(2, np.int64)) + value
        self.pairs += other.pairs
        self.pairs_swapped += other.pairs_swapped


def pair_index(a: NDArray[np.integer[Any]], b: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """The place of the unordered pair of positions a < b, from 1, among all pairs.

    It depends on neither the number of positions nor on a product: 2·6 = 3·4, {2, 6} ≠ {3, 4}.

    Example:
        >>> pair_index(np.array([1, 1, 2]), np.array([2, 3, 3])).tolist()
        [0, 1, 2]
    """
    return np.asarray((b - 1) * (b - 2) // 2 + a - 1, np.int64)


def count(lake: Lake, *, config: DiagnoseConfig, quiet: bool = True) -> Counts:
    """Count a lake's exposures, bucket by bucket.

    Raises:
        DataError: a file of the lake is gone or damaged.
    """
    windows, contexts = Windows.of(lake, most=config.windows), Contexts()
    positions = min(highest_position(lake), config.max_positions)
    out = Counts.empty(positions, windows)
    found = buckets(lake)
    threads = min(4, workers(2.0), max(len(found), 1))
    with progress("exposures", total=len(found), unit="buckets", quiet=quiet) as advance:

        def stripe(files: list[list[File]]) -> Counts:
            mine = Counts.empty(positions, windows)
            for bucket in files:
                mine.add(read_chunk(lake, bucket, windows, contexts))
                advance(1)
            return mine

        # A thread's sums are always of the same buckets: the same lake, the same sums.
        stripes = [found[i::threads] for i in range(threads)]
        for part in map_threads(stripe, stripes, threads=threads):
            out.merge(part)
    out.contexts = contexts.texts
    return out


def _bins(at: NDArray[np.int64], values: NDArray[Any], shape: tuple[int, ...]) -> Floats:
    size = int(np.prod(shape))
    return np.bincount(at, values, size).reshape(shape).astype(np.float64, copy=False)
