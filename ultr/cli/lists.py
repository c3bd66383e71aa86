"""`ultr lists`: from sessions to what training reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ultr.cli.output import emit, json_option


@click.command("lists", short_help="sessions -> what training reads")
@click.option("--lake", type=click.Path(path_type=Path), required=True, help="The lake's folder.")
@click.option(
    "--context",
    metavar="COLUMNS",
    help="Display columns of the bias context: device, media_type, height_px:bins=8.",
)
@click.option(
    "--period",
    type=click.Choice(["auto", "day", "week", "source", "all"]),
    help="Time windows that are kept apart; auto, the default, is day where the log has times.",
)
@click.option("--buckets", type=int, help="A power of two; default: chosen from the size.")
@click.option(
    "--memory-gib",
    type=float,
    default=1.0,
    show_default=True,
    help="What DuckDB may hold before it spills to the lake's disk.",
)
@click.option(
    "--drop-repeats/--keep-repeats",
    default=None,
    help="Make one page of consecutive pages of a visit with the same query and list.",
)
@click.option(
    "--drop-click-all",
    type=click.Choice(["none", "sessions", "users"]),
    help="Leave out pages on which, or users of a day by whom, every document was clicked.",
)
@click.option(
    "--max-pages-per-user",
    type=int,
    help="Leave out users with more pages than this in a day.",
)
@click.option(
    "--click-when",
    metavar="RULE",
    help="What counts as a click: click (the default), 'dwell_s>=SECONDS', feedback:ACTION.",
)
@click.option("--reset", is_flag=True, help="Options that are not given take their defaults again.")
@click.option("--rebuild", is_flag=True, help="Build all periods again, not only changed ones.")
@click.option(
    "--refit-edges", is_flag=True, help="Choose the bins of continuous context columns again."
)
@json_option
def command(
    *,
    lake: Path,
    context: str | None,
    reset: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Collapse equal sessions into rows with counts, and fit the feature transform.

    Run it again after new logs, features or judgments: only the periods whose pages changed are
    built again, and everything where features, judgments or options changed. Context, period,
    filters and click definition that are not given are those of the last build; --reset forgets
    them.

    Filters leave pages out of lists and exposures, never out of sessions; what they took is
    counted. They look at one day at a time. Of repeated pages the first stays, with all clicks.

    \b
    Examples:
      ultr lists --lake lake
      ultr lists --lake lake --period week --context device,height_px:bins=8
      ultr lists --lake lake --drop-repeats --max-pages-per-user 300
      ultr lists --lake lake --click-when 'dwell_s>=30'
      ultr lists --lake lake --reset
    """
    from ultr.etl.lists import build_lists
    from ultr.etl.lists_remembered import remember

    if context is not None:
        given["context"] = tuple(c.strip() for c in context.split(",") if c.strip())
    config, kept = remember(lake, given, reset=reset)
    result = build_lists(lake, config=config, quiet=as_json)
    if kept:
        result["options_of_last_build"] = kept
    emit(result, as_json=as_json, title=f"lists of {lake}")
