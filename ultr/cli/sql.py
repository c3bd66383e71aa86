"""`ultr sql`: ask a lake."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click


@click.command("sql", short_help="ask the lake: a SELECT, or a named query")
@click.argument("statement", required=False, metavar="[SQL]")
@click.option("--lake", type=click.Path(path_type=Path), help="The lake's folder.")
@click.option("--name", help="A named query; --list shows them.")
@click.option(
    "--param", "parameters", multiple=True, metavar="K=V", help="Value for $K; null is NULL."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    help="Default: by the ending of --out, else table.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Write the result to this file.")
@click.option(
    "--runs",
    "run_folders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder with runs, for the views of runs; default: runs beside the lake.",
)
@click.option("--allow-files", is_flag=True, help="Let the SQL read other files too.")
@click.option("--list", "show_list", is_flag=True, help="List the named queries and the views.")
@click.option("--schema", metavar="NAME", help="Show the columns of a view or a named query.")
@click.option("--check", is_flag=True, help="Run every data check; exit code 1 if one finds rows.")
@click.option(
    "--attach",
    type=click.Path(path_type=Path),
    metavar="FILE.duckdb",
    help="Write a DuckDB database with the views, for the DuckDB CLI or a BI tool.",
)
def command(
    *,
    statement: str | None,
    lake: Path | None,
    name: str | None,
    parameters: tuple[str, ...],
    form: Any,
    out: Path | None,
    run_folders: tuple[Path, ...],
    allow_files: bool,
    show_list: bool,
    schema: str | None,
    check: bool,
    attach: Path | None,
) -> None:
    """Run one SELECT, or a named query, over the views of a lake (DuckDB; nothing is written).

    Without a statement it is read from standard input; on a terminal a prompt opens, with .help.

    The database of --attach holds views of the lake as it is now, with absolute paths: write it
    anew after each commit (its view lake_commit tells whether it is the newest).

    \b
    Examples:
      ultr sql --list
      ultr sql --schema exposures
      ultr sql --lake lake
      ultr sql --lake lake --name ctr_by_position
      ultr sql --lake lake --name top_queries --param top=5 --format csv --out top.csv
      ultr sql --lake lake "select * from impressions where query_id = $q" --param q=7
      ultr sql --lake lake < question.sql
      ultr sql --lake lake --runs runs --name lift_by_traffic --param run=dla
      ultr sql --lake lake --attach lake.duckdb && duckdb -readonly lake.duckdb
      ultr sql --lake lake --check
    """
    from ultr.errors import UsageError

    given = {
        "SQL": statement,
        "--name": name,
        "--check": check or None,
        "--attach": attach,
        "--list": show_list or None,
        "--schema": schema,
    }
    asked = [what for what, value in given.items() if value is not None]
    if len(asked) > 1:
        raise UsageError("one thing at a time", got=" and ".join(asked), hint="leave one")
    if show_list or schema is not None:
        click.echo(_listing(lake, schema))
        return
    if lake is None:
        raise UsageError(
            "SQL needs a lake", got="no --lake", hint="add --lake FOLDER, or --list for the names"
        )
    if check:
        _check(lake)
    elif attach is not None:
        _attach(lake, attach, run_folders)
    elif not asked and not out and sys.stdin is not None and sys.stdin.isatty():
        _prompt(lake, run_folders, allow_files=allow_files)
    else:
        from ultr.sql.named import parameter_values
        from ultr.sql.output import write_query

        write_query(
            lake,
            None if name else statement or _from_standard_input(),
            name=name,
            given=parameter_values(parameters, option="--param"),
            form=form,
            out=out,
            runs=_runs(lake, run_folders),
            allow_files=allow_files,
        )


def _from_standard_input() -> str:
    from ultr.errors import UsageError

    text = sys.stdin.read() if sys.stdin is not None else ""
    if not text.strip():
        raise UsageError(
            "there must be something to run",
            got="no SQL, no --name, and nothing on standard input",
            hint='add "select …" or --name NAME (ultr sql --list), or call it on a terminal',
        )
    return text


def _runs(lake: Path, given: tuple[Path, ...]) -> list[Path]:
    from ultr.sql.runs import default_runs

    return list(given) or default_runs(lake)


def _listing(lake: Path | None, schema: str | None) -> str:
    from ultr.lake import open_lake
    from ultr.sql.describe import names_text, schema_text, views_text

    if schema is not None:
        return schema_text(schema)
    return f"{views_text(open_lake(lake) if lake else None)}\n\n{names_text()}"


def _prompt(lake: Path, given: tuple[Path, ...], *, allow_files: bool) -> None:
    from ultr.lake import open_lake
    from ultr.sql import connect
    from ultr.sql.prompt import line_editing, prompt

    opened = open_lake(lake)
    connection = connect(opened, runs=_runs(lake, given), allow_files=allow_files)
    click.echo(f"{lake}, commit {opened.manifest.version}. SELECT …; or .help", err=True)
    with line_editing(connection):
        prompt(connection)


def _attach(lake: Path, target: Path, given: tuple[Path, ...]) -> None:
    from ultr.lake import open_lake
    from ultr.sql.attach import attach

    opened = open_lake(lake)
    names = attach(opened, target, runs=_runs(lake, given))
    click.echo(f"wrote {target} with {len(names)} views of commit {opened.manifest.version}")


def _check(lake: Path) -> None:
    from ultr.lake import open_lake
    from ultr.sql import run_checks

    found = run_checks(open_lake(lake))
    for name, rows in found.items():
        click.echo(f"  {'ok  ' if not rows else 'FAIL'}  {name}" + (f"  {rows:,}" if rows else ""))
    failed = [name for name, rows in found.items() if rows]
    if failed:
        click.echo(f"look at them with: ultr sql --lake {lake} --name {failed[0]}", err=True)
        raise SystemExit(1)
