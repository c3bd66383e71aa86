"""`ultr sql`: ask a lake."""

from __future__ import annotations

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
@click.option("--allow-files", is_flag=True, help="Let the SQL read other files too.")
@click.option("--list", "show_list", is_flag=True, help="List the named queries.")
@click.option("--check", is_flag=True, help="Run every data check; exit code 1 if one finds rows.")
def command(
    *,
    statement: str | None,
    lake: Path | None,
    name: str | None,
    parameters: tuple[str, ...],
    form: Any,
    out: Path | None,
    allow_files: bool,
    show_list: bool,
    check: bool,
) -> None:
    """Run one SELECT, or a named query, over the views of a lake (DuckDB; nothing is written).

    \b
    Examples:
      ultr sql --list
      ultr sql --lake lake --name ctr_by_position
      ultr sql --lake lake --name top_queries --param top=5 --format csv --out top.csv
      ultr sql --lake lake "select * from impressions where query_id = $q" --param q=7
      ultr sql --lake lake --check
    """
    from ultr.errors import UsageError

    if show_list:
        click.echo(_names())
        return
    if lake is None:
        raise UsageError(
            "SQL needs a lake", got="no --lake", hint="add --lake FOLDER, or --list for the names"
        )
    if sum((statement is not None, name is not None, check)) > 1:
        raise UsageError(
            "one thing at a time", got="more than one of SQL, --name and --check", hint="leave one"
        )
    if check:
        _check(lake)
    elif statement is None and name is None:
        click.echo(_overview(lake))
    else:
        from ultr.config import split_assignments
        from ultr.sql.output import write_query

        # As text, which DuckDB casts to what it stands beside: a number may be meant as a key.
        texts = split_assignments(parameters, option="--param")
        given = {name: None if text == "null" else text for name, text in texts.items()}
        write_query(
            lake, statement, name=name, given=given, form=form, out=out, allow_files=allow_files
        )


def _names() -> str:
    from ultr.sql import named_queries

    lines = []
    for kind, title in (("analysis", "Analysis"), ("checks", "Checks (no row when all is well)")):
        queries = [q for q in named_queries().values() if q.kind == kind]
        width = max(len(q.name) for q in queries)
        lines.append(f"{title}:")
        for q in queries:
            lines.append(f"  {q.name:<{width}}  {q.purpose}")
            lines += [
                f"  {'':<{width}}    --param {p}=…  {meaning} (default {q.defaults[p]})"
                for p, meaning in q.parameters.items()
            ]
    return "\n".join(lines)


def _overview(lake: Path) -> str:
    from ultr.lake import open_lake
    from ultr.lake_info import view_rows
    from ultr.schema import TABLES
    from ultr.sql.named import views

    opened = open_lake(lake)
    width = max(map(len, TABLES))
    lines = ["Views:"]
    lines += [f"  {n:<{width}}  {view_rows(opened, n):>12,}  {t.row}" for n, t in TABLES.items()]
    notes = {"list_periods": "what `ultr lists` noted of each period: period, sessions, dropped"}
    notes |= {v.name: v.purpose for v in views()}
    lines += [f"  {name:<{width}}  {'':>12}  {purpose}" for name, purpose in notes.items()]
    return "\n".join([*lines, "", _names()])


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
