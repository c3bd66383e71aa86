"""`ultr score`."""

from __future__ import annotations

from pathlib import Path

import click

from ultr.cli.output import emit, json_option

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--run", required=True, type=_PATH, help="Folder of the run.")
@click.option("--lake", type=_PATH, help="Score all candidates of this lake.")
@click.option("--features", type=_PATH, help="Or a Parquet file: query_id, doc_id, features.")
@click.option("--out", required=True, type=_PATH, help="Parquet or CSV file to write.")
@click.option("--allow-missing", is_flag=True, help="NaN in --features means missing: the mean.")
@json_option
def command(
    *,
    run: Path,
    lake: Path | None,
    features: Path | None,
    out: Path,
    allow_missing: bool,
    as_json: bool,
) -> None:
    """Scores of a run: query_id, doc_id and score as Parquet or CSV; higher ranks first.

    With --features the rows of a query stand side by side, and the ids are written as they came.

    \b
    Examples:
      ultr score --run runs/dla --lake lake --out scores.parquet
      ultr score --run runs/dla --features features.parquet --out scores.parquet
    """
    from ultr.serve.score import score

    result = score(
        run, out=out, lake=lake, features=features, allow_missing=allow_missing, quiet=as_json
    )
    emit(result, as_json=as_json, title=f"scored with {run}")
