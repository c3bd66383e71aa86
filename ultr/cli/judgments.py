"""`ultr judgments`: relevance grades into the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ultr.cli.output import emit, json_option


@click.command("judgments", short_help="relevance grades -> lake, for evaluation only")
@click.argument("source", type=click.Path(path_type=Path), metavar="SRC")
@click.option("--lake", type=click.Path(path_type=Path), required=True, help="The lake's folder.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "letor", "qrels", "baidu", "ultra"]),
    default="table",
    show_default=True,
    help="table: query_id, doc_id, grade; letor: SVMlight with qid; qrels: TREC; "
    "baidu: expert annotations of Baidu-ULTR; ultra: ULTRA's folder, labels as grades.",
)
@json_option
def command(*, source: Path, lake: Path, form: Any, as_json: bool) -> None:
    """Make a file of grades the lake's judgments; no ranker learns from them.

    Keys are those of the log. Earlier judgments are replaced.

    \b
    Examples:
      ultr judgments judgments.parquet --lake lake
      ultr judgments S3.txt --lake lake --format letor
      ultr judgments annotation_data_0522.txt --lake lake --format baidu
      ultr judgments tmp_data --lake lake --format ultra
    """
    from ultr.etl.judgments import add_judgments

    result = add_judgments(lake, source=source, format=form)
    emit(result, as_json=as_json, title=f"judgments of {source} are in {lake}")
