"""`ultr report`."""

from __future__ import annotations

from pathlib import Path

import click

from ultr.cli.output import emit, json_option

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--run", required=True, type=_PATH, help="Folder of the run.")
@click.option("--out", required=True, type=_PATH, metavar="FILE.html", help="The page to write.")
@click.option("--lake", type=_PATH, help="Where to evaluate; default: where it was trained.")
@click.option(
    "--against", multiple=True, type=_PATH, metavar="RUN", help="Runs to compare it with; repeat."
)
@json_option
def command(
    run: Path, *, out: Path, lake: Path | None, against: tuple[Path, ...], as_json: bool
) -> None:
    """One self-contained HTML page of a run: what it found, what it is worth, what to trust.

    It loads nothing from the network. What is missing (grades, clicks, the lake) is said, and the
    rest is shown.

    \b
    Example:
      ultr report --run runs/dla --against runs/naive --out report.html
    """
    from ultr.report.write import write_report

    result = write_report(run, out=out, lake=lake, others=against, quiet=as_json)
    emit(result, as_json=as_json, title=f"wrote {out}")
