"""What a log says about examination: is the curve identified, or does it rest on features alone?

Relevance and examination can be told apart where the same (query, document) was seen at several
positions and these links connect all positions (Chen et al. 2024: the identifiability graph). With
one fixed list per query nothing but features that positions share tells them apart, and where even
that is missing any curve fits as well as any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.data.lists import Bools
from ultr.train.lake_lists import LakeLists
from ultr.train.overlap import MOST_DOCUMENTS, separation, shown_at

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]
Longs = NDArray[np.int64]

MIN_IMPRESSIONS = 100.0
"""Harmonic impressions that make a link: at a click rate of .25, a ratio known to about .3."""

MAX_SEPARATION = 0.98
"""AUC of telling two positions apart by features, above which they have no documents in common."""

_MIN_SHARE = 0.01
"""Positions shown less often than this beside the most frequent one do not decide the state."""

_CELLS = 4_000_000
"""(document, position) pairs held at once."""


@dataclass(frozen=True)
class Identification:
    """What the curve of a training rests on.

    Args:
        state: `swaps` (positions are connected through documents seen at several of them),
            `features only` (by documents with like features, an extrapolation), or `none`.
        impressions: harmonic impressions of the weakest link that is needed to connect all
            positions by swaps; 0 where they are not connected.
        separation: the highest AUC of telling a position from the next by features, 1 without
            features; None where swaps make it needless.
    """

    state: Literal["swaps", "features only", "none"]
    impressions: float
    separation: float | None

    def to_json(self) -> dict[str, Any]:
        """The same as a JSON object.

        Returns:
            Field -> value.
        """
        return asdict(self)

    def sentence(self) -> str:
        """What it means, for people."""
        match self.state:
            case "swaps":
                return (
                    "identified by swaps: documents seen at several positions connect all "
                    f"positions (weakest link {self.impressions:,.0f} impressions)"
                )
            case "features only":
                return (
                    "extrapolated from features only: too few documents were seen at several "
                    "positions, so the curve rests on documents with like features at different "
                    f"positions (neighbours told apart with an AUC of {self.separation:.2f})"
                )
        return (
            "not identified: too few documents were seen at several positions (weakest link "
            f"{self.impressions:,.0f} impressions, {MIN_IMPRESSIONS:.0f} are needed), and no "
            "features are shared by positions; other curves would explain the clicks as well"
        )


def identify(data: Lists | LakeLists, *, by: str, by_features: bool) -> Identification:
    """The identification state of the lists that a training learns from.

    Lists above memory_limit are read bucket by bucket, all of them: the links of a part are too
    weak by what the others would add.

    Args:
        data: all lists, those without clicks included.
        by: what they are split by, `query` or `session`; only the training split is looked at.
        by_features: whether the ranker reads features; one parameter per pair shares nothing.

    Example:
        >>> identify(data, by="query", by_features=True).state  # doctest: +SKIP
        'swaps'
    """

    def pieces(with_features: bool) -> Iterable[tuple[Lists, Bools]]:
        found = data.pieces(with_features=with_features) if isinstance(data, LakeLists) else [data]
        return ((some, some.is_in("train", by=by)) for some in found)

    position = _frequent_positions(pieces(False))
    weakest = weakest_link(
        np.sum(
            [swaps(some, _of(some, lists), position=position) for some, lists in pieces(False)],
            axis=0,
        )
    )
    if weakest >= MIN_IMPRESSIONS or len(position) == 1:  # one position has nothing to identify
        return Identification("swaps", round(weakest, 1), None)
    apart = 1.0
    if by_features and data.n_features:
        most = MOST_DOCUMENTS
        if isinstance(data, LakeLists):
            most = min(most, data.at_once // len(position))
        apart = separation(
            shown_at(pieces, position=position, n_features=data.n_features, most=most)
        )
    state: Literal["features only", "none"] = "features only" if apart <= MAX_SEPARATION else "none"
    return Identification(state, round(weakest, 1), round(apart, 4))


def swaps(data: Lists, sessions: Longs, *, position: Ints) -> Floats:
    """`[P, P]` harmonic impressions `Σ n·n'/(n + n')` of documents seen at both of two positions.

    The weight of a pair in intervention harvesting (Agarwal et al. 2019): a document seen a
    thousand times at one position and once at another says little. Where features depend on the
    period, a document of another period is another one.

    Args:
        data: the lists.
        sessions: `[L]` that each list stands for; 0 leaves it out.
        position: `[P]` the positions to connect, ascending.
    """
    out = np.zeros((len(position), len(position)))
    column = np.full(max(data.max_position, int(position.max(initial=0))) + 1, -1)
    column[position] = np.arange(len(position))
    for documents, lists in _blocks(data, cells=_CELLS // len(position)):
        at = np.where(data.where[lists], column[data.position[lists]], -1)
        weight = np.broadcast_to(sessions[lists][:, None], at.shape)[at >= 0]
        row = data.document[lists][at >= 0] - documents.start
        size = (documents.stop - documents.start, len(position))
        n = np.bincount(row * size[1] + at[at >= 0], weight, size[0] * size[1]).reshape(size)
        n = n[(n > 0).sum(axis=1) > 1]  # most documents of a large log are seen at one position
        for k in range(len(position)):
            seen = n[n[:, k] > 0]
            out[k] += (seen[:, k, None] * seen / (seen[:, k, None] + seen)).sum(axis=0)
    np.fill_diagonal(out, 0.0)
    return out


def _blocks(data: Lists, *, cells: int) -> Iterator[tuple[slice, slice]]:
    """Documents and lists of consecutive whole queries, about `cells` documents at a time."""
    query = 0
    while query < len(data.query_id):
        begin = int(data.query_start[query])
        end = int(np.searchsorted(data.query_start, begin + cells, side="right")) - 1
        end = max(end, query + 1)
        lists = np.searchsorted(data.list_query, (query, end))
        yield slice(begin, int(data.query_start[end])), slice(int(lists[0]), int(lists[1]))
        query = end


def weakest_link(links: Floats) -> float:
    """The least weight on the maximum spanning tree of a graph `[P, P]`; 0 if not connected.

    Prim's algorithm: of all ways to connect the positions, the one whose weakest link is strongest.

    Example:
        >>> weakest_link(np.array([[0.0, 5.0, 1.0], [5.0, 0.0, 3.0], [1.0, 3.0, 0.0]]))
        3.0
    """
    if len(links) < 2:
        return 0.0
    best, is_reached = links[0].copy(), np.zeros(len(links), bool)
    is_reached[0], weakest = True, np.inf
    for _ in range(len(links) - 1):
        nearest = int(np.argmax(np.where(is_reached, -1.0, best)))
        weakest = min(weakest, float(best[nearest]))
        is_reached[nearest] = True
        best = np.maximum(best, links[nearest])
    return float(weakest)


def _of(data: Lists, lists: Bools) -> Longs:
    """`[L]` sessions of the chosen lists, 0 of others."""
    return np.where(lists, data.sessions, 0)


def _frequent_positions(pieces: Iterable[tuple[Lists, Bools]]) -> Ints:
    """`[P]` positions that are not rare, ascending."""
    shown = np.zeros(0)
    for data, lists in pieces:
        weight = np.broadcast_to(_of(data, lists)[:, None], data.where.shape)[data.where]
        own = np.bincount(data.position[data.where], weight).astype(np.float64)
        size = max(len(own), len(shown))
        shown = np.pad(shown, (0, size - len(shown))) + np.pad(own, (0, size - len(own)))
    return np.flatnonzero(shown > _MIN_SHARE * shown.max(initial=0))
