"""The identifiability graph: the published structures, generated as logs and recognised."""

import numpy as np
import pytest

from tests.diagnose.logs import chunk_of, counted
from ultr.diagnose.about_swaps import about_swaps, context_graph, position_graph, state_of
from ultr.diagnose.config import DiagnoseConfig
from ultr.diagnose.graph import Edge, Graph, label, spans

CONFIG = DiagnoseConfig(weak_impressions=100)

STRUCTURES = {
    "one": [range(1, 11)],
    "two": [range(1, 6), range(6, 11)],
    "three": [range(1, 5), range(5, 8), range(8, 11)],
    "four": [range(1, 4), range(4, 6), range(6, 9), range(9, 11)],
}
"""Components of ranks 1 to 10, as in the experiments of Chen et al. (2024)."""


def blocks(structure, *, sessions=2000, swapped=(), seed=0):
    """Pages on which documents move within blocks of ranks only; `swapped` exchanges two ranks."""
    rng = np.random.default_rng(seed)
    query = rng.integers(0, 20, sessions)
    document = np.tile(np.arange(10), (sessions, 1))
    for block in structure:
        ranks = np.array(block) - 1
        document[:, ranks] = rng.permuted(document[:, ranks], axis=1)
    for a, b in swapped:
        half = rng.random(sessions) < 0.5
        document[np.ix_(half, [a - 1, b - 1])] = document[np.ix_(half, [b - 1, a - 1])]
    return chunk_of(query, document, rng.integers(0, 2, document.shape))


def graph_of(chunk):
    return context_graph(counted(chunk))


@pytest.mark.parametrize("name", STRUCTURES)
def test_published_structures_are_recognised(name):
    graph = position_graph(graph_of(blocks(STRUCTURES[name])))
    assert [[k for k, _ in c] for c in graph.components(least=100)] == [
        list(b) for b in STRUCTURES[name]
    ]
    assert state_of(graph, {}, config=CONFIG) == ("swaps" if name == "one" else "none")


@pytest.mark.parametrize("name", ["two", "three", "four"])
def test_the_repair_is_what_an_intervention_has_to_swap(name):
    structure = STRUCTURES[name]
    steps = position_graph(graph_of(blocks(structure))).repairs(least=100)
    swapped = [(s.a[0], s.b[0]) for s in steps]
    assert swapped == [(b[-1], b[-1] + 1) for b in structure[:-1]]
    assert {s.cost for s in steps} == {1}
    joined = position_graph(graph_of(blocks(structure, swapped=swapped)))
    assert len(joined.components(least=100)) == 1
    assert joined.repairs(least=100) == ()


def test_the_sentence_names_the_groups_and_the_swaps():
    counts = counted(blocks(STRUCTURES["two"]))
    graph = context_graph(counts)
    found = about_swaps(counts, graph, {}, "none", config=CONFIG)[0]
    assert found.severity == "problem"
    assert "ranks 1-5 | 6-10" in found.meaning
    assert "5 and 6 on 100 impressions" in found.advice


def edge(a, b, impressions):
    return Edge((a, ""), (b, ""), 1, impressions)


def test_weak_edges_are_those_without_a_stronger_way_around():
    nodes = tuple((k, "") for k in (1, 2, 3, 4))
    graph = Graph(nodes, (edge(1, 2, 500), edge(1, 3, 5), edge(2, 3, 400), edge(3, 4, 7)))
    assert graph.weak(least=100) == (edge(3, 4, 7),)
    assert len(graph.components()) == 1
    assert len(graph.components(least=100)) == 2


def test_features_connect_what_swaps_do_not():
    graph = Graph(tuple((k, "") for k in (1, 2, 3)), (edge(1, 2, 500),))
    near, far = {(2, 3): 0.7, (1, 3): 0.99}, {(2, 3): 0.97, (1, 3): 0.99}
    assert state_of(graph, near, config=CONFIG) == "features only"
    assert state_of(graph, far, config=CONFIG) == "none"
    assert state_of(graph, {}, config=CONFIG) == "none"


def test_contexts_are_nodes_of_their_own():
    # Every document keeps to its context: two copies of the ranks, which nothing connects.
    rng = np.random.default_rng(0)
    document = rng.permuted(np.tile(np.arange(3), (1000, 1)), axis=1)
    context = rng.integers(1, 3, 1000)
    chunk = chunk_of(rng.integers(0, 9, 1000), document + 10 * context[:, None],
                     rng.integers(0, 2, (1000, 3)), context=context[:, None])  # fmt: skip
    counts = counted(chunk, positions=3)
    graph = context_graph(counts)
    assert len(graph.components(least=100)) == 2
    assert [s.cost for s in graph.repairs(least=100)] == [1]  # the same rank, another context
    assert len(position_graph(graph).components(least=100)) == 1
    found = {f.name: f for f in about_swaps(counts, graph, {}, "swaps", config=CONFIG)}
    assert found["identifiability"].severity == "ok"
    assert found["identifiability_by_context"].severity == "warning"
    assert "1 (c1) with 1 (c2)" in found["identifiability_by_context"].advice


def test_repairs_are_a_minimum_spanning_tree():
    rng = np.random.default_rng(2)
    nodes = tuple(sorted({(int(k), "xyz"[c]) for k, c in rng.integers([1, 0], [9, 3], (14, 2))}))
    steps = Graph(nodes, ()).repairs()
    assert len(steps) == len(nodes) - 1
    every = sorted(
        abs(a[0] - b[0]) + (a[1] != b[1]) for i, a in enumerate(nodes) for b in nodes[i + 1 :]
    )
    assert every[0] >= 1
    # Prim's algorithm over all pairs, as the other way to the least cost.
    left, total = set(nodes[1:]), 0
    inside = {nodes[0]}
    while left:
        cost, node = min((abs(a[0] - b[0]) + (a[1] != b[1]), b) for a in inside for b in left)
        total, inside, left = total + cost, inside | {node}, left - {node}
    assert sum(s.cost for s in steps) == total


def test_nodes_are_told_as_runs():
    assert spans([(3, ""), (1, ""), (2, ""), (9, "")]) == "1-3, 9"
    assert spans([(1, "a"), (2, "a"), (3, "b")]) == "1-2 (a), 3 (b)"
    assert label((1, "")) == "1"
