"""`ultr compare`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ultr.cli.output import finite, gain_option, json_option, queries_option

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("runs", nargs=-1, required=True, type=_PATH, metavar="RUN...")
@click.option("--lake", required=True, type=_PATH, help="Judgments and held-out clicks.")
@queries_option
@gain_option
@click.option("--out", type=_PATH, help="Write the table as Parquet or CSV.")
@json_option
def command(
    runs: tuple[Path, ...], *, lake: Path, out: Path | None, as_json: bool, **settings: Any
) -> None:
    """Runs against the first one, on the same queries: differences, intervals, p-values.

    Differences have a 95% bootstrap interval over queries and the p-value of a paired randomisation
    test. Click likelihood is compared where the runs hold out the same sessions.

    \b
    Example:
      ultr compare runs/naive runs/dla --lake lake
    """
    from ultr.eval.compare import as_table, compare
    from ultr.eval.evaluate import EvaluateConfig
    from ultr.results import check_table_target, table_writer

    if out is not None:
        check_table_target(out, inputs=[*runs, lake])
    found = compare(runs, lake=lake, config=EvaluateConfig(**settings))
    if out is not None:
        table = as_table(found)
        with table_writer(out, table.schema) as writer:
            writer.write_table(table)
    if as_json:
        click.echo(json.dumps(finite({"rows": [vars(c) for c in found]})))
        return
    width = max(len(c.run) for c in found)
    click.echo(f"compared with {runs[0]} on {lake} ({settings['queries']} queries)")
    head = f"  {'metric':<18}  {'run':<{width}}  {'value':>7}  {'difference':>10}"
    click.echo(f"{head}  {'95% interval':<18}  {'p':>6}  queries")
    for c in found:
        line = f"  {c.metric:<18}  {c.run:<{width}}  {c.value:7.4f}"
        if c.run == str(runs[0]):
            click.echo(f"{line}  {'':>10}  {'':<18}  {'':>6}  {c.n_queries:,}")
            continue
        interval = f"{c.low:+.4f} {c.high:+.4f}"
        click.echo(f"{line}  {c.difference:+10.4f}  {interval:<18}  {c.p:6.4f}  {c.n_queries:,}")
