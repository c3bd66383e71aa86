"""Result files that are there whole or not at all, and never stand on what they were made from."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from ultr.errors import UsageError
from ultr.lake import lake_around


@contextlib.contextmanager
def replacing(path: Path, *, inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """Write a file under another name and rename it at the end; on failure, nothing changes.

    Args:
        path: where the result goes.
        inputs: files and folders that it is made from.

    Yields:
        The path to write to.

    Raises:
        UsageError: the folder is missing or cannot be written to, or `path` is a folder, lies in a
            lake, or is one of the inputs.
    """
    check_target(path, inputs=inputs)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise _not_writable(path, str(error)) from error
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_target(path: Path, *, inputs: Iterable[Path] = ()) -> None:
    """Check that a result may be written to `path`, before the work for it begins.

    Raises:
        UsageError: as `replacing`.
    """
    if path.exists() and not path.is_file():
        raise _not_writable(path, f"{path} is a folder or a device")
    if not path.parent.is_dir():
        raise _not_writable(path, f"{path.parent} is not a folder")
    lake = lake_around(path)
    if lake is not None:
        raise UsageError(
            "a result is never written into a lake: its files are the lake's alone",
            got=f"{path} lies in the lake {lake}",
            hint="choose a file outside of it",
        )
    target = path.resolve()
    read = next((i for i in inputs if target.is_relative_to(i.resolve())), None)
    if read is not None:
        raise UsageError(
            "a result does not replace what it is made from",
            got=f"{path}, which is read",
            hint="choose another file",
        )


@contextlib.contextmanager
def table_writer(
    path: Path, schema: pa.Schema, *, inputs: Iterable[Path] = ()
) -> Iterator[pq.ParquetWriter | pc.CSVWriter]:
    """Write tables to `path` as its name says, Parquet or CSV; see `replacing`.

    Raises:
        UsageError: another ending, or as `replacing`.

    Example:
        >>> with table_writer(Path("s.csv"), table.schema) as writer:  # doctest: +SKIP
        ...     writer.write_table(table)
    """
    check_table_target(path, inputs=inputs)
    with replacing(path, inputs=inputs) as temporary:
        if path.suffix == ".csv":
            with pc.CSVWriter(temporary, schema) as writer:
                yield writer
        else:
            with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
                yield writer


def check_table_target(path: Path, *, inputs: Iterable[Path] = ()) -> None:
    """`check_target` for a file of rows, which is Parquet or CSV as its name says.

    Raises:
        UsageError: another ending, or as `check_target`.
    """
    check_target(path, inputs=inputs)
    if path.suffix not in (".parquet", ".csv"):
        raise UsageError(
            "a file of rows is Parquet or CSV, as its name says",
            got=str(path),
            hint="call it ….parquet or ….csv",
        )


def _not_writable(path: Path, got: str) -> UsageError:
    return UsageError(
        "the result goes into a file in a folder that exists",
        got=got,
        hint=f"make the folder, or choose another file than {path}",
    )
