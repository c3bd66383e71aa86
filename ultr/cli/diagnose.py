"""`ultr diagnose`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ultr.cli.output import finite, json_option

_PATH = click.Path(path_type=Path)


@click.command(short_help="is the log fit to learn from, and what is its position bias")
@click.option("--lake", required=True, type=_PATH, help="The lake's folder.")
@click.option("--run", type=_PATH, help="A trained run: its residuals and weights too.")
@click.option("--out", type=_PATH, metavar="DIR", help="Write curves, edges and findings there.")
@click.option(
    "--randomised",
    "is_randomised",
    is_flag=True,
    help="Take the log's pages for uniformly shuffled: click rates are then the bias.",
)
@click.option(
    "--weak-impressions",
    type=int,
    default=1000,
    show_default=True,
    help="Swapped impressions below which a connection between ranks counts as weak.",
)
@click.option(
    "--replicates", type=int, default=200, show_default=True, help="Bootstrap samples of queries."
)
@click.option(
    "--memory-gib", type=float, default=1.0, show_default=True,
    help="Memory for reading pages; what does not fit goes to the temporary folder.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of the bootstrap.")
@json_option
def command(
    *,
    lake: Path,
    run: Path | None,
    out: Path | None,
    is_randomised: bool,
    weak_impressions: int,
    replicates: int,
    memory_gib: float,
    seed: int,
    as_json: bool,
) -> None:
    """Say what a log is fit for: quality, what identifies its position bias, and what it is.

    Findings are ok, note, warning or problem, each with what to do; the exit code is 0 with any.
    With --out, DIR/propensities_all_pairs.parquet is what ultr train --method ipw takes.

    \b
    Examples:
      ultr diagnose --lake lake
      ultr diagnose --lake lake --run runs/dla --out diagnosis --json
      ultr train --lake lake --run runs/ipw --method ipw \\
        --propensities diagnosis/propensities_all_pairs.parquet
    """
    from ultr.diagnose import DiagnoseConfig, diagnose, write_diagnosis
    from ultr.diagnose.output import check_folder
    from ultr.diagnose.text import as_text

    config = DiagnoseConfig(
        is_randomised=is_randomised,
        weak_impressions=weak_impressions,
        replicates=replicates,
        memory_gib=memory_gib,
        seed=seed,
    )
    inputs = (lake,) if run is None else (lake, run)
    if out is not None:
        check_folder(out, inputs=inputs)
    found = diagnose(lake, run=run, config=config, quiet=as_json)
    written = [] if out is None else write_diagnosis(found, out, inputs=inputs)
    if as_json:
        click.echo(json.dumps(finite(found.flat())))
        return
    click.echo(f"diagnosed {lake}\n{as_text(found)}")
    if written:
        click.echo(f"\nwritten: {', '.join(p.name for p in written)} in {out}")
