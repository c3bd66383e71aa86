"""`ultr lists`: from sessions to what training reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ultr.cli.output import emit, json_option


@click.command("lists", short_help="split, collapse equal sessions, bucket; exposures for SQL")
@click.option("--lake", type=click.Path(path_type=Path), required=True, help="The lake's folder.")
@click.option(
    "--context",
    default="",
    metavar="COLUMNS",
    help="Display columns of the bias context: device, media_type, height_px:bins=8.",
)
@click.option(
    "--period",
    type=click.Choice(["auto", "day", "week", "source", "all"]),
    default="auto",
    show_default=True,
    help="Time windows that are kept apart; auto is day where the log has times.",
)
@click.option("--buckets", type=int, help="A power of two; default: chosen from the size.")
@click.option(
    "--memory-gib",
    type=float,
    default=1.0,
    show_default=True,
    help="What DuckDB may hold before it spills to the lake's disk.",
)
@json_option
def command(
    *,
    lake: Path,
    context: str,
    period: Any,
    buckets: int | None,
    memory_gib: float,
    as_json: bool,
) -> None:
    """Collapse equal sessions into rows with counts, and fit the feature transform.

    Earlier lists are replaced. Run it again after new logs, features or judgments.

    \b
    Examples:
      ultr lists --lake lake
      ultr lists --lake lake --period week --context device,height_px:bins=8
    """
    from ultr.etl.lists import ListsConfig, build_lists

    columns = tuple(c.strip() for c in context.split(",") if c.strip())
    config = ListsConfig(columns, period, buckets, memory_gib)
    emit(build_lists(lake, config=config), as_json=as_json, title=f"lists of {lake}")
