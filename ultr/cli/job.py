"""`ultr job`: run a batch job."""

from __future__ import annotations

from pathlib import Path

import click

from ultr.cli.output import emit, json_option


@click.command("job", short_help="run the whole way as a restartable batch job")
@click.argument("name")
@click.option(
    "--config", type=click.Path(path_type=Path), required=True, help="The job's TOML file."
)
@click.option(
    "--set", "changes", multiple=True, metavar="K=V", help="Change a value, e.g. train.seed=2."
)
@json_option
def command(name: str, config: Path, changes: tuple[str, ...], as_json: bool) -> None:
    """Run the batch job NAME (nightly); run it again and it goes on at the stage that failed.

    The summary is printed and kept in the job's work folder. Exit code: 0, 1 (bad data), 2 (bad
    configuration).

    \b
    Example:
      ultr job nightly --config pipelines/nightly.toml --set logs=/var/log/search --json
    """
    from ultr.config import parse_assignments
    from ultr.jobs import run_job

    summary = run_job(name, config, changes=parse_assignments(changes))
    shown = dict(summary)
    if not as_json:
        shown.pop("error", None)  # said once, on standard error
        shown["stages"] = {
            s["stage"]: f"{s['status']} ({s['seconds']:.1f} s)" for s in summary["stages"]
        }
    emit(shown, as_json=as_json, title=f"job {name}")
    if not summary["ok"]:
        click.echo(f"error: {summary['error']}", err=True)
        raise SystemExit(summary["exit_code"])
