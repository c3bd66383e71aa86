"""`ultr lake`: look at a lake."""

from __future__ import annotations

from pathlib import Path

import click

from ultr.cli.output import emit, json_option


@click.group("lake", short_help="look at a lake and tidy it")
def command() -> None:
    """Look at a lake.

    \b
    Example:
      ultr lake info --lake lake
    """


@command.command("info")
@click.option("--lake", type=click.Path(path_type=Path), required=True, help="The lake's folder.")
@json_option
def info(lake: Path, as_json: bool) -> None:
    """Tables, rows, files, bytes, periods, sources, id rules and settings of a lake.

    \b
    Example:
      ultr lake info --lake lake --json
    """
    from ultr.lake import open_lake
    from ultr.lake_info import describe

    emit(describe(open_lake(lake)), as_json=as_json, title=f"lake {lake}")
