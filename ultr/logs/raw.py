"""Bytes of a raw file: decompressed, in blocks of whole lines, with bad UTF-8 told apart."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

import polars as pl
import pyarrow as pa

from ultr.errors import DataError

BLOCK_BYTES = 32 << 20
"""Decompressed text held at a time; a chunk's tables take about ten times as much memory."""

_BOM, _PARQUET = b"\xef\xbb\xbf", b"PAR1"

MAX_LINE_BYTES = 256 << 20
"""A longer line, or run of lines that belong together, is not a log."""


class Block(NamedTuple):
    """Whole lines of a file.

    Attributes:
        first_line: number of the first line, from 1.
        data: the bytes, ending with a newline.
        size: bytes of the file on disk that were read for it.
    """

    first_line: int
    data: bytes
    size: int


Cut = Callable[[bytes], int]
"""Where a block may end: an offset behind a newline, or 0 if nowhere yet."""


def after_last_line(data: bytes) -> int:
    """Cut between any two lines."""
    return data.rfind(b"\n") + 1


def blocks(path: Path, *, cut: Cut = after_last_line) -> Iterator[Block]:
    """Read a plain, gzip or zstd file block by block; the kind is told by its first bytes.

    Raises:
        DataError: a missing, unreadable, empty or damaged file, naming how far it could be read.
    """
    line, rest = 1, b""
    with _opened(path) as raw:
        stream, before = _decompressed(path, raw), 0
        following = _read(stream, path, line).removeprefix(_BOM)
        while following:
            rest += following
            following = _read(stream, path, line)
            if not following:
                break  # the end of the file needs no cut
            at = cut(rest)
            if at:
                read = raw.tell()
                yield Block(line, rest[:at], read - before)
                line, rest, before = line + rest.count(b"\n", 0, at), rest[at:], read
            elif len(rest) > MAX_LINE_BYTES:
                raise DataError(
                    f"lines that belong together must fit into {MAX_LINE_BYTES >> 20} MiB",
                    got=f"{path}: more from line {line} on",
                    hint="is this a log, and the right --format?",
                )
        if rest:
            yield Block(line, rest if rest.endswith(b"\n") else rest + b"\n", raw.tell() - before)
        elif line == 1:
            raise DataError(
                "a log must not be empty",
                got=f"{path} holds no line",
                hint="check the export, or leave the file out",
            )


def head(path: Path, *, size: int = 4096) -> bytes:
    """The first bytes of the text, decompressed, without a byte order mark.

    Raises:
        DataError: a missing, unreadable or damaged file.
    """
    with _opened(path) as raw:
        return _read(_decompressed(path, raw), path, 1, size=size).removeprefix(_BOM)


def is_parquet(path: Path) -> bool:
    """Whether the file begins as Parquet does.

    Raises:
        DataError: a missing or unreadable file.
    """
    with _opened(path) as raw:
        return raw.read(4) == _PARQUET


def lines_of(block: Block) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A block as `line, text` rows, and the lines with bad UTF-8 as rejects."""
    data, bad = block.data, list[tuple[int, str]]()
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        data, bad = _without_bad_lines(block)
    frame = pl.read_lines(io.BytesIO(data), name="text", row_index_name="line")
    frame = frame.select(pl.col("line").cast(pl.Int64) + block.first_line, "text")
    numbers = [number for number, _ in bad]
    rejects = pl.DataFrame(
        {"line": numbers, "text": [text for _, text in bad]},
        schema={"line": pl.Int64, "text": pl.String},
    ).with_columns(reason=pl.lit("not UTF-8"))
    if numbers:
        frame = frame.filter(~pl.col("line").is_in(numbers))
    return frame, rejects


def _without_bad_lines(block: Block) -> tuple[bytes, list[tuple[int, str]]]:
    good, bad = [], []
    for number, line in enumerate(block.data[:-1].split(b"\n"), start=block.first_line):
        try:
            line.decode("utf-8")
            good.append(line)
        except UnicodeDecodeError:
            bad.append((number, line[:1024].decode("utf-8", errors="replace")))
            good.append(b"")  # keeps the numbers of the lines after it
    return b"\n".join(good) + b"\n", bad


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise DataError(
            "a raw log must be a readable file",
            got=f"{path}: {error.strerror}",
            hint="check the path and the permissions",
        ) from error


def _decompressed(path: Path, raw: IO[bytes]) -> IO[bytes]:
    magic = raw.read(4)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if magic == b"\x28\xb5\x2f\xfd":
        return cast(IO[bytes], pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd"))
    if magic == _PARQUET:
        raise DataError(
            "this format is read from text",
            got=f"{path} is a Parquet file",
            hint="Parquet goes through --format table",
        )
    return raw


def _read(stream: IO[bytes], path: Path, line: int, *, size: int | None = None) -> bytes:
    try:
        return stream.read(size or BLOCK_BYTES)
    except (EOFError, OSError, zlib.error, pa.ArrowException) as error:
        raise DataError(
            "a compressed log must be whole",
            got=f"{path}: {error}, somewhere after line {line}",
            hint="copy the file again; nothing of this job was kept",
        ) from error
