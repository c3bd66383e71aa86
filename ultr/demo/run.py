"""Run the stages one after the other, tell of each, and write the page."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ultr import __version__
from ultr.demo import stages
from ultr.demo.config import METHODS, DemoConfig
from ultr.demo.folder import MARK, claim, mark
from ultr.report import Findings, Method, demo_page

LABELS = {
    "naive": "Clicks as relevance (naive)",
    "dla": "DLA, from clicks alone",
    "ipw": "IPW, told the truth (skyline)",
}

OnStage = Callable[[str, float, str], None]
"""Called after each stage with its name, its seconds, and what came out of it."""

Results = Mapping[str, Any]


def demo(
    config: DemoConfig | None = None, *, on_stage: OnStage = lambda *_: None
) -> dict[str, Any]:
    """Simulate, ingest, train naive, DLA and IPW with true propensities, evaluate, write a page.

    Args:
        config: the folder, sizes and seed.
        on_stage: told of each stage.

    Returns:
        `headline methods stages counts settings files seconds`; `methods` has for each its
        metrics, its propensities and its `difference` from naive (mean, low, high of nDCG@10).

    Raises:
        UsageError: a folder that holds something else, or a size out of range.
        DataError: too few clicks to learn from.

    Example:
        >>> demo(DemoConfig(out=Path("demo")))["headline"]  # doctest: +SKIP
    """
    chosen = config or DemoConfig()
    claim(chosen)
    results, seconds = _run(chosen, on_stage)
    findings = _findings(chosen, results)
    counts, files = _counts(results), _files(chosen)
    settings = {
        "judged set": f"{chosen.queries:,} queries in the log, {chosen.docs} documents each on "
        f"average, {chosen.features} features",
        "logging policy": _policy(chosen),
        "clicks": f"position-based model, η = {chosen.eta:g}, ε = 0.1",
        "training": _training(chosen),
        "seed": str(chosen.seed),
    }
    html = demo_page(
        findings,
        counts=counts,
        stages=list(seconds.items()),
        settings=settings,
        files=files,
        again=chosen.command(),
        version=__version__,
    )
    chosen.report.write_text(html, encoding="utf-8")
    out = {
        "headline": findings.headline(),
        "methods": {m.name: _plain(m) for m in findings.methods},
        "truth": list(findings.truth),
        "counts": dict(counts),
        "rejects": results["ingest"]["rejects"],
        "files": files,
        "stages": seconds,
        "seconds": round(sum(seconds.values()), 3),
    }
    mark(chosen.out, out)
    return out


def _run(config: DemoConfig, on_stage: OnStage) -> tuple[dict[str, Any], dict[str, float]]:
    """What each stage returned, and its seconds."""
    work: dict[str, Callable[[DemoConfig], Any]] = {
        "simulate": stages.simulate,
        "ingest": stages.ingest,
        "features": stages.features,
        "judgments": stages.judgments,
        "lists": stages.lists,
        "coverage": stages.coverage,
        **{f"train {m}": partial(stages.train, method=m) for m in METHODS},
        "evaluate": stages.evaluate,
    }
    results: dict[str, Any] = {}
    seconds: dict[str, float] = {}
    for name, run in work.items():
        began = time.monotonic()
        results[name] = run(config)
        seconds[name] = round(time.monotonic() - began, 3)
        on_stage(name, seconds[name], _note(name, results[name]))
    return results, seconds


def _note(name: str, result: Results) -> str:
    """What came out of a stage, in one line."""
    templates = {
        "simulate": "{sessions:,} sessions, {clicks:,} clicks",
        "ingest": "{lines:,} lines, {rejects:,} rejected",
        "features": "{features} features of {rows:,} documents, {match_share:.0%} of the log's",
        "judgments": "{rows:,} grades, for evaluation only",
        "lists": "{sessions:,} sessions -> {rows:,} rows",
        "coverage": "{pairs_at_several_ranks:,} of {pairs:,} pairs seen at several ranks",
        "evaluate": "nDCG@10 and propensity error on test queries",
    }
    trained = "{epochs} epochs, number {best_epoch} kept"
    return templates.get(name, trained).format(**result)


def _findings(config: DemoConfig, results: Results) -> Findings:
    truth = json.loads(config.truth.read_text("utf-8"))["relative_propensity"]
    methods = {m: _method(m, results) for m in METHODS}
    shown = results["coverage"]
    share = shown["pairs_at_several_ranks"] / shown["pairs"]
    return Findings(truth=tuple(truth), seen_at_several=share, **methods)


def _method(name: str, results: Results) -> Method:
    metrics, training = dict(results["evaluate"][name]), results[f"train {name}"]
    return Method(
        name,
        LABELS[name],
        difference=metrics.pop("difference", None),
        metrics=metrics,
        propensities=tuple(training["propensities"].values()),
        training=training,
    )


def _plain(method: Method) -> dict[str, Any]:
    return {
        "label": method.label,
        **method.metrics,
        "propensities": list(method.propensities),
        "difference": method.difference,
    }


def _counts(results: Results) -> list[tuple[str, str]]:
    read, made, shown = results["ingest"], results["lists"], results["coverage"]
    by_split = made["queries_by_split"]
    split = " / ".join(f"{by_split.get(s, 0):,}" for s in ("train", "validation", "test"))
    share = shown["pairs_at_several_ranks"] / shown["pairs"]
    return [
        ("lines read", f"{read['lines']:,}"),
        ("lines rejected", f"{read['rejects']:,}"),
        ("sessions (result pages)", f"{read['sessions']:,}"),
        ("impressions", f"{read['impressions']:,}"),
        ("clicks", f"{read['clicks']:,}"),
        ("distinct rows after collapse", f"{made['rows']:,}"),
        ("sessions per row (collapse)", f"{made['sessions_per_row']:.1f}"),
        ("queries: train / validation / test", split),
        ("query-document pairs shown", f"{shown['pairs']:,}"),
        ("of these, at more than one rank", f"{share:.1%}"),
    ]


def _policy(config: DemoConfig) -> str:
    if config.logging == "deterministic":
        return "weak ranker, one fixed order per query"
    return f"weak ranker, Plackett-Luce at temperature {config.temperature:g}"


def _training(config: DemoConfig) -> str:
    from ultr.config import from_mapping  # noqa: PLC0415
    from ultr.train import TrainConfig  # noqa: PLC0415

    path = config.run("dla") / "config.json"
    settings = json.loads(path.read_text("utf-8"))["settings"]
    used = from_mapping(TrainConfig, settings, where=str(path))
    hidden = "-".join(map(str, used.hidden))
    return (
        f"{used.ranker} {hidden}, DLA by {used.correction}, rates {used.rate:g} "
        f"(ranker) and {used.propensity_rate:g} (propensities)"
    )


def _files(config: DemoConfig) -> dict[str, str]:
    places: dict[str, Path] = {
        "this page": config.report,
        "raw log, features, grades, truth": config.simulation,
        "lake": config.lake,
        "runs": config.out / "runs",
        "all results as JSON": config.out / MARK,
    }
    return {name: str(path) for name, path in places.items()}
