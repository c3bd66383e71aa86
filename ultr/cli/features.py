"""`ultr features`: feature values into the lake."""

from __future__ import annotations

from pathlib import Path

import click

from ultr.cli.output import emit, json_option


@click.command("features", short_help="feature values of (query, document) pairs -> lake")
@click.option("--lake", type=click.Path(path_type=Path), required=True, help="The lake's folder.")
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    required=True,
    help="Parquet, CSV or TSV with query_id, doc_id and `features` or one column per feature; "
    "or a folder of ULTRA.",
)
@click.option(
    "--min-match",
    type=float,
    default=0.5,
    show_default=True,
    help="Least share of the log's pairs that must have features; 0 takes any.",
)
@click.option("--allow-missing", is_flag=True, help="NaN means missing: the mean, in training.")
@json_option
def command(
    *, lake: Path, source: Path, min_match: float, allow_missing: bool, as_json: bool
) -> None:
    """Make a file of feature values the lake's features; run `ultr lists` after it.

    Keys are those of the log. Earlier features are replaced.

    \b
    Examples:
      ultr features --lake lake --from features.parquet
      ultr features --lake lake --from tmp_data       (a folder of ULTRA)
      ultr features --lake lake --from features.csv --min-match 0 --allow-missing
    """
    from ultr.etl.features import add_features

    result = add_features(lake, source=source, min_match=min_match, allow_missing=allow_missing)
    emit(result, as_json=as_json, title=f"features of {source} are in {lake}")
