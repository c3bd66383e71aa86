"""Bytes of a raw file: decompressed, in blocks of whole lines, with bad UTF-8 told apart."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, NamedTuple, cast

import polars as pl
import pyarrow as pa
from isal import igzip, igzip_lib

from ultr.ahead import ahead
from ultr.errors import DataError
from ultr.logs.letters import count

BLOCK_BYTES = 16 << 20
"""Decompressed text held at a time; a chunk's tables take about ten times as much memory."""

PIECE_BYTES, PIECES_AHEAD = 4 << 20, 4
"""What is decompressed at a time, and how much of it before it is asked for."""

_FREED_BYTES = 31 << 20
"""glibc gives memory of its largest pieces back to the system, which clears it for the next block.
Up to the size of the largest that it has freed, at most 32 MiB, it keeps them (mallopt(3))."""

MAX_LINE_BYTES = 16 << 20
"""A longer line is rejected, and never held in memory."""

HEAD_BYTES = 1 << 20
"""What is decided for all of a file, whatever the size of blocks, is decided from so much of it."""

MAX_TOGETHER_BYTES = 64 << 20
"""A longer run of lines that belong together is not a log."""

MAX_EXPANSION, EXPANSION_FROM_BYTES = 250, 256 << 20
"""Logs shrink to a fifth or a twentieth. A larger file that grew more than this is a bomb."""

_TAIL_BYTES = 256 << 10
"""Where the last lines of a piece are looked for first."""

_BOM, _PARQUET = b"\xef\xbb\xbf", b"PAR1"
_OTHER = {
    **{b"BZh%d1AY&SY" % level: "bzip2" for level in range(1, 10)},
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "a zip archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xff\x06\x00\x00sNaPpY": "snappy",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
"""How files begin that would be read as lines of nonsense, and a part of a zip even as pages."""

_NO_LINE = b"\xff"
"""Stands where a line was too long: no reader can take it for one, since it is not UTF-8."""

_KEPT_BYTES, _MAGIC_BYTES = 1024, 16

# The stub of isal says that its error is an instance.
_ISAL_ERROR = cast("type[Exception]", igzip_lib.IsalError)
_DAMAGE = (EOFError, OSError, zlib.error, _ISAL_ERROR, pa.ArrowException)


class Block(NamedTuple):
    """Whole lines of a file.

    Attributes:
        first_line: number of the first line, from 1.
        data: the bytes, ending with a newline.
        size: bytes of the file on disk that were read for it.
        lines: how many there are.
        too_long: number and beginning of each line that was longer than `MAX_LINE_BYTES`, and
            whose text is not in `data`.
    """

    first_line: int
    data: bytes
    size: int
    lines: int
    too_long: tuple[tuple[int, bytes], ...] = ()


class _Piece(NamedTuple):
    """Some decompressed bytes, and how far the file on disk was read for them."""

    data: bytes
    read: int


Cut = Callable[[bytes], int]
"""Where a block may end: an offset behind a newline, or 0 if nowhere yet, or before the first line
that it is given."""


def after_last_line(data: bytes) -> int:
    """Cut between any two lines."""
    return data.rfind(b"\n") + 1


def blocks(path: Path, *, cut: Cut = after_last_line, needs_all: bool = False) -> Iterator[Block]:
    """Read a plain, gzip or zstd file block by block; the kind is told by its first bytes.

    A thread reads and decompresses while the blocks before are worked on.

    Args:
        path: the file.
        cut: where a block may end.
        needs_all: whether that cannot be told from the last lines alone.

    Raises:
        DataError: a missing, unreadable, empty or damaged file, naming how far it could be read.
    """
    bytes(_FREED_BYTES)  # made and freed, never touched
    lines = _Lines(path, cut=cut, needs_all=needs_all)
    for piece in ahead(_pieces(path), depth=PIECES_AHEAD):
        lines.add(piece)
        if lines.size >= lines.enough:
            block = lines.take()
            if block is not None:
                yield block
    yield from lines.rest()


class _Lines:
    """Lines that were read, and not yet given away."""

    def __init__(self, path: Path, *, cut: Cut, needs_all: bool) -> None:
        self.path, self._cut, self._needs_all = path, cut, needs_all
        self.size, self.enough = 0, BLOCK_BYTES
        self._parts: list[bytes] = []
        self._open_bytes = 0  # of the last line, which has no end yet
        self._is_skipping = False
        self._too_long: list[tuple[int, bytes]] = []
        self._line = 1
        self._read = self._told = 0

    def add(self, piece: _Piece) -> None:
        """Append a piece; of a line that grows too long only the beginning stays."""
        data, self._read = piece.data, piece.read
        first, last = data.find(b"\n"), data.rfind(b"\n")
        length = self._open_bytes + (len(data) if first < 0 else first)
        if not self._is_skipping and length > MAX_LINE_BYTES:
            self._drop_line(data)
        self._open_bytes = length if first < 0 else len(data) - last - 1
        if self._is_skipping:
            if first < 0:
                return
            data, self._is_skipping = data[first:], False
        self._parts.append(data)
        self.size += len(data)

    def _drop_line(self, following: bytes) -> None:
        data = b"".join(self._parts)
        begin = after_last_line(data)
        text = (data[begin : begin + _KEPT_BYTES] + following[:_KEPT_BYTES])[:_KEPT_BYTES]
        self._too_long.append((self._line + count(data, b"\n"), text))
        self._parts = [data[:begin], _NO_LINE]
        self.size = begin + len(_NO_LINE)
        self._is_skipping = True

    def take(self) -> Block | None:
        """What is whole so far.

        Raises:
            DataError: too much of it belongs together.
        """
        if not self._needs_all and (at := self._cut_in_last_part()):
            last = self._parts.pop()
            whole = b"".join([*self._parts, memoryview(last)[:at]])
            return self._block(whole, last[at:])
        data = b"".join(self._parts)
        at = self._cut(data)
        if at:
            return self._block(data[:at], data[at:])
        if len(data) > MAX_TOGETHER_BYTES:
            raise DataError(
                f"lines that belong together must fit into {MAX_TOGETHER_BYTES >> 20} MiB",
                got=f"{self.path}: more from line {self._line} on",
                hint="is this a log, and the right --format?",
            )
        self._parts, self.enough = [data], len(data) + BLOCK_BYTES
        return None

    def _cut_in_last_part(self) -> int:
        """Where to cut the last part, so that the many bytes before it are copied once; or 0."""
        last = self._parts[-1]
        for begin in (max(0, len(last) - _TAIL_BYTES), 0):  # the short end nearly always suffices
            first = last.find(b"\n", begin) + 1
            at = self._cut(last[first:])
            if at or not begin:
                break
        return first + at if at else 0

    def rest(self) -> Iterator[Block]:
        """The end of the file, which needs no cut.

        Raises:
            DataError: there was nothing at all.
        """
        data = b"".join(self._parts)
        if data:
            data = data if data.endswith(b"\n") else data + b"\n"
            yield self._block(data, b"")
        elif self._line == 1:
            raise DataError(
                "a log must not be empty",
                got=f"{self.path} holds no line",
                hint="check the export, leave the file out, or say --on-bad-file skip",
            )

    def _block(self, whole: bytes, rest: bytes) -> Block:
        lines, first = count(whole, b"\n"), self._line
        self._line += lines
        mine = tuple(line for line in self._too_long if line[0] < self._line)
        self._too_long = self._too_long[len(mine) :]
        size, self._told = self._read - self._told, self._read
        self._parts, self.size, self.enough = [rest], len(rest), BLOCK_BYTES
        return Block(first, whole, size, lines, mine)


def _pieces(path: Path) -> Generator[_Piece]:
    size = min(PIECE_BYTES, BLOCK_BYTES, MAX_LINE_BYTES)
    total = 0
    with _opened(path) as raw:
        stream = _decompressed(path, raw)
        piece = _read(stream, path, total, size=size).removeprefix(_BOM)
        while piece:
            total, read = total + len(piece), raw.tell()
            if total > EXPANSION_FROM_BYTES and total > MAX_EXPANSION * read:
                raise DataError(
                    f"a compressed log holds at most {MAX_EXPANSION} times its size",
                    got=f"{path}: {total >> 20:,} MiB of text in the first {read >> 10:,} KiB",
                    hint="is this a log? decompress it yourself if you are sure that it is",
                )
            yield _Piece(piece, read)
            piece = _read(stream, path, total, size=size)


def head(path: Path, *, size: int = 4096) -> bytes:
    """The first bytes of the text, decompressed, without a byte order mark.

    Raises:
        DataError: a missing, unreadable or damaged file.
    """
    with _opened(path) as raw:
        return _read(_decompressed(path, raw), path, 0, size=size).removeprefix(_BOM)


def first_lines(path: Path) -> Block:
    """The whole lines in the first `HEAD_BYTES` of the text; none where the first is longer.

    Raises:
        DataError: a missing, unreadable or damaged file.
    """
    data = head(path, size=HEAD_BYTES)
    if len(data) >= HEAD_BYTES - len(_BOM):
        data = data[: after_last_line(data)]
    if data and not data.endswith(b"\n"):
        data += b"\n"
    return Block(1, data, 0, count(data, b"\n"))


def is_parquet(path: Path) -> bool:
    """Whether the file begins as Parquet does.

    Raises:
        DataError: a missing or unreadable file.
    """
    with _opened(path) as raw:
        return raw.read(4) == _PARQUET


def lines_of(block: Block) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A block as `line, text` rows, and the lines with bad UTF-8 as rejects."""
    data, bad = block.data, list[tuple[int, str, str]]()
    if not is_utf8(data):
        data, bad = _without_bad_lines(block)
    frame = pl.read_lines(io.BytesIO(data), name="text", row_index_name="line")
    frame = frame.select(pl.col("line").cast(pl.Int64) + block.first_line, "text")
    rejects = pl.DataFrame(
        bad, schema={"line": pl.Int64, "text": pl.String, "reason": pl.String}, orient="row"
    )
    if bad:
        frame = frame.join(rejects, on="line", how="anti", maintain_order="left")
    return frame, rejects


def part_of(block: Block, begin: int, lines: int) -> Block:
    """A block from a byte on, before which `lines` of its lines stand."""
    first, data = block.first_line + lines, block.data[begin:]
    too_long = tuple(t for t in block.too_long if t[0] >= first)
    return Block(first, data, block.size, block.lines - lines, too_long)


def joined(first: Block, second: Block) -> Block:
    """Two blocks, one after the other, as one."""
    return Block(
        first.first_line,
        first.data + second.data,
        first.size + second.size,
        first.lines + second.lines,
        first.too_long + second.too_long,
    )


def is_utf8(data: bytes) -> bool:
    """Whether all of it is text."""
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _without_bad_lines(block: Block) -> tuple[bytes, list[tuple[int, str, str]]]:
    """The lines, blank where one is no text; and number, text and reason of those."""
    good, bad, too_long = [], [], dict(block.too_long)
    for number, line in enumerate(block.data[:-1].split(b"\n"), start=block.first_line):
        if is_utf8(line):
            good.append(line)
            continue
        good.append(b"")  # keeps the numbers of the lines after it
        text = too_long.get(number, line[:_KEPT_BYTES]).decode("utf-8", errors="replace")
        why = f"longer than {MAX_LINE_BYTES >> 20} MiB" if number in too_long else "not UTF-8"
        bad.append((number, text, why))
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
    magic = raw.read(_MAGIC_BYTES)
    raw.seek(0)
    if magic[:2] == b"\x1f\x8b":
        return cast(IO[bytes], igzip.IGzipFile(fileobj=raw))
    # A frame that is to be skipped may come first: pzstd writes such.
    if magic[:4] == b"\x28\xb5\x2f\xfd" or (magic[1:4] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5):
        return cast(IO[bytes], pa.CompressedInputStream(pa.PythonFile(raw, mode="r"), "zstd"))
    if magic[:4] == _PARQUET:
        raise DataError(
            "this format is read from text",
            got=f"{path} is a Parquet file",
            hint="Parquet goes through --format table",
        )
    for begin, name in _OTHER.items():
        if magic.startswith(begin):
            raise DataError(
                "a log is UTF-8 text, plain or of gzip or zstd",
                got=f"{path} is {name}",
                hint="convert it first, with unzip -p, bzip2 -dc, xz -dc or iconv -t utf-8",
            )
    return raw


def _read(stream: IO[bytes], path: Path, done: int, *, size: int) -> bytes:
    try:
        return stream.read(size)
    except _DAMAGE as error:
        raise DataError(
            "a compressed log must be whole",
            got=f"{path}: {error}, after {done:,} bytes of text",
            hint="copy the file again; nothing of this job was kept",
        ) from error
