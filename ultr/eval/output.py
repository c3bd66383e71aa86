"""Result files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from ultr.errors import UsageError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write a file under another name and rename it at the end; on failure, nothing changes.

    Yields:
        The path to write to.

    Raises:
        UsageError: the folder is missing or cannot be written to, or `path` is a folder.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    try:
        if path.is_dir():
            raise IsADirectoryError(f"{path} is a folder")
        temporary.touch(exist_ok=False)
    except OSError as error:
        raise UsageError(
            "the result goes into a file in a folder that exists",
            got=str(error),
            hint=f"make the folder, or choose another file than {path}",
        ) from error
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
