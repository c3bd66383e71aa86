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
@click.option("--preset", type=click.Choice(["sigir2018"]), help="Settings to start from.")
@click.option("--method", type=click.Choice(["dla", "upe", "naive", "ipw"]), help="[default: dla]")
@click.option(
    "--ranker",
    type=click.Choice(["mlp", "linear", "table", "dcn", "setrank"]),
    help="[default: mlp]",
)
@click.option(
    "--propensities", type=click.Path(path_type=Path), help="For ipw: Parquet or truth.json."
)
@click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="Any setting.")
@click.option("--overwrite", is_flag=True, help="Replace a finished run in that folder.")
@json_option
def command(
    *,
    lake: Path,
    run: Path,
    config: Path | None,
    assignments: tuple[str, ...],
    overwrite: bool,
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
      ultr train --lake lake --run runs/paper --preset sigir2018
      ultr train --lake lake --run runs/set --set 'ranker={"kind":"setrank","blocks":2}'
      ultr train --lake lake --run runs/wide --set hidden=[512,256,128] --set ranker_rate=3e-4
    """
    from ultr.train import TrainConfig, train_lake, with_preset

    given = parse_assignments(assignments)
    given |= {name: value for name, value in chosen.items() if value is not None}
    settings: dict[str, Any] = {}
    if config is not None:
        from_file = read_toml(config)
        settings |= from_file | typed_values(
            TrainConfig, _without_preset(from_file), where=str(config)
        )
    settings |= given
    settings = typed_values(TrainConfig, with_preset(settings), where="ultr train")
    typed = TrainConfig(**settings)
    lines = (lambda _: None) if as_json else _show
    result = train_lake(lake=lake, run=run, config=typed, overwrite=overwrite, on_epoch=lines)
    emit(result, as_json=as_json, title=f"trained {typed.method} into {run}")
    first = next(iter(result["propensities"]), "1")
    if first != "1":
        click.echo(f"propensities are relative to position {first}: no page has 1", err=True)


def _without_preset(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "preset"}


def _show(line: dict[str, Any]) -> None:
    click.echo(
        f"epoch {line['epoch']:>3}  held-out click NLL {line['click_nll_listwise']:.5f}  "
        f"ranker loss {line['rank_loss']:.5f}  {line['sessions_per_second']:>12,.0f} sessions/s",
        err=True,
    )
