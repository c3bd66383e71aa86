"""DuckDB without its progress bar, which stands on standard output: results are there."""

from __future__ import annotations

import contextlib

import duckdb


def without_bar(connection: duckdb.DuckDBPyConnection) -> None:
    """Switch the bar off: under `python -c` DuckDB takes itself to be talked to, and shows it."""
    # A notebook without ipywidgets refuses the setting, and has no bar.
    with contextlib.suppress(duckdb.InvalidInputException):
        connection.execute("set enable_progress_bar = false")
