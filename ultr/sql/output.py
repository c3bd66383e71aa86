"""The result of a query as text for people, or as CSV, JSON or Parquet for programs."""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Literal

import duckdb
import pyarrow.parquet as pq

from ultr.errors import UsageError
from ultr.lake import Lake, open_lake
from ultr.results import replacing
from ultr.sql.connection import connect, explained, run
from ultr.sql.named import Named, load

Format = Literal["table", "csv", "json", "parquet"]

TABLE_ROWS = 50
"""Rows that the table format shows; a line says so when there are more."""

_CELL = 80


def write_query(
    lake: Path,
    sql: str | None,
    *,
    name: str | None = None,
    given: Mapping[str, Any],
    form: Format | None = None,
    out: Path | None = None,
    runs: Sequence[Path] = (),
    allow_files: bool = False,
) -> None:
    """Run SQL or a named query on the lake at `lake` and write the result.

    Args:
        lake: the lake's folder.
        sql: one SELECT, or None to run the query called `name`.
        name: a named query.
        given: parameter -> value; a named query has defaults for the others.
        form: see `write`; without one, by the ending of `out`, else a table.
        out: see `write`.
        runs: see `connect`.
        allow_files: let the SQL read other files too.

    Raises:
        UsageError: SQL that DuckDB refuses, an unknown name or parameter, a bad `out`.
        DataError: no lake there, or data that the query cannot read.
    """
    named = load(name) if name is not None else None
    text, parameters = (sql or "", given) if named is None else (named.sql, named.bind(given))
    chosen = form or _form_of(out)
    opened = open_lake(lake)
    connection = connect(opened, runs=runs, allow_files=allow_files)
    with explained(connection, parameters):
        relation = run(connection, text, parameters)
        if named is not None:
            _warn_of_empty(opened, named)
        write(relation, form=chosen, out=out)


_FILLED_BY = {
    "exposures": "ultr lists",
    "lists": "ultr lists",
    "features": "ultr features",
    "judgments": "ultr judgments",
}


def _warn_of_empty(lake: Lake, query: Named) -> None:
    """Say why a named query may have nothing to tell; a count of 0 is not always a finding."""
    for table, command in _FILLED_BY.items():
        if table in query.reads and not lake.rows(table):
            sys.stderr.write(f"no {table} in the lake yet: {command} makes them\n")


def _form_of(out: Path | None) -> Format:
    if out is None:
        return "table"
    by_ending: dict[str, Format] = {
        ".csv": "csv", ".json": "json", ".parquet": "parquet", ".txt": "table",
    }  # fmt: skip
    if out.suffix not in by_ending:
        raise UsageError(
            "a result is written in the format that its file's name or --format says",
            got=str(out),
            hint=f"call it …{', …'.join(by_ending)}, or add --format csv",
        )
    return by_ending[out.suffix]


def write(relation: duckdb.DuckDBPyRelation, *, form: Format, out: Path | None = None) -> None:
    """Write a result to a file or to standard output.

    Args:
        relation: what `ultr.sql.query` gave.
        form: `table` (text, the first 50 rows), `csv`, `json` (an array of objects) or `parquet`.
        out: a file, put in place when it is whole; standard output without one.

    Raises:
        UsageError: Parquet without a file, or a file that cannot be written.
    """
    if form == "parquet" and out is None:
        raise UsageError(
            "Parquet goes into a file", got="no --out", hint="add --out result.parquet"
        )
    relation = _without_zones(relation)
    with _target(out) as target:
        if form == "parquet":
            _write_parquet(relation, target)
            return
        text = io.TextIOWrapper(target, encoding="utf-8", newline="")
        try:
            {"table": _write_table, "csv": _write_csv, "json": _write_json}[form](relation, text)
        finally:
            text.detach()  # or standard output would be closed with it


def _without_zones(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Times as UTC without a zone, as in the views: DuckDB hands out zones only with pytz."""
    if "TIMESTAMP WITH TIME ZONE" not in map(str, relation.types):
        return relation
    quoted = ['"' + name.replace('"', '""') + '"' for name in relation.columns]
    return relation.project(
        ", ".join(
            f"make_timestamp(epoch_us({q})) as {q}" if str(t) == "TIMESTAMP WITH TIME ZONE" else q
            for q, t in zip(quoted, relation.types, strict=True)
        )
    )


@contextlib.contextmanager
def _target(out: Path | None) -> Iterator[IO[bytes]]:
    if out is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        return
    with replacing(out) as path, path.open("wb") as file:
        yield file


def _write_parquet(relation: duckdb.DuckDBPyRelation, file: IO[bytes]) -> None:
    reader = relation.to_arrow_reader(100_000)
    with pq.ParquetWriter(file, reader.schema, compression="zstd") as writer:
        for batch in reader:
            writer.write_batch(batch)


def _write_csv(relation: duckdb.DuckDBPyRelation, text: IO[str]) -> None:
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(relation.columns)
    writer.writerows([_csv_cell(v) for v in row] for row in relation.iter_rows())


def _write_json(relation: duckdb.DuckDBPyRelation, text: IO[str]) -> None:
    names, before = relation.columns, "[\n"
    for row in relation.iter_rows():
        text.write(before + json.dumps(dict(zip(names, map(_plain, row), strict=True))))
        before = ",\n"
    text.write("[]\n" if before == "[\n" else "\n]\n")


def _write_table(relation: duckdb.DuckDBPyRelation, text: IO[str]) -> None:
    names = relation.columns
    rest = iter(relation.iter_rows())
    rows = list(itertools.islice(rest, TABLE_ROWS))
    more = sum(1 for _ in rest)
    is_number = [
        any(isinstance(r[i], int | float) for r in rows) and not isinstance(rows[0][i], bool)
        for i in range(len(names))
    ]
    cells = [names, *([_cell(v) for v in row] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    rule = ["─" * w for w in widths]
    for line in (cells[0], rule, *cells[1:]):
        aligned = (
            c.rjust(w) if right else c.ljust(w)
            for c, w, right in zip(line, widths, is_number, strict=True)
        )
        text.write("  ".join(aligned).rstrip() + "\n")
    total = len(rows) + more
    if more:
        text.write(
            f"the first {TABLE_ROWS} of {total:,} rows; all of them: --format csv --out FILE\n"
        )
    else:
        text.write(f"{total} row{'' if total == 1 else 's'}\n")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | dict):
        shown = json.dumps(_plain(value))
    else:
        # A line break or an escape sequence of a log must not reach the terminal.
        shown = "".join(c if c.isprintable() else "�" for c in str(value))
    return shown if len(shown) <= _CELL else shown[: _CELL - 1] + "…"


def _csv_cell(value: Any) -> Any:
    return json.dumps(_plain(value)) if isinstance(value, list | dict) else _plain(value)


def _plain(value: Any) -> Any:
    """A value as JSON has it: no NaN, dates as ISO text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
