"""`ultr demo`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ultr.cli.output import json_option


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True,
    help="Folder for the log, the lake, the runs and the page; an earlier demo is replaced.",
)  # fmt: skip
@click.option("--sessions", type=int, help="Result pages to simulate.  [default: 300000]")
@click.option(
    "--logging", type=click.Choice(["plackett-luce", "deterministic"]),
    help="Order drawn for each session, or fixed per query.  [default: plackett-luce]",
)  # fmt: skip
@click.option("--temperature", type=float, help="Of the drawn order.  [default: 0.1]")
@click.option("--eta", type=float, help="Severity of position bias.  [default: 1]")
@click.option("--seed", type=int, help="Of the simulation and of training.  [default: 0]")
@json_option
def command(*, out: Path, as_json: bool, **chosen: Any) -> None:
    """The whole way on a simulated log: clicks with planted bias in, a page with figures out.

    Simulate, ingest, features, judgments, lists; train naive, DLA, and IPW with the true
    propensities; evaluate; write a self-contained page. Needs no data and no network.

    \b
    Examples:
      ultr demo --out demo
      ultr demo --out fixed --logging deterministic     one fixed order per query
    """
    import json

    from ultr.config import from_mapping
    from ultr.demo import DemoConfig, demo

    given = {name: value for name, value in chosen.items() if value is not None}
    config = from_mapping(DemoConfig, {"out": out, **given}, where="ultr demo")
    result = demo(config, on_stage=(lambda *_: None) if as_json else _show)
    click.echo(json.dumps(result) if as_json else _summary(result))


def _show(name: str, seconds: float, note: str) -> None:
    click.echo(f"{name:<12} {seconds:6.1f} s   {note}", err=True)


def _summary(result: Mapping[str, Any]) -> str:
    lines = ["", f"{'method':<32}{'nDCG@10':>9}{'propensity RMSE':>18}   over naive (95% interval)"]
    lines += [
        f"{method['label']:<32}{method['ndcg@10']:>9.4f}{method['propensity_rmse']:>18.4f}"
        f"   {_difference(method['difference'])}"
        for method in result["methods"].values()
    ]
    lines += ["", result["headline"], ""]
    width = max(map(len, result["files"]))
    lines += [f"{name:<{width}}  {path}" for name, path in result["files"].items()]
    lines.append(f"{'time':<{width}}  {result['seconds']:.0f} s")
    return "\n".join(lines)


def _difference(found: tuple[float, float, float] | None) -> str:
    return "" if found is None else f"{found[0]:+.4f}  ({found[1]:+.4f} to {found[2]:+.4f})"
