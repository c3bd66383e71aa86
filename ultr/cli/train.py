"""`ultr train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ultr.cli.output import emit, json_option
from ultr.cli.training_display import training_display
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
@click.option("--overwrite", is_flag=True, help="Replace a finished or stopped run in that folder.")
@click.option(
    "--resume", is_flag=True, help="Go on with a stopped training in that folder, if any."
)
@click.option(
    "--continue",
    "continue_from",
    type=click.Path(path_type=Path),
    metavar="RUN",
    help="Begin with the states of a finished run; read periods that are new to it or grew by 1%.",
)
@click.option("--force", is_flag=True, help="Print propensities that the log does not identify.")
@json_option
def command(
    *,
    lake: Path,
    run: Path,
    config: Path | None,
    assignments: tuple[str, ...],
    overwrite: bool,
    resume: bool,
    continue_from: Path | None,
    force: bool,
    as_json: bool,
    **chosen: Any,
) -> None:
    """Fit ranker and propensities together (DLA), or a method to compare with.

    The state with the best listwise click likelihood on held-out queries is kept; no labels are
    read. The settings and their defaults are those of `ultr.train.TrainConfig`.

    Every half minute the whole state is kept in the run's folder. A training that was stopped, by
    Ctrl-C, SIGTERM or a crash, goes on with --resume, which needs no settings, and ends as if
    nothing had happened (to the bit on a CPU, and on a GPU with --set is_deterministic=true).

    \b
    Examples:
      ultr train --lake lake --run runs/dla
      ultr train --lake lake --run runs/ipw --method ipw --propensities sim/truth.json
      ultr train --lake lake --run runs/dla --resume
      ultr train --lake lake --run runs/week-2 --continue runs/week-1
      ultr train --lake lake --run runs/paper --preset sigir2018
      ultr train --lake lake --run runs/set --set 'ranker={"kind":"setrank","blocks":2}'
      ultr train --lake lake --run runs/wide --set hidden=[512,256,128] --set ranker_rate=3e-4
    """
    from ultr.train import (
        Identification,
        TrainConfig,
        is_finished,
        settings_of,
        train_lake,
        with_preset,
    )

    given = parse_assignments(assignments)
    given |= {name: value for name, value in chosen.items() if value is not None}
    settings = settings_of(run) if resume else {}
    if continue_from is not None and not settings:
        settings = settings_of(continue_from)
    if config is not None:
        from_file = read_toml(config)
        settings |= from_file | typed_values(
            TrainConfig, _without_preset(from_file), where=str(config)
        )
    settings |= given
    settings = typed_values(TrainConfig, with_preset(settings), where="ultr train")
    typed = TrainConfig(**settings)
    was_finished = resume and is_finished(run)
    with training_display(quiet=as_json) as display:
        result = train_lake(
            lake=lake, run=run, config=typed, overwrite=overwrite, resume=resume,
            continue_from=continue_from, on_epoch=display.epoch,
            on_stage=display.stage,
        )  # fmt: skip
    first = next(iter(result["propensities"]), "1")
    identified = Identification(**result["identification"])
    is_learned = typed.method in ("dla", "upe")
    if is_learned and identified.state == "none" and not force:
        del result["propensities"]  # any curve would do: none is shown unasked
    title = f"trained {typed.method} into {run}"
    if was_finished:
        title = f"{run} was finished already: nothing was changed"
        if as_json:  # people read it above the summary
            click.echo(title, err=True)
    emit(result, as_json=as_json, title=title)
    if is_learned:
        click.echo(f"propensities: {identified.sentence()}", err=True)
    if first != "1":
        click.echo(f"propensities are relative to position {first}: no page has 1", err=True)


def _without_preset(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "preset"}
