"""`ultr evaluate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ultr.cli.output import emit, gain_option, json_option, queries_option

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("more_letor", nargs=-1, type=_PATH, metavar="")
@click.option("--run", required=True, type=_PATH, help="Folder of the run.")
@click.option("--lake", type=_PATH, help="Judgments and held-out clicks of this lake.")
@click.option("--letor", multiple=True, type=_PATH, metavar="FILE...", help="LETOR files.")
@click.option("--truth", type=_PATH, help="A truth.json with the planted propensities.")
@queries_option
@gain_option
@click.option("--max-grade", type=int, help="Top of the grade scale, for ERR: 1 to 30.")
@click.option("--per-query", type=_PATH, help="Write the metrics of each query as Parquet.")
@click.option(
    "--propensities",
    type=_PATH,
    help="Value new rankings with these (of ultr diagnose, or a truth.json), not the run's own.",
)
@json_option
def command(
    more_letor: tuple[Path, ...],
    *,
    run: Path,
    lake: Path | None,
    letor: tuple[Path, ...],
    truth: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Ranking metrics on grades, click likelihood on held-out sessions, propensity error.

    All candidates of a query are ranked. Queries without a relevant document are left out of the
    means and counted.

    Without grades, held-out clicks say what the new ranking is worth per session, in clicks and
    DCG, beside the logged one: pages_… puts each logged page into the new order, candidates_…
    ranks all documents of the query; snips and dr are two estimates, lift is dr less logged. Where
    the log shows less than half of the new ranking, no value is given.

    \b
    Examples:
      ultr evaluate --run runs/dla --lake lake
      ultr evaluate --run runs/dla --letor S3.txt S4.txt --truth sim/truth.json --json
    """
    from ultr.errors import UsageError
    from ultr.eval.evaluate import EvaluateConfig, evaluate

    if more_letor and not letor:
        raise UsageError(
            "files are given with --letor",
            got=str(more_letor[0]),
            hint=f"try: ultr evaluate --run {run} --letor {more_letor[0]}",
        )
    result = evaluate(
        run,
        lake=lake,
        letor=(*letor, *more_letor),
        truth=truth,
        config=EvaluateConfig(**settings),
        quiet=as_json,
    )
    emit(result if as_json else _short(result), as_json=as_json, title=f"evaluated {run}")
    if lake is not None and "n_queries" not in result:
        click.echo(f"no grades: add some with ultr judgments FILE --lake {lake}", err=True)


def _short(result: Mapping[str, Any]) -> dict[str, Any]:
    """The same for people: an interval beside its value, values of one kind on one line."""
    out: dict[str, Any] = {}
    for name, value in result.items():
        if name.endswith(("_low", "_high")):
            continue
        kind, _, rank = name.partition("@")
        if f"{name}_low" in result:
            low, high = result[f"{name}_low"], result[f"{name}_high"]
            out[name] = f"{value:.4g}  ({low:.4g} to {high:.4g})"
        elif kind.startswith("perplexity") and rank:
            out.setdefault(f"{kind} by rank", []).append(f"{value:.3f}")
        else:
            out[name] = value
    return {k: " ".join(v) if isinstance(v, list) else v for k, v in out.items()}
