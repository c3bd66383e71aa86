"""`ultr train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ultr.cli.output import emit, json_option
from ultr.config import parse_assignments, read_toml, typed_values


@click.command()
@click.option("--lake", required=True, type=click.Path(path_type=Path), help="Folder of the lake.")
@click.option("--run", required=True, type=click.Path(path_type=Path), help="Folder to make.")
@click.option("--config", type=click.Path(path_type=Path), help="TOML with settings.")
@click.option("--method", type=click.Choice(["dla", "naive", "ipw"]), help="[default: dla]")
@click.option("--ranker", type=click.Choice(["mlp", "linear", "table"]), help="[default: mlp]")
@click.option(
    "--propensities", type=click.Path(path_type=Path), help="For ipw: Parquet or truth.json."
)
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any setting.")
@click.option("--overwrite", is_flag=True, help="Replace a finished run in that folder.")
@click.option("--force", is_flag=True, help="Print propensities that the log does not identify.")
@json_option
def command(
    *,
    lake: Path,
    run: Path,
    config: Path | None,
    assignments: tuple[str, ...],
    overwrite: bool,
    force: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Fit ranker and propensities together (DLA), or a method to compare with.

    The state with the best listwise click likelihood on held-out queries is kept; no labels are
    read. The settings and their defaults are those of `ultr.train.TrainConfig`.

    \b
    Examples:
      ultr train --lake lake --run runs/dla
      ultr train --lake lake --run runs/ipw --method ipw --propensities sim/truth.json
      ultr train --lake lake --run runs/wide --set hidden=[512,256,128] --set ranker_rate=3e-4
    """
    from ultr.train import Identification, TrainConfig, train_lake

    given = parse_assignments(assignments)
    given |= {name: value for name, value in chosen.items() if value is not None}
    settings: dict[str, Any] = {}
    if config is not None:
        settings |= typed_values(TrainConfig, read_toml(config), where=str(config))
    settings |= typed_values(TrainConfig, given, where="ultr train")
    typed = TrainConfig(**settings)
    lines = (lambda _: None) if as_json else _show
    result = train_lake(lake=lake, run=run, config=typed, overwrite=overwrite, on_epoch=lines)
    first = next(iter(result["propensities"]))
    identified = Identification(**result["identification"])
    is_learned = typed.method == "dla"
    if is_learned and identified.state == "none" and not force:
        del result["propensities"]  # any curve would do: none is shown unasked
    emit(result, as_json=as_json, title=f"trained {typed.method} into {run}")
    if is_learned:
        click.echo(f"propensities: {identified.sentence()}", err=True)
    if first != "1":
        click.echo(f"propensities are relative to position {first}: no page has 1", err=True)


def _show(line: dict[str, Any]) -> None:
    click.echo(
        f"epoch {line['epoch']:>3}  held-out click NLL {line['click_nll_listwise']:.5f}  "
        f"ranker loss {line['rank_loss']:.5f}  {line['sessions_per_second']:>12,.0f} sessions/s",
        err=True,
    )
