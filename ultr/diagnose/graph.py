"""The identifiability graph: what is connected, by how much, and how to connect the rest.

Relevance and bias are told apart, up to one common factor, iff the graph is connected whose nodes
are the bias factors (ranks, or ranks × contexts) and whose edges join two of them at which the same
document was seen for the same query (Chen et al. 2024, "Identifiability matters").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Node = tuple[int, str]
"""Position, from 1, and bias context, empty without one."""


@dataclass(frozen=True)
class Edge:
    """Two nodes at which the same documents were seen.

    Args:
        a: one node.
        b: the other.
        documents: (query, document) pairs seen at both.
        impressions: of these pairs, the smaller of both nodes' impressions, summed.
    """

    a: Node
    b: Node
    documents: int
    impressions: int


@dataclass(frozen=True)
class Step:
    """One repair: two nodes to be treated as one, or between which results are to be swapped.

    Args:
        a: a node of one component.
        b: a node of another.
        cost: distance in ranks, plus 1 where the context differs.
    """

    a: Node
    b: Node
    cost: int


@dataclass(frozen=True)
class Graph:
    """Nodes and edges.

    Args:
        nodes: ascending.
        edges: between them.
    """

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def components(self, *, least: int = 1) -> tuple[tuple[Node, ...], ...]:
        """Sets of connected nodes, through edges of at least so many impressions.

        Example:
            >>> Graph(((1, ""), (2, "")), ()).components()
            (((1, ''),), ((2, ''),))
        """
        joined = [(e.a, e.b) for e in self.edges if e.impressions >= least]
        return components(self.nodes, joined)

    def weak(self, *, least: int) -> tuple[Edge, ...]:
        """Edges without which the graph falls apart, though each is of fewer impressions.

        The strongest spanning forest is taken: what it needs has no stronger way around.
        """
        joined = _Sets(self.nodes)
        needed = [e for e in sorted(self.edges, key=_by_strength) if joined.join(e.a, e.b)]
        return tuple(e for e in needed if e.impressions < least)

    def repairs(self, *, least: int = 1) -> tuple[Step, ...]:
        """The cheapest swaps, or merges, that make one component: a minimum spanning tree.

        Between two components the nodes that are nearest are taken; merging them, or swapping
        results between them, connects the two.
        """
        joined = _Sets(self.nodes)
        for edge in self.edges:
            if edge.impressions >= least:
                joined.join(edge.a, edge.b)
        return tuple(s for s in _candidates(self.nodes) if joined.join(s.a, s.b))


def components(
    nodes: Sequence[Node], joined: Iterable[tuple[Node, Node]]
) -> tuple[tuple[Node, ...], ...]:
    """Sets of nodes that are connected, each ascending, by their first node."""
    sets = _Sets(nodes)
    for a, b in joined:
        sets.join(a, b)
    found: dict[Node, list[Node]] = {}
    for node in sorted(nodes):
        found.setdefault(sets.root(node), []).append(node)
    return tuple(tuple(c) for c in found.values())


def label(node: Node) -> str:
    """A node for people.

    Example:
        >>> label((3, "device=mobile"))
        '3 (device=mobile)'
    """
    position, context = node
    return f"{position} ({context})" if context else str(position)


def spans(component: Sequence[Node]) -> str:
    """The nodes of a component for people, runs of ranks joined.

    Example:
        >>> spans([(1, ""), (2, ""), (3, ""), (7, "")])
        '1-3, 7'
    """
    runs: list[list[Node]] = []
    for node in sorted(component, key=lambda n: (n[1], n[0])):
        if runs and runs[-1][-1][1] == node[1] and runs[-1][-1][0] + 1 == node[0]:
            runs[-1].append(node)
        else:
            runs.append([node])
    return ", ".join(_run(r) for r in runs)


def _run(run: Sequence[Node]) -> str:
    first, last = run[0], run[-1]
    return label(first) if first == last else f"{first[0]}-{label(last)}"


def _by_strength(edge: Edge) -> tuple[int, Node, Node]:
    return -edge.impressions, edge.a, edge.b


def _candidates(nodes: Sequence[Node]) -> list[Step]:
    """Steps by cost: next ranks within each context, all pairs of contexts at the nearest ranks.

    A tree over these is a minimum one over all pairs: any other step is no cheaper than a way of
    these.
    """
    by_context: dict[str, list[int]] = {}
    for position, context in sorted(nodes):
        by_context.setdefault(context, []).append(position)
    steps = [
        Step((k, c), (m, c), m - k) for c, ranks in by_context.items() for k, m in pairwise(ranks)
    ]
    names = sorted(by_context)
    for i, c in enumerate(names):
        for d in names[i + 1 :]:
            steps += [Step((k, c), (m, d), abs(k - m) + 1) for k, m in _nearest(by_context, c, d)]
    return sorted(steps, key=lambda s: (s.cost, s.a, s.b))


def _nearest(by_context: dict[str, list[int]], c: str, d: str) -> list[tuple[int, int]]:
    """For each rank of one context, the nearest of the other."""
    return [(k, min(by_context[d], key=lambda m: (abs(m - k), m))) for k in by_context[c]]


class _Sets:
    """Disjoint sets of nodes."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self._parent = {n: n for n in nodes}

    def root(self, node: Node) -> Node:
        while self._parent[node] != node:
            self._parent[node] = self._parent[self._parent[node]]
            node = self._parent[node]
        return node

    def join(self, a: Node, b: Node) -> bool:
        """Join the sets of two nodes; False if they were one."""
        a, b = self.root(a), self.root(b)
        self._parent[max(a, b)] = min(a, b)
        return a != b
