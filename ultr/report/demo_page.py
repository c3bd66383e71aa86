"""The page of `ultr demo`: the outcome first, then the figures, then all numbers behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ultr.report.figures import Dot, Series, dot_chart, line_chart
from ultr.report.findings import Findings, Method
from ultr.report.page import Section, commands, figure_with_table, page, paragraph, table

OWN_LOG = (
    "ultr ingest search_log.tsv --format yandex --lake lake",
    "ultr features --from features.parquet --lake lake",
    "ultr judgments judgments.parquet --lake lake     # optional, for evaluation only",
    "ultr lists --lake lake",
    "ultr train --lake lake --run runs/dla",
    "ultr evaluate --run runs/dla --lake lake",
)
"""The way from one's own log; each line is a command."""


def demo_page(
    findings: Findings,
    *,
    counts: Sequence[tuple[str, str]],
    stages: Sequence[tuple[str, float]],
    settings: Mapping[str, Any],
    files: Mapping[str, str],
    again: str,
    version: str,
) -> str:
    """The whole page.

    Args:
        findings: the methods and the truth.
        counts: (what was counted, number), from raw lines to training rows.
        stages: (stage, seconds).
        settings: name -> value of what the demo ran with.
        files: what it is -> path.
        again: the command that made this page.
        version: of ultr.
    """
    sections = [
        Section("How often each rank is looked at", _curves(findings)),
        Section("How well each method ranks", _ranking(findings)),
        Section("All methods in numbers", _methods(findings.methods)),
        Section("What went in and what came out", _flow(counts, stages)),
        Section("Settings and files", _settings(settings, files, again)),
        Section("On your own log", _own_log(files)),
    ]
    return page(
        findings.headline(),
        findings.explanation(),
        title="Demo: ranking from clicks without position bias",
        kicker="ultr demo: a simulated search log, where the truth is known",
        sections=sections,
        footer=f"Made by ultr {version}. The page is self-contained: it loads nothing.",
    )


def _curves(findings: Findings) -> str:
    dla, truth = findings.dla.propensities, findings.truth
    chart = line_chart(
        [
            Series("planted truth", truth, "truth", has_dots=False),
            Series("no correction (naive)", findings.naive.propensities, "naive", has_dots=False),
            Series("learned by DLA", dla, "dla"),
        ],
        name="propensity",
        title="Examination by rank, relative to rank 1",
        description=f"DLA's estimate falls from 1 at rank 1 to {dla[-1]:.3f} at rank {len(dla)}; "
        f"the planted truth falls to {truth[-1]:.3f}. Without correction it is 1 everywhere.",
        x_label="rank on the page",
        y_label="examination, relative to rank 1",
    )
    rows = [
        (str(k), f"{planted:.3f}", f"{learned:.3f}", f"{learned - planted:+.3f}")
        for k, (planted, learned) in enumerate(zip(truth, dla, strict=True), start=1)
    ]
    beside = table(
        ("rank", "planted", "DLA", "error"),
        rows,
        caption=f"Examination relative to rank 1; root mean square error {findings.rmse:.3f}",
    )
    return figure_with_table(
        chart,
        caption="People look less at lower ranks, whatever stands there. DLA sees only the log; "
        "the planted curve is what the simulated users really did.",
        beside=beside,
    )


def _ranking(findings: Findings) -> str:
    naive, methods = findings.naive, findings.methods
    at_naive = naive.metrics["ndcg@10"]
    chart = dot_chart(
        [
            Dot(m.label, m.metrics["ndcg@10"], m.name, _around(at_naive, m.difference))
            for m in methods
        ],
        name="ndcg",
        title="nDCG@10 by method",
        description="; ".join(f"{m.label}: {m.metrics['ndcg@10']:.4f}" for m in methods),
        x_label="nDCG@10 (the axis does not start at 0)",
    )
    rows = [(m.label, f"{m.metrics['ndcg@10']:.4f}", *difference(m)) for m in methods]
    beside = table(
        ("method", "nDCG@10", "over naive", "95% interval"),
        rows,
        caption="The same ranker, rates and selection; only the correction differs",
    )
    return figure_with_table(
        chart,
        caption=f"Mean over {naive.metrics['n_queries']:,} test queries, all their documents "
        "ranked and judged. Whiskers: 95% bootstrap interval of the difference from naive on the "
        "same queries; one that crosses the dotted line is no measurable difference.",
        beside=beside,
    )


def _around(
    reference: float, found: tuple[float, float, float] | None
) -> tuple[float, float] | None:
    return None if found is None else (reference + found[1], reference + found[2])


def difference(method: Method) -> tuple[str, str]:
    """nDCG@10 over naive and its interval, as text; dashes for naive.

    Example:
        >>> difference(Method("dla", "DLA", {}, (1.0,), difference=(0.02, 0.01, 0.03)))
        ('+0.020', '+0.010 to +0.030')
    """
    if method.difference is None:
        return "–", "–"
    mean, low, high = method.difference
    return f"{mean:+.3f}", f"{low:+.3f} to {high:+.3f}"


def _methods(methods: Sequence[Method]) -> str:
    columns = {
        "nDCG@1": "ndcg@1",
        "nDCG@5": "ndcg@5",
        "nDCG@10": "ndcg@10",
        "ERR@10": "err@10",
        "MRR": "mrr",
        "click NLL": "click_nll_listwise",
        "propensity RMSE": "propensity_rmse",
    }
    rows = [
        (
            m.label,
            *(f"{m.metrics[key]:.4f}" if key in m.metrics else "–" for key in columns.values()),
            f"{m.training['best_epoch']} of {m.training['epochs']}",
            f"{m.training['seconds']:.1f}",
        )
        for m in methods
    ]
    note = (
        "nDCG, ERR and MRR are computed on the judgments of test queries with gain 2^grade − 1; no "
        "method saw a judgment. Click NLL is the listwise one on held-out sessions with a click: "
        "lower is better, and it is what selects the epoch. IPW is told the planted propensities, "
        "so its error is 0: it is a skyline, not a competitor."
    )
    header = ("method", *columns, "epoch kept", "training, s")
    return table(header, rows, caption="Higher is better but for the last four columns") + (
        paragraph(note, style="note")
    )


def _flow(counts: Sequence[tuple[str, str]], stages: Sequence[tuple[str, float]]) -> str:
    total = sum(seconds for _, seconds in stages)
    times = [(name, f"{seconds:.1f}") for name, seconds in stages]
    return (
        '<div class="pair">'
        + table((), counts, caption="From the raw log to what was trained on")
        + table((), [*times, ("total", f"{total:.1f}")], caption="Seconds per stage")
        + "</div>"
    )


def _settings(settings: Mapping[str, Any], files: Mapping[str, str], again: str) -> str:
    rows = [(name, str(value)) for name, value in settings.items()]
    return (
        commands([again])
        + '<div class="pair">'
        + table((), rows, caption="What the demo ran with", is_text=True)
        + table((), list(files.items()), caption="Where everything is", is_text=True)
        + "</div>"
    )


def _own_log(files: Mapping[str, str]) -> str:
    lake = files["lake"]
    return (
        paragraph(
            "The demo went this way with the commands that you would use. CSV, JSONL and Parquet "
            "logs go in with --format table and a small TOML that maps their columns; without "
            "features, train with --ranker table. Each command has --help with an example."
        )
        + commands(OWN_LOG)
        + paragraph("Ask this demo's lake, in SQL or with a named query:")
        + commands([f"ultr sql --lake {lake} --name ctr_by_position", "ultr sql --list"])
    )
