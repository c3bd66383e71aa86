"""A DuckDB connection for the ETL: bounded memory, spilling into the lake's own folder."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from ultr.commit import Commit
from ultr.errors import DataError
from ultr.etl.split import MACROS
from ultr.logs.quiet import without_bar
from ultr.schema import TABLES

TEMPORARY = ".spill"
"""Folder inside the lake for what does not fit in memory; there only while a command runs."""


@contextlib.contextmanager
def engine(lake: Path, *, memory_gib: float) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an in-memory DuckDB that knows the macros of `ultr.etl.split`.

    To be used inside a commit only: the commit's lock keeps the temporary folder to one job.

    Args:
        lake: the lake's folder.
        memory_gib: what DuckDB may hold before it spills to disk.

    Yields:
        A connection; the folder `temporary_folder(lake)` exists as long as it does.

    Raises:
        DataError: a file of the lake cannot be read, or memory or disk do not suffice.
    """
    folder = temporary_folder(lake)
    shutil.rmtree(folder, ignore_errors=True)  # what a killed job left
    folder.mkdir()
    settings = {
        "memory_limit": f"{memory_gib * 1024:.0f}MiB",
        "temp_directory": str(folder / "duckdb"),
        "autoinstall_known_extensions": "false",
    }
    connection = duckdb.connect(":memory:", config=settings)
    try:
        without_bar(connection)  # ours is shown, on standard error
        connection.execute(MACROS)
        yield connection
    except duckdb.OutOfMemoryException as error:
        raise DataError(
            f"the work must fit into {memory_gib:g} GiB of memory and the disk of the lake",
            got=str(error).splitlines()[0],
            hint="give more memory with --memory-gib, or free space on the disk",
        ) from error
    except duckdb.Error as error:
        if isinstance(error, duckdb.ProgrammingError):  # our SQL is wrong, not the data
            raise
        raise DataError(
            "every file that the lake's manifest names must be readable Parquet",
            got=f"{lake}: {str(error).splitlines()[0]}",
            hint="restore the file from a backup, or ingest into a new lake",
        ) from error
    except OSError as error:  # what NumPy and Arrow read and write beside DuckDB
        raise DataError(
            "the lake must be readable, and its disk have space for what does not fit in memory",
            got=str(error),
            hint="check permissions and free space; the lake is as it was",
        ) from error
    finally:
        connection.close()
        shutil.rmtree(folder, ignore_errors=True)


def open_view(
    connection: duckdb.DuckDBPyConnection,
    change: Commit,
    table: str,
    *,
    name: str | None = None,
    paths: Sequence[str] | None = None,
) -> None:
    """Make a view of a table of the lake, empty where it has no files.

    Args:
        connection: where.
        change: the lake as it stands in the commit.
        table: a table of the registry.
        name: of the view; the table's by default.
        paths: only these of its files, relative to the lake.
    """
    view = table if name is None else name
    if paths is None:
        paths = [f.path for f in change.manifest.tables.get(table, [])]
    if paths:
        files = [str(change.root / p) for p in paths]
        connection.read_parquet(files, hive_partitioning=False).create_view(view)
    else:
        connection.register(f"{view}_arrow", TABLES[table].arrow().empty_table())
        connection.execute(f"create temp table {view} as select * from {view}_arrow")  # noqa: S608


def temporary_folder(lake: Path) -> Path:
    """Where the engine of a lake may keep files while it runs."""
    return lake / TEMPORARY
