"""`ultr ingest`."""

from __future__ import annotations

from pathlib import Path

import click

from ultr.cli.output import emit, json_option
from ultr.config import parse_assignments


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format", "form", required=True, type=click.Choice(["yandex", "table", "ubi"]),
    help="Of the log.",
)  # fmt: skip
@click.option("--lake", required=True, type=click.Path(path_type=Path), help="Folder of the lake.")
@click.option("--mapping", type=click.Path(path_type=Path), help="TOML that names the columns.")
@click.option(
    "--max-reject-rate",
    default=0.05,
    show_default=True,
    help="Fail above this share of rejected lines.",
)
@click.option("--id-rule", "id_rules", multiple=True, help="query=… or doc=integer|hex|xxh3.")
@click.option(
    "--late", metavar="TIME",
    help="How long an event waits for its page: 48h, 90m, 0.  [default: ubi 48h, yandex 0]",
)  # fmt: skip
@click.option(
    "--ordinal-base", type=click.Choice(["0", "1"]),
    help="ubi: number of the first position.  [default: as the log shows]",
)  # fmt: skip
@click.option("--click-action", "click_actions", multiple=True, help="ubi: what a click is called.")
@click.option(
    "--impression-action", "impression_actions", multiple=True,
    help="ubi: what an impression is called.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Read and report, write nothing.")
@json_option
def command(
    sources: tuple[Path, ...],
    *,
    form: str,
    lake: Path,
    mapping: Path | None,
    max_reject_rate: float,
    id_rules: tuple[str, ...],
    late: str | None,
    ordinal_base: str | None,
    click_actions: tuple[str, ...],
    impression_actions: tuple[str, ...],
    dry_run: bool,
    as_json: bool,
) -> None:
    """Read raw logs (files, folders, globs; plain, gzip or zstd) into a lake.

    Every line is used, a repeat, ignored, or a reject with its reason. A file that the lake
    already holds is skipped; one that changed replaces its own rows.

    In yandex and ubi logs clicks come apart from their pages, in any file of any night: one whose
    page has not come waits, and is a reject when it is older than --late.

    \b
    Examples:
      ultr ingest search_log.tsv.gz --format yandex --lake lake
      ultr ingest 'logs/*.csv' --format table --mapping shop.toml --lake lake
      ultr ingest ubi_queries.ndjson ubi_events.ndjson.gz --format ubi --lake lake
      ultr ingest night/ --format ubi --click-action buy_click --late 7d --lake lake
    """
    from ultr.config import from_mapping
    from ultr.etl.ingest import IngestConfig, ingest

    rules = {k: str(v) for k, v in parse_assignments(id_rules, option="--id-rule").items()}
    settings = {
        "format": form,
        "mapping": mapping,
        "max_reject_rate": max_reject_rate,
        "id_rules": rules,
        "late": late,
        "ordinal_base": None if ordinal_base is None else int(ordinal_base),
        "click_actions": click_actions,
        "impression_actions": impression_actions,
        "is_dry_run": dry_run,
    }
    config = from_mapping(IngestConfig, settings, where="ultr ingest")
    result = ingest(sources, lake=lake, config=config, quiet=as_json)
    emit(
        result,
        as_json=as_json,
        title=f"would ingest into {lake}" if dry_run else f"ingested into {lake}",
    )
