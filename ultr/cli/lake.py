"""`ultr lake`: look at a lake and tidy it."""

from __future__ import annotations

from pathlib import Path

import click

from ultr.cli.output import emit, json_option

_lake = click.option(
    "--lake", type=click.Path(path_type=Path), required=True, help="The lake's folder."
)


@click.group("lake", short_help="look at a lake and tidy it")
def command() -> None:
    """Look at a lake and tidy it.

    \b
    Examples:
      ultr lake info --lake lake
      ultr lake compact --lake lake && ultr lake vacuum --lake lake
      ultr lake drop 'logs/2025-*' --lake lake --yes
    """


@command.command("info")
@_lake
@click.option("--sources", "with_sources", is_flag=True, help="Each raw file with its counts.")
@json_option
def info(*, lake: Path, with_sources: bool, as_json: bool) -> None:
    """Tables, rows, files, bytes, periods, sources, id rules, settings, and what is stale.

    \b
    Examples:
      ultr lake info --lake lake --json
      ultr lake info --lake lake --sources
    """
    from ultr.lake import open_lake
    from ultr.lake_info import describe, sources_of

    opened = open_lake(lake)
    if with_sources:
        emit(sources_of(opened), as_json=as_json, title=f"sources of {lake}")
    else:
        emit(describe(opened), as_json=as_json, title=f"lake {lake}")


@command.command("compact")
@_lake
@json_option
def compact(*, lake: Path, as_json: bool) -> None:
    """Merge the small files of each table, and keep one row per query and document.

    No other row changes, and lists stay up to date. Replaced files stay for readers until vacuum.

    \b
    Example:
      ultr lake compact --lake lake
    """
    from ultr.etl.tidy import compact as run

    emit(run(lake), as_json=as_json, title=f"compacted {lake}")


@command.command("vacuum")
@_lake
@click.option("--now", is_flag=True, help="Also what was replaced within the last hour.")
@json_option
def vacuum(*, lake: Path, now: bool, as_json: bool) -> None:
    """Delete files that were replaced, and what killed jobs left.

    Those replaced within the last hour stay, since a reader may hold them; --now deletes them too.

    \b
    Example:
      ultr lake vacuum --lake lake
    """
    from ultr.etl.tidy import vacuum as run

    emit(run(lake, now=now), as_json=as_json, title=f"vacuumed {lake}")


@command.command("drop")
@click.argument("sources", nargs=-1, metavar="[SOURCE...]")
@_lake
@click.option("--period", help="Sessions of this period instead, such as 2026-01-31.")
@click.option("--table", help="Or a table: features, judgments, lists or rejects.")
@click.option("--yes", is_flag=True, help="Do it; without, it is only said how much would go.")
@json_option
def drop(
    sources: tuple[str, ...],
    *,
    lake: Path,
    period: str | None,
    table: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Remove sources (names or patterns, as in info --sources), a period, or a table.

    Queries, documents and rejects that only they have go with them. Run ultr lists afterwards:
    what it made before still holds them. Files on disk go with: ultr lake vacuum --now.

    \b
    Examples:
      ultr lake drop logs/2025-12-24.csv --lake lake --yes
      ultr lake drop --period 2025-12-24 --lake lake --yes
      ultr lake drop --table judgments --lake lake --yes
    """
    from ultr.etl.drop import DropConfig
    from ultr.etl.drop import drop as run

    result = run(lake, config=DropConfig(sources, period, table), yes=yes)
    emit(result, as_json=as_json, title=f"dropped from {lake}")
