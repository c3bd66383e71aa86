"""A DuckDB connection that sees one commit of a lake as views, and nothing else.

Only single SELECT statements run, other files cannot be opened, and the settings are locked:
a query that someone pasted can be slow or wrong, but it changes nothing and reads nothing else.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from ultr.errors import DataError, UltrError, UsageError
from ultr.lake import Lake
from ultr.logs.quiet import without_bar
from ultr.schema import TABLES
from ultr.sql.named import views
from ultr.sql.runs import RUN_QUERIES, find_runs, per_query_files, read_runs
from ultr.sql.tables import (
    LIST_PERIODS,
    list_periods_select,
    literal,
    run_queries_select,
    table_select,
)


def connect(
    lake: Lake, *, runs: Sequence[Path] = (), allow_files: bool = False
) -> duckdb.DuckDBPyConnection:
    """Open an in-memory DuckDB with a view per table of the registry and per file of `sql/views`.

    Args:
        lake: the commit to look at; later commits are not seen.
        runs: folders that are runs or hold some; without any, their views are empty.
        allow_files: let queries read other files too (`read_parquet('scores.parquet')`).

    Raises:
        UsageError: a folder of runs that is not there.
        DataError: a file of the lake or of a run is gone or damaged.
    """
    connection = duckdb.connect(":memory:")
    # Never fetched from the network: what a query can do is what was installed.
    connection.execute("set autoinstall_known_extensions = false")
    # A name in the SQL is a view, never a variable of the program.
    connection.execute("set python_enable_replacements = false")
    connection.execute("set timezone = 'UTC'")
    without_bar(connection)
    connection.execute(f"set temp_directory = {literal(Path(tempfile.gettempdir()) / 'ultr-sql')}")
    read = create_views(connection, lake, runs=runs)
    if not allow_files:
        connection.execute(f"set allowed_paths = [{', '.join(map(literal, read))}]")
        connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def query(
    lake: Lake,
    sql: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    runs: Sequence[Path] = (),
    allow_files: bool = False,
) -> duckdb.DuckDBPyRelation:
    """Run one SELECT over the lake's views.

    Args:
        lake: the commit to look at.
        sql: one SELECT (also FROM, VALUES, DESCRIBE, SUMMARIZE); parameters stand as `$name`.
        parameters: name -> value, bound and never pasted into the text.
        runs: as of `connect`.
        allow_files: let the query read other files too.

    Returns:
        The result as a DuckDB relation (`.fetchall()`, `.pl()`, `.arrow()`).

    Raises:
        UsageError: not one SELECT, SQL that DuckDB refuses, or parameters that do not fit.
        DataError: the query met bad values, or files that cannot be read.

    Example:
        >>> query(lake, "select count(*) from sessions where period = $p", {"p": "2026-01-01"})
        ... # doctest: +SKIP
    """
    connection = connect(lake, runs=runs, allow_files=allow_files)
    return run(connection, sql, parameters)


def run(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: Mapping[str, Any] | None = None
) -> duckdb.DuckDBPyRelation:
    """Run one SELECT on a connection that `connect` made; raises as `query` does."""
    given = dict(parameters or {})
    with explained(connection, given):
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
            raise _not_one_select(sql, len(statements))
        _check_parameters(set(statements[0].named_parameters), set(given))
        if given:
            return connection.sql(sql, params=given)
        return connection.sql(sql)


@contextlib.contextmanager
def explained(
    connection: duckdb.DuckDBPyConnection, parameters: Mapping[str, Any] | None = None
) -> Iterator[None]:
    """Turn DuckDB's errors into ours; also around fetching, since relations run when read."""
    try:
        yield
    except duckdb.ConversionException as error:
        raise _bad_parameter(error, parameters or {}) or _explain(error, connection) from error
    except duckdb.Error as error:
        raise _explain(error, connection) from error


def view_names(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """What SELECTs can name on a connection, in the order in which it was made."""
    found = connection.execute(
        "select view_name from (select view_oid, view_name from duckdb_views() where not internal"
        " union all select table_oid, table_name from duckdb_tables()) order by view_oid"
    )
    return [name for (name,) in found.fetchall()]


def create_views(
    connection: duckdb.DuckDBPyConnection, lake: Lake, *, runs: Sequence[Path] = ()
) -> list[Path]:
    """Make the views of a lake and its runs.

    Returns:
        The files they read, absolute.
    """
    paths = {name: [p.resolve() for p in lake.paths(name)] for name in TABLES}
    found = find_runs(runs)
    metrics = {name: path.resolve() for name, path in per_query_files(found).items()}
    try:
        for name, table in TABLES.items():
            _create_view(connection, name, table_select(table, paths[name]))
        _create_view(connection, LIST_PERIODS.name, list_periods_select(lake))
        for name, rows in read_runs(found).items():
            connection.register("rows", rows)
            connection.execute(f'create table "{name}" as from rows')
            connection.unregister("rows")
        _create_view(connection, RUN_QUERIES.name, run_queries_select(metrics))
        for view in views():
            _create_view(connection, view.name, view.sql)
    except duckdb.Error as error:
        raise _damaged_file(error) from error
    return [*(p for several in paths.values() for p in several), *metrics.values()]


def _create_view(connection: duckdb.DuckDBPyConnection, name: str, select: str) -> None:
    connection.execute(f'create view "{name}" as {select}')


def _check_parameters(wanted: set[str], given: set[str]) -> None:
    if wanted == given:
        return
    missing, unknown = sorted(wanted - given), sorted(given - wanted)
    raise UsageError(
        "every $name in the SQL needs a parameter, and every parameter a $name",
        got="; ".join(
            f"{what}: {', '.join(names)}"
            for what, names in (("missing", missing), ("not in the SQL", unknown))
            if names
        ),
        hint="give parameters as --param name=value"
        + (f", here: {', '.join(sorted(wanted))}" if wanted else ""),
    )


def _not_one_select(sql: str, count: int) -> UsageError:
    return UsageError(
        "a lake is only read: the SQL must be one SELECT",
        got=f"{count} statements" if count != 1 else sql.strip().splitlines()[0][:80],
        hint="start with select, from, with, describe or summarize; send one statement at a time",
    )


def _explain(error: duckdb.Error, connection: duckdb.DuckDBPyConnection) -> UltrError:
    """Tell a wrong query (the call's fault) from one that met wrong data."""
    got = str(error).strip()
    if isinstance(error, duckdb.PermissionException):
        return UsageError(
            "a query reads the lake and no other file",
            got=got,
            hint="use the lake's views, or pass --allow-files to read other files",
        )
    if type(error) is duckdb.Error or isinstance(error, duckdb.IOException):
        return _damaged_file(error)  # Parquet's own errors have no class
    known = f"views: {', '.join(view_names(connection))}"
    wrong_call = (duckdb.ProgrammingError, duckdb.NotSupportedError, duckdb.InvalidInputException)
    if isinstance(error, wrong_call) and not isinstance(error, duckdb.DataError):
        return UsageError("DuckDB must be able to run the SQL", got=got, hint=known)
    return DataError("DuckDB must be able to run the SQL on this data", got=got, hint=known)


def _damaged_file(error: duckdb.Error) -> DataError:
    return DataError(
        "every file that the lake's manifest names must be readable Parquet",
        got=_first_line(error),
        hint="restore the file from a backup, or ingest into a new lake",
    )


def _bad_parameter(error: duckdb.Error, parameters: Mapping[str, Any]) -> UsageError | None:
    """The parameter whose text could not be cast, or None: then the data could not."""
    for name, value in parameters.items():
        if isinstance(value, str) and f"'{value}'" in str(error):
            return UsageError(
                "a parameter must fit what it is compared with",
                got=f"{name}={value}: {_first_line(error)}",
                hint=f"give another value for ${name}",
            )
    return None


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
