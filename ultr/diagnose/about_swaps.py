"""Findings about identifiability: can position bias and relevance be told apart, and by what."""

from __future__ import annotations

from collections.abc import Mapping

from ultr.diagnose.about_log import percent
from ultr.diagnose.config import DiagnoseConfig
from ultr.diagnose.counts import Counts
from ultr.diagnose.finding import Finding, missing
from ultr.diagnose.graph import Edge, Graph, components, label, spans
from ultr.diagnose.overlap import MAX_POSITIONS
from ultr.diagnose.result import State
from ultr.diagnose.swaps import POSITION_BITS

Auc = Mapping[tuple[int, int], float]

_SHOWN = 6
"""Repairs and edges that a sentence names."""


def context_graph(counts: Counts) -> Graph:
    """Nodes are positions × contexts."""
    mask = (1 << POSITION_BITS) - 1
    node = {n: (n & mask, counts.contexts[n >> POSITION_BITS]) for n in counts.nodes}
    edges = [
        Edge(min(node[a], node[b]), max(node[a], node[b]), int(documents), int(impressions))
        for (a, b), (documents, impressions) in counts.edges.items()
    ]
    return Graph(tuple(sorted(node.values())), tuple(sorted(edges, key=lambda e: (e.a, e.b))))


def position_graph(graph: Graph) -> Graph:
    """Nodes are positions; a swap counts if the context stayed the same."""
    sums: dict[tuple[int, int], list[int]] = {}
    for edge in graph.edges:
        if edge.a[1] == edge.b[1]:
            total = sums.setdefault((edge.a[0], edge.b[0]), [0, 0])
            total[0] += edge.documents
            total[1] += edge.impressions
    nodes = tuple((k, "") for k in sorted({k for k, _ in graph.nodes}))
    edges = (Edge((a, ""), (b, ""), *sums[a, b]) for a, b in sorted(sums))
    return Graph(nodes, tuple(edges))


def state_of(graph: Graph, auc: Auc, *, config: DiagnoseConfig) -> State:
    """What identifies the curve.

    Args:
        graph: of positions.
        auc: by pairs of positions.
        config: from how many impressions an edge counts, and up to which AUC ranks overlap.
    """
    if len(graph.components(least=config.weak_impressions)) <= 1:
        return "swaps"
    kept = [n for n in graph.nodes if n[0] <= MAX_POSITIONS]
    joined = [(e.a, e.b) for e in graph.edges if e.impressions >= config.weak_impressions]
    joined = [(a, b) for a, b in joined if a in kept and b in kept]
    joined += [((a, ""), (b, "")) for (a, b), v in auc.items() if v < config.overlap_auc]
    return "features only" if auc and len(components(kept, joined)) == 1 else "none"


def about_swaps(
    counts: Counts, graph: Graph, auc: Auc, state: State, *, config: DiagnoseConfig
) -> list[Finding]:
    """Identifiability, its weak edges, contexts, swap coverage and overlap of features.

    Args:
        counts: of the exposures.
        graph: of positions × contexts.
        auc: by pairs of positions; empty without features.
        state: what identifies the curve.
        config: thresholds.
    """
    positions = position_graph(graph)
    if len(positions.nodes) == 1:
        only = positions.nodes[0][0]
        return [
            Finding(
                "identifiability",
                "problem",
                f"Every result of the log was shown at rank {only}: there is no other rank to "
                "compare with, so position bias can be neither measured nor corrected.",
                "check that the position column of the log is the rank on the page",
                {"positions": 1},
            )
        ]
    found = [_identifiability(positions, state, config=config)]
    found += _weak(positions, config=config)
    if any(c for _, c in graph.nodes):
        found.append(_contexts(graph, config=config))
    return [*found, _coverage(counts), _overlap(auc, state, config=config)]


def _identifiability(graph: Graph, state: State, *, config: DiagnoseConfig) -> Finding:
    strong = graph.components(least=config.weak_impressions)
    numbers = {
        "state": state,
        "positions": len(graph.nodes),
        "components": len(graph.components()),
        "components_strong": len(strong),
        "edges": len(graph.edges),
        "weak_impressions": config.weak_impressions,
    }
    if state == "swaps":
        words = (
            "Documents were seen at several ranks, and these swaps connect all "
            f"{len(graph.nodes)} ranks: position bias and relevance can be told apart."
        )
        return Finding("identifiability", "ok", words, "", numbers)
    apart = (
        f"Swaps leave the ranks in {len(strong)} separate groups ({_groups(strong)})"
        if graph.edges
        else "No document was seen at two ranks for the same query"
    )
    if state == "features only":
        words = (
            f"{apart}; between them the curve rests on similar documents at different ranks, which "
            "is extrapolation and as good as the features are."
        )
        return Finding("identifiability", "warning", words, _repair(graph, config), numbers)
    if len(graph.components()) == 1:
        words = (
            f"Swaps connect all {len(graph.nodes)} ranks, but not with "
            f"{config.weak_impressions:,} impressions along the way, and features do not help: the "
            "curve is known as far as the intervals of `harvesting` say, and no further."
        )
        return Finding("identifiability", "warning", words, _repair(graph, config), numbers)
    words = (
        f"{apart}, and features do not bridge them either: what a method says about bias between "
        "the groups is not in the log."
    )
    return Finding("identifiability", "problem", words, _repair(graph, config), numbers)


def _groups(found: tuple[tuple[tuple[int, str], ...], ...]) -> str:
    more = f" | … {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return "ranks " + " | ".join(map(spans, found[:_SHOWN])) + more


def _repair(graph: Graph, config: DiagnoseConfig) -> str:
    steps = graph.repairs(least=config.weak_impressions)
    pairs = ", ".join(f"{label(s.a)} and {label(s.b)}" for s in steps[:_SHOWN])
    pairs += f" (and {len(steps) - _SHOWN} more)" if len(steps) > _SHOWN else ""
    return (
        f"cheapest swaps that connect all: exchange results of {pairs} on "
        f"{config.weak_impressions:,} impressions each; without an experiment, treat these ranks "
        "as one by giving them the same position"
    )


def _weak(graph: Graph, *, config: DiagnoseConfig) -> list[Finding]:
    weak = graph.weak(least=config.weak_impressions)
    if not weak:
        return []
    told = ", ".join(f"{label(e.a)}-{label(e.b)}: {e.impressions:,}" for e in weak[:_SHOWN])
    more = f", … {len(weak) - _SHOWN} more" if len(weak) > _SHOWN else ""
    return [
        Finding(
            "weak_edges",
            "warning",
            f"{len(weak)} connections between ranks rest on fewer than "
            f"{config.weak_impressions:,} swapped impressions ({told}{more}).",
            "look at the width of the intervals there, or collect more of these swaps",
            {"edges": len(weak), "least_impressions": min(e.impressions for e in weak)},
        )
    ]


def _contexts(graph: Graph, *, config: DiagnoseConfig) -> Finding:
    found = graph.components(least=config.weak_impressions)
    steps = graph.repairs(least=config.weak_impressions)
    numbers = {"nodes": len(graph.nodes), "components_strong": len(found), "repairs": len(steps)}
    if len(found) == 1:
        words = f"Swaps connect all {len(graph.nodes)} combinations of rank and context."
        return Finding("identifiability_by_context", "ok", words, "", numbers)
    told = ", ".join(f"{label(s.a)} with {label(s.b)}" for s in steps[:_SHOWN])
    return Finding(
        "identifiability_by_context",
        "warning",
        f"Swaps leave the {len(graph.nodes)} combinations of rank and context in {len(found)} "
        "separate groups: within a group bias is known, between groups it is not.",
        f"merge contexts or swap across them, cheapest first: {told}; or build lists with a "
        "coarser --context",
        numbers,
    )


def _coverage(counts: Counts) -> Finding:
    pairs = counts.pairs_swapped / max(counts.pairs, 1)
    share = float(counts.swapped.sum()) / max(counts.impressions, 1)
    return Finding(
        "swap_coverage",
        "ok" if share >= 0.05 else "note",
        f"{percent(pairs)} of the (query, document) pairs were seen at more than one rank; they "
        f"have {percent(share)} of all impressions.",
        "" if share >= 0.05 else "a little randomisation of the ranking would make swaps",
        {
            "pairs": counts.pairs,
            "pairs_swapped": counts.pairs_swapped,
            "share_of_pairs": pairs,
            "share_of_impressions": share,
        },
    )


def _overlap(auc: Auc, state: State, *, config: DiagnoseConfig) -> Finding:
    if not auc:
        return missing(
            "feature_overlap",
            "no document that was shown has features.",
            advice="add some with: ultr features --lake LAKE --from FILE, then ultr lists",
        )
    (a, b), most = max(auc.items(), key=lambda item: item[1])
    least = min(auc.values())
    numbers = {f"auc@{k}-{m}": round(v, 4) for (k, m), v in auc.items()}
    apart = [f"{k} and {m}" for (k, m), v in auc.items() if v >= config.overlap_auc]
    words = (
        f"Features tell the documents of two ranks apart with an AUC of {least:.2f} to {most:.2f} "
        f"(0.5: the same kind of document at both; 1: nothing in common; most "
        f"apart: ranks {a} and {b})."
    )
    if not apart:
        return Finding("feature_overlap", "ok", words, "", numbers)
    return Finding(
        "feature_overlap",
        "note" if state == "swaps" else "warning",
        words,
        f"do not read bias between ranks that share no documents ({', '.join(apart[:_SHOWN])}"
        f"{f' and {len(apart) - _SHOWN} more' if len(apart) > _SHOWN else ''}) "
        "out of features alone",
        numbers,
    )
