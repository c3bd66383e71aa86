"""`ultr ingest`."""

from __future__ import annotations

from pathlib import Path

import click

from ultr.cli.output import emit, json_option
from ultr.config import parse_assignments


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    required=True,
    type=click.Choice(["yandex", "baidu", "table"]),
    help="Of the log.",
)
@click.option("--lake", required=True, type=click.Path(path_type=Path), help="Folder of the lake.")
@click.option("--mapping", type=click.Path(path_type=Path), help="TOML that names the columns.")
@click.option(
    "--max-reject-rate",
    default=0.05,
    show_default=True,
    help="Fail above this share of rejected lines.",
)
@click.option("--id-rule", "id_rules", multiple=True, help="query=… or doc=integer|hex|xxh3.")
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
    dry_run: bool,
    as_json: bool,
) -> None:
    """Read raw logs (files, folders, globs; plain, gzip or zstd) into a lake.

    Every line is used, a repeat, ignored, or a reject with its reason. A file that the lake
    already holds is skipped; one that changed replaces its own rows.

    \b
    Examples:
      ultr ingest search_log.tsv.gz --format yandex --lake lake
      ultr ingest 'part-*.gz' --format baidu --lake lake
      ultr ingest 'logs/*.csv' --format table --mapping shop.toml --lake lake
    """
    from ultr.config import from_mapping
    from ultr.etl.ingest import IngestConfig, ingest

    rules = {k: str(v) for k, v in parse_assignments(id_rules, option="--id-rule").items()}
    settings = {
        "format": form,
        "mapping": mapping,
        "max_reject_rate": max_reject_rate,
        "id_rules": rules,
        "is_dry_run": dry_run,
    }
    config = from_mapping(IngestConfig, settings, where="ultr ingest")
    result = ingest(sources, lake=lake, config=config, quiet=as_json)
    emit(
        result,
        as_json=as_json,
        title=f"would ingest into {lake}" if dry_run else f"ingested into {lake}",
    )
