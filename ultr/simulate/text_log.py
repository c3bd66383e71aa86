"""What the writers of text logs share: the file, and the keys of the judged set as text."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO, Self

from ultr.simulate.judged import JudgedSet


class TextLog:
    """A text file that is being written; a context manager.

    Args:
        folder: where the log goes.
        judged: whose keys are written.
    """

    name = "log.tsv"

    def __init__(self, folder: Path, *, judged: JudgedSet) -> None:
        import polars as pl  # noqa: PLC0415  applications import the table side when they need it

        self._path = folder / self.name
        self._file: BinaryIO
        self._query = pl.Series(judged.query_key).cast(pl.String)
        self._doc = pl.Series(judged.doc_key).cast(pl.String)

    def __enter__(self) -> Self:
        """Open the file."""
        self._file = self._path.open("wb")
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._file.close()
