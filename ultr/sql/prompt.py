"""The interactive prompt of `ultr sql`: SELECTs over several lines, and commands with a dot."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from ultr.errors import UltrError, UsageError
from ultr.sql.catalog import catalog
from ultr.sql.connection import explained, run, view_names
from ultr.sql.describe import names_text, schema_text, views_text
from ultr.sql.named import load, named_queries, parameter_values
from ultr.sql.output import write

HELP = """\
select …;           run a SELECT; it may go over several lines and ends with ;
.views              the views and what they hold
.queries            the named queries and their parameters
.run NAME [K=V …]   run a named query
.schema NAME        columns of a view or a named query
.help               this
.quit               leave (or Ctrl-D); Ctrl-C drops what is half typed, or stops a query"""

_FIRST, _NEXT = "ultr> ", "  ... "

Read = Callable[[str], str]


def prompt(connection: duckdb.DuckDBPyConnection, *, read: Read = input) -> None:
    """Ask, run and print until `.quit` or the end of the input; errors are printed.

    Args:
        connection: what `connect` made.
        read: gives the next line for a prompt, EOFError at the end.
    """
    for text in statements(read):
        try:
            if text.startswith("."):
                if text.split()[0] in (".quit", ".exit"):
                    return
                command(connection, text)
            else:
                with explained(connection):
                    write(run(connection, text), form="table")
        except UltrError as error:
            _say(f"error: {error}")
        except KeyboardInterrupt:
            _say("stopped")


def statements(read: Read) -> Iterator[str]:
    """Commands, and SQL up to the line that ends with a semicolon."""
    lines: list[str] = []
    while True:
        try:
            line = read(_NEXT if lines else _FIRST)
        except EOFError:
            return
        except KeyboardInterrupt:
            _say("")
            lines = []
            continue
        if not lines and line.lstrip().startswith("."):
            yield line.strip()
        elif lines or line.strip():
            lines.append(line)
            if line.rstrip().endswith(";"):
                yield "\n".join(lines)
                lines = []


def command(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    """Run one command with a dot.

    Raises:
        UsageError: no such command, view or query; the known ones are listed.
    """
    match text.split():
        case [".help"]:
            _print(HELP)
        case [".views"]:
            _print(views_text())
        case [".queries"]:
            _print(names_text())
        case [".schema", name]:
            _print(schema_text(name))
        case [".run", name, *values]:
            named = load(name)
            parameters = named.bind(parameter_values(values, option=".run NAME"))
            with explained(connection, parameters):
                write(run(connection, named.sql, parameters), form="table")
        case _:
            raise UsageError("a command with a dot is one of the list", got=text, hint=f"\n{HELP}")


@contextlib.contextmanager
def line_editing(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Arrow keys, history over sessions and completion of names, where Python has readline."""
    try:
        import readline  # noqa: PLC0415  it changes the terminal, and not every Python has it
    except ImportError:
        yield
        return
    names = [*view_names(connection), *named_queries()]
    names += [n for v in catalog().values() for n, _, _ in v.columns]
    words = sorted({*names, ".views", ".queries", ".run", ".schema", ".help", ".quit"})

    def complete(text: str, state: int) -> str | None:
        return next(iter([w for w in words if w.startswith(text)][state : state + 1]), None)

    path = history_path()
    readline.set_completer(complete)
    readline.set_completer_delims(" \t\n,()=<>;'\"")
    readline.parse_and_bind("tab: complete")
    with contextlib.suppress(OSError):
        readline.read_history_file(path)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # a home that cannot be written to
            path.parent.mkdir(parents=True, exist_ok=True)
            readline.set_history_length(1000)
            readline.write_history_file(path)


def history_path() -> Path:
    """`ultr/sql_history` where programs keep their state (`XDG_STATE_HOME`)."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(state).expanduser() / "ultr" / "sql_history"


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()
