"""`ultr ingest`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ultr.cli.output import emit, json_option
from ultr.config import parse_assignments

_PATH = click.Path(path_type=Path)

_BLOCK_BY_BLOCK = ("baidu", "yandex")
_KEEP_FREED_MEMORY = "dirty_decay_ms:10000"
"""Polars gives freed memory back after half a second. Where the next block needs as much a moment
later, clearing it again costs a fifteenth of the work; the peak grows by up to a quarter."""


@click.command()
@click.argument("sources", nargs=-1, required=True, type=_PATH)
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(["yandex", "baidu", "ubi", "table", "ultra", "letor"]),
    help="Of the log; letor, which says no ranks, tells what to do instead.",
)
@click.option("--lake", type=_PATH, help="Folder of the lake; needed but for --guess.")
@click.option("--mapping", type=_PATH, help="TOML that names the columns of a table.")
@click.option(
    "--guess", is_flag=True, help="Print a mapping for the (first) file of a table; write nothing."
)
@click.option(
    "--labels",
    type=click.Choice(["grades", "clicks"]),
    default="grades",
    show_default=True,
    help="For ultra: what the .labels are.",
)
@click.option(
    "--max-reject-rate",
    default=0.05,
    show_default=True,
    help="Fail above this share of rejected lines.",
)
@click.option(
    "--on-bad-file",
    type=click.Choice(["fail", "skip"]),
    default="fail",
    show_default=True,
    help="A damaged file ends the job, or is left out, noted in rejects and tried again next time.",
)
@click.option(
    "--check-content",
    is_flag=True,
    help="Tell changed files by their bytes: a touched file is not read again.",
)
@click.option("--id-rule", "id_rules", multiple=True, help="query=… or doc=integer|hex|xxh3.")
@click.option(
    "--no-text",
    is_flag=True,
    help="Keep ids of queries and documents, and no text of them or of rejected lines.",
)
@click.option(
    "--hash-users",
    type=_PATH,
    metavar="SALT_FILE",
    help="Keep keyed hashes of user and session ids; one salt, one pseudonym. It is not stored.",
)
@click.option(
    "--late",
    metavar="TIME",
    help="How long an event waits for its page: 48h, 90m, 0.  [default: ubi 48h, yandex 0]",
)
@click.option(
    "--ordinal-base",
    type=click.Choice(["0", "1"]),
    help="ubi: number of the first position.  [default: as the log shows]",
)
@click.option("--click-action", "click_actions", multiple=True, help="ubi: what a click is called.")
@click.option(
    "--impression-action",
    "impression_actions",
    multiple=True,
    help="ubi: what an impression is called.",
)
@click.option("--dry-run", is_flag=True, help="Read and report with examples, write nothing.")
@json_option
def command(
    sources: tuple[Path, ...],
    *,
    form: str,
    lake: Path | None,
    guess: bool,
    id_rules: tuple[str, ...],
    ordinal_base: str | None,
    dry_run: bool,
    as_json: bool,
    **settings: Any,
) -> None:
    """Read raw logs (files, folders, globs; plain, gzip or zstd) into a lake.

    Every line is used, a repeat, ignored, or a reject with its reason. A file that the lake
    already holds is skipped; one that changed replaces its own rows; one that vanished is
    reported, and its rows stay (ultr lake drop removes them).

    A folder of ULTRA gives a page for each initial list. Its features and grades are read by
    commands of their own, as for every log: ultr features --from DIR and ultr judgments DIR.

    In yandex and ubi logs clicks come apart from their pages, in any file of any night: one whose
    page has not come waits, and is a reject when it is older than --late.

    \b
    Examples:
      ultr ingest search_log.tsv.gz --format yandex --lake lake
      ultr ingest 'part-*.gz' --format baidu --lake lake
      ultr ingest log.csv --format table --guess > shop.toml
      ultr ingest 'logs/*.csv' --format table --mapping shop.toml --lake lake --on-bad-file skip
      ultr ingest logs --format table --lake lake --check-content --dry-run
      ultr ingest logs --format table --lake lake --no-text --hash-users salt
      ultr ingest ubi_queries.ndjson ubi_events.ndjson.gz --format ubi --lake lake
      ultr ingest night/ --format ubi --click-action buy_click --late 7d --lake lake
      ultr ingest tmp_data --format ultra --labels clicks --lake lake
    """
    if form in _BLOCK_BY_BLOCK:  # before Polars is imported
        os.environ.setdefault("_RJEM_MALLOC_CONF", _KEEP_FREED_MEMORY)

    from ultr.config import from_mapping
    from ultr.errors import UsageError
    from ultr.etl.ingest import IngestConfig, ingest

    if guess:
        click.echo(_guess(sources, form), nl=False)
        return
    if lake is None:
        raise UsageError("logs go into a lake", got="no --lake", hint="add --lake FOLDER")
    settings["id_rules"] = {
        k: str(v) for k, v in parse_assignments(id_rules, option="--id-rule").items()
    }
    base = None if ordinal_base is None else int(ordinal_base)
    settings |= {"format": form, "is_dry_run": dry_run, "ordinal_base": base}
    config = from_mapping(IngestConfig, settings, where="ultr ingest")
    result = ingest(sources, lake=lake, config=config, quiet=as_json)
    examples, bad = result.get("reject_examples", {}), result.get("bad_files", {})
    shown = {k: v for k, v in result.items() if k not in ("reject_examples", "bad_files")}
    title = f"would ingest into {lake}" if dry_run else f"ingested into {lake}"
    emit(result if as_json else shown, as_json=as_json, title=title)
    if not as_json:
        _show_trouble(examples, bad)
        if form == "ultra" and not dry_run:
            click.echo(_next_of_ultra(sources, lake, config.labels))


def _guess(sources: tuple[Path, ...], form: str) -> str:
    from ultr.errors import UsageError
    from ultr.etl.sources import find_files
    from ultr.logs.propose import propose

    if form != "table":
        raise UsageError(
            "only tables have a mapping", got=f"--format {form}", hint="add --format table"
        )
    return propose(find_files(sources)[0])


def _show_trouble(examples: Mapping[str, list[str]], bad: Mapping[str, str]) -> None:
    for reason, lines in examples.items():
        click.echo(f"rejected, {reason}:")
        for line in lines:
            click.echo(f"  {line}")
    for name, error in bad.items():
        click.echo(f"cannot be read: {name}: {error}")


def _next_of_ultra(sources: tuple[Path, ...], lake: Path, labels: str) -> str:
    folder = sources[0]
    lines = [f"next: ultr features --lake {lake} --from {folder}"]
    if labels == "grades":
        lines += [f"      ultr judgments {folder} --lake {lake} --format ultra"]
    return "\n".join(lines)
