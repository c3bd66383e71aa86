"""The chunks of raw files, one step ahead: a file is begun while the one before is written."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from ultr.ahead import ahead
from ultr.errors import DataError
from ultr.logs.chunk import Chunk

CHUNKS_AHEAD = 1
"""Parsed while an earlier chunk is written."""

Mark = Mapping[str, Any]
"""What tells a file from what it was."""


class Reading(NamedTuple):
    """A file.

    Attributes:
        mark: what it was when its reading began.
        chunks: what it holds; None where that is not wanted.
    """

    mark: Mark
    chunks: Iterator[Chunk] | None


class Readings:
    """Files in order, each of which is asked for once; a context manager that ends the thread.

    Args:
        paths: the files.
        mark: looks at a file.
        is_wanted: whether a file with such a mark is to be read.
        read: its chunks.
    """

    def __init__(
        self,
        paths: Iterable[Path],
        *,
        mark: Callable[[Path], Mark],
        is_wanted: Callable[[Path, Mark], bool],
        read: Callable[[Path], Iterator[Chunk]],
    ) -> None:
        self._mark, self._is_wanted, self._read = mark, is_wanted, read
        self._passed: set[Path] = set()
        self._items = ahead(self._made(paths), depth=CHUNKS_AHEAD)

    def __enter__(self) -> Self:
        """Nothing is read before a file is asked for."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        """End the thread."""
        self._items.close()

    def open(self, path: Path) -> Reading:
        """The next file; what is left of those before it is passed over.

        Raises:
            DataError: it cannot be read; `chunks` raises the same where that shows later.
        """
        mark = self._next(path)
        assert isinstance(mark, Mapping)  # noqa: S101  the first of a file
        chunks = self._chunks(path) if self._is_wanted(path, mark) else None
        return Reading(mark, chunks)

    def _chunks(self, path: Path) -> Iterator[Chunk]:
        try:
            while isinstance(chunk := self._next(path), Chunk):
                yield chunk
                del chunk  # it need not stay in memory until the next one is there
        finally:
            self._passed.add(path)

    def _next(self, path: Path) -> Mark | Chunk | None:
        for own, item in self._items:
            if own == path:
                if isinstance(item, DataError):
                    raise item
                return item
        raise AssertionError(f"{path} was asked for out of turn")

    def _made(
        self, paths: Iterable[Path]
    ) -> Generator[tuple[Path, Mark | Chunk | DataError | None]]:
        """Of each file its mark, its chunks, and None or what broke."""
        for path in paths:
            try:
                mark = self._mark(path)
                yield path, mark
                if self._is_wanted(path, mark):
                    with contextlib.closing(_generated(self._read(path))) as chunks:
                        for chunk in chunks:
                            yield path, chunk
                            del chunk
                            if path in self._passed:
                                break
                    yield path, None
            except DataError as error:
                yield path, error


def _generated(chunks: Iterator[Chunk]) -> Generator[Chunk]:
    yield from chunks
