"""What a run is worth: without labels, by grades, and query by query."""

from __future__ import annotations

import math

from ultr.report.figures import Dot, dot_chart
from ultr.report.gather import Gathered
from ultr.report.page import figure_with_table, interval, paragraph, table

_QUERIES = 10
_STYLES = ("naive", "dla", "ipw", "truth", "extra-a", "extra-b")
_CANDIDATES = "All candidates of the query ranked anew"
_WORDS = {
    "logged": "as it was logged",
    "snips": "new order, from observed clicks only (SNIPS)",
    "dr": "new order, doubly robust",
    "lift": "difference, doubly robust",
}


def without_labels(found: Gathered) -> str:
    """Clicks and DCG of the new ranking against the logged one."""
    e = found.evaluation
    if "pages_clicks_dr" not in e:
        reason = e.get("no_new_ranking_values") or e.get("pages_refused")
        reason = reason or found.missing.get("evaluation") or found.missing.get("lake")
        return paragraph(f"Not estimated: {reason}") if reason else ""
    parts = [
        paragraph(
            "Estimated from the clicks of held-out queries and the curve above, without any grade: "
            "had the new ranking been shown, how often would people have clicked? That holds as "
            "far as a click depends on the document and on how often its rank is looked at. "
            "Intervals are 95% over queries; in DCG the gain is the probability of a click on an "
            "examined document, the discount 1 / log2(1 + rank)."
        )
    ]
    for where, words in (("pages", "Each logged page reordered"), ("candidates", _CANDIDATES)):
        rows = [
            (label, *(_interval(found, f"{where}_{metric}_{what}") for metric in ("clicks", "dcg")))
            for what, label in _WORDS.items()
            if f"{where}_clicks_{what}" in e
        ]
        if rows:
            parts.append(table(("", "clicks per page", "DCG per page"), rows, caption=words))
    if "candidates_refused" in e:
        parts.append(paragraph(f"Ranking all candidates: {e['candidates_refused']}.", style="note"))
    parts.append(
        paragraph(
            f"The log has shown {e['pages_support']:.0%} of what the reordered pages show"
            + (
                f", and {e['candidates_support']:.0%} of the top of all candidates"
                if "candidates_support" in e
                else ""
            )
            + f". The weighted clicks are worth {e['pages_effective_sample_size']:,.0f} looks.",
            style="note",
        )
    )
    return "".join(parts)


def methods(found: Gathered) -> str:
    """nDCG@10 and more, of this run and of those it is compared with."""
    e = found.evaluation
    if "ndcg@10" not in e:
        reason = found.missing.get("grades") or found.missing.get("evaluation")
        if not reason:
            return ""
        return paragraph(f"Not measured: {reason}. Add grades with ultr judgments.")
    names = ("ndcg@1", "ndcg@3", "ndcg@5", "ndcg@10", "err@10", "mrr", "map", "precision@5")
    plain = table(
        (),
        [
            *((n, f"{e[n]:.4f}") for n in names if n in e),
            ("queries", f"{e['n_queries']:,}"),
            ("queries without a relevant document, left out",
             f"{e['n_queries_without_relevant']:,}"),
        ],
        caption=f"Means over test queries, {e['gain']} gain",
    )  # fmt: skip
    return _compared(found, beside=plain) + _by_frequency(found)


def _compared(found: Gathered, *, beside: str) -> str:
    rows = [c for c in found.compared if c.metric == "ndcg@10"]
    if not rows:
        return beside
    base = rows[0]
    dots = [
        Dot(
            c.run.rsplit("/", 1)[-1],
            c.value,
            style,
            None if c is base else (base.value + c.low, base.value + c.high),
        )
        for c, style in zip(rows, _STYLES, strict=False)
    ]
    chart = dot_chart(
        dots,
        name="ndcg",
        title="nDCG@10 by run",
        description="; ".join(f"{d.name}: {d.value:.4f}" for d in dots),
        x_label="nDCG@10 (the axis does not start at 0)",
    )
    cells = [
        (
            c.metric,
            c.run.rsplit("/", 1)[-1],
            f"{c.value:.4f}",
            "–" if c.run == base.run else f"{c.difference:+.4f} ({c.low:+.4f} to {c.high:+.4f})",
            "–" if c.run == base.run else f"{c.p:.4f}",
        )
        for c in found.compared
    ]
    numbers = table(
        ("metric", "run", "value", f"against {dots[0].name} (95% interval)", "p"),
        cells,
        caption="Paired over the same queries: bootstrap interval, randomisation test",
    )
    caption = (
        f"Whiskers: 95% interval of the difference from {dots[0].name} on the same queries; one "
        "that crosses the dotted line is no measurable difference."
    )
    return figure_with_table(chart, caption=caption, beside=beside) + numbers


def _by_frequency(found: Gathered) -> str:
    e = found.evaluation
    rows = [
        (name, f"{e[f'n_queries_{name}']:,}", f"{e[f'ndcg@10_{name}']:.4f}")
        for name in ("head", "torso", "tail", "unseen")
        if f"ndcg@10_{name}" in e
    ]
    if not rows:
        return ""
    return table(
        ("queries", "number", "nDCG@10"),
        rows,
        caption="Head, torso, tail: the most frequent queries that make up a third of all "
        "sessions, the next, the last; unseen: in no session",
    )


def queries(found: Gathered) -> str:
    """Queries with the lowest and the highest nDCG@10."""
    t = found.per_query
    if t is None or not t.num_rows or "ndcg@10" not in t.column_names:
        return ""
    order = sorted(range(t.num_rows), key=t["ndcg@10"].to_pylist().__getitem__)
    few = min(_QUERIES, max(1, t.num_rows // 2))
    worst, best = order[:few], order[::-1][:few]
    return (
        '<div class="pair">'
        + _some(found, worst, "Ranked worst")
        + _some(found, best, "Ranked best")
        + "</div>"
    )


def _some(found: Gathered, rows: list[int], caption: str) -> str:
    t = found.per_query
    assert t is not None  # noqa: S101  queries() has looked
    picked = t.take(rows).to_pylist()
    cells = [
        (
            str(r.get("query") or r["query_id"]),
            f"{r['ndcg@10']:.3f}",
            f"{r['n_relevant']:,} of {r['n_documents']:,}",
            f"{r['sessions']:,}" if "sessions" in r else "–",
        )
        for r in picked
    ]
    return table(("query", "nDCG@10", "relevant documents", "sessions"), cells, caption=caption)


def _interval(found: Gathered, name: str) -> str:
    e = found.evaluation
    if name not in e or math.isnan(e[name]):
        return "–"
    low, high = (float(e.get(f"{name}_{end}", math.nan)) for end in ("low", "high"))
    text = f"{e[name]:.3f}"
    return text if math.isnan(low) else f"{text} ({interval(low, high)})"
