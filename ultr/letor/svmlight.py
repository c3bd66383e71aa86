"""Lines of SVMlight text to arrays, a block at a time."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Never

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv as pacsv

from ultr.errors import DataError

MAX_FEATURE = 100_000
"""Features are held as a dense matrix: a higher id would be a hashed one, or a broken line."""

MAX_GRADE = 30
"""The gain 2^grade − 1 has to stay a number that can be added up."""

_LINE = re.compile(rb"([^\s#]+)(?:\s+qid:([^\s#]+))?(?:\s+([^#]*))?(?:#(.*))?$", re.DOTALL)
_GRADE = re.compile(rb"\d+(\.0*)?")
_SPACES = re.compile(rb" {2,}")
_COLON, _SPACE, _END = b": \n"

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a file.

    Args:
        features: [n, highest feature id] raw values.
        grade: [n].
        qid: [n] empty where the line has none.
        comment: [n] what follows `#`.
        line: [n] numbers of the lines, from 1.
    """

    features: Floats
    grade: npt.NDArray[np.int16]
    qid: list[bytes]
    comment: list[bytes]
    line: Ints


def parse(data: bytes, *, first_line: int, path: Path) -> Block:
    """Parse whole lines; blank ones and those with only a comment are passed over.

    Raises:
        DataError: a line that is not `grade [qid:q] fid:value … [# comment]`.
    """
    lines, numbers = [], []
    for number, text in enumerate(data.split(b"\n"), start=first_line):
        kept = text.strip()
        if kept and not kept.startswith(b"#"):
            lines.append(kept)
            numbers.append(number)
    line = np.array(numbers, np.int64)
    # The first group takes whatever stands first, so that every kept line matches.
    rows = [m.groups(b"") for m in map(_LINE.match, lines) if m]
    grade, qid, pairs, comment = map(list, zip(*rows, strict=True)) if rows else ([], [], [], [])
    grades = _grades(grade, line=line, path=path)
    return Block(_features(pairs, line=line, path=path), grades, qid, comment, line)


def _grades(texts: list[bytes], *, line: Ints, path: Path) -> npt.NDArray[np.int16]:
    kinds, which = np.unique(np.array(texts, np.bytes_), return_inverse=True)
    values = np.full(len(kinds), -1, np.int16)
    for i, text in enumerate(kinds.tolist()):
        if _GRADE.fullmatch(text) and float(text) <= MAX_GRADE:
            values[i] = int(float(text))
    grades = values[which].astype(np.int16)
    if (grades < 0).any():
        row = int(np.argmax(grades < 0))
        _fail(f"a grade is a whole number from 0 to {MAX_GRADE}", texts[row], line[row], path)
    return grades


def _features(pairs: list[bytes], *, line: Ints, path: Path) -> Floats:
    """[n, F] from the `fid:value` pairs of n lines."""
    text = b"\n".join(p.strip() for p in pairs) + b"\n"
    text = text.translate(bytes.maketrans(b"\t\r\f\v", b"    "))
    if b"  " in text:
        text = _SPACES.sub(b" ", text)
    per_row, wrong = _structure(np.frombuffer(text, np.uint8))
    if wrong is not None:
        _fail("after grade and qid come pairs fid:value", pairs[wrong], line[wrong], path)
    numbers = _numbers(text)
    if numbers is None:
        wrong = _not_a_number(pairs)
        _fail("feature ids and values are numbers", pairs[wrong], line[wrong], path)
    row = np.repeat(np.arange(len(pairs)), per_row)
    fid = numbers[::2]
    with np.errstate(over="ignore"):  # what overflows is infinite, and found below
        value = numbers[1::2].astype(np.float32)
    bad = (fid != np.floor(fid)) | (fid < 1) | (fid > MAX_FEATURE)
    if bad.any():
        at = int(np.argmax(bad))
        rule = f"a feature id is a whole number from 1 to {MAX_FEATURE:,}"
        _fail(rule, f"{fid[at]:.15g}:{value[at]:g}", line[row[at]], path)
    if not np.isfinite(value).all():
        at = int(np.argmin(np.isfinite(value)))
        _fail("a feature is a finite 32-bit number", f"{fid[at]:.0f}:{numbers[2 * at + 1]}",
              line[row[at]], path)  # fmt: skip
    return _dense(row, fid.astype(np.int64) - 1, value, line=line, path=path)


def _structure(text: npt.NDArray[np.uint8]) -> tuple[Ints, int | None]:
    """Pairs per row, and the first row that is not `fid:value fid:value …`."""
    at = np.flatnonzero((text == _COLON) | (text == _SPACE) | (text == _END))
    kind = text[at]
    before = np.concatenate([[_END], kind[:-1]])
    is_empty = np.diff(at, prepend=-1) == 1
    fits = np.where(before == _COLON, kind != _COLON, kind == _COLON) & ~is_empty
    fits |= (before == _END) & (kind == _END) & is_empty  # a row of zeros only
    row = np.cumsum(before == _END) - 1
    per_row = np.bincount(row[kind == _COLON], minlength=int(row[-1]) + 1)
    return per_row, None if fits.all() else int(row[np.argmin(fits)])


def _numbers(text: bytes) -> npt.NDArray[np.float64] | None:
    """Every number of the text, or None where one is not a number."""
    column = text.translate(bytes.maketrans(b": ", b"\n\n"))
    if not column.strip():
        return np.zeros(0)
    try:
        table = pacsv.read_csv(
            io.BytesIO(column),
            read_options=pacsv.ReadOptions(column_names=["x"]),
            parse_options=pacsv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pacsv.ConvertOptions(column_types={"x": pa.float64()}, null_values=[]),
        )
    except pa.ArrowInvalid:
        return None
    return np.asarray(table["x"].to_numpy())


def _dense(row: Ints, column: Ints, value: Floats, *, line: Ints, path: Path) -> Floats:
    width = int(column.max(initial=-1)) + 1
    cell = row * width + column
    if (np.diff(cell) <= 0).any():
        ordered = np.argsort(cell, kind="stable")
        twice = np.diff(cell[ordered]) == 0
        if twice.any():
            at = int(ordered[1:][twice].min())
            got = f"feature {column[at] + 1} again"
            _fail("a feature stands once on its line", got, line[row[at]], path)
    dense = np.zeros((len(line), width), np.float32)
    dense.reshape(-1)[cell] = value
    return dense


def _not_a_number(pairs: list[bytes]) -> int:
    """The row of the first pair that is not two numbers, by halving."""
    low, high = 0, len(pairs)
    while high - low > 1:
        middle = (low + high) // 2
        if _numbers(b"\n".join(b"\n".join(p.split()) for p in pairs[low:middle])) is None:
            high = middle
        else:
            low = middle
    return low


def _cut(text: bytes) -> bytes:
    return text if len(text) <= 80 else text[:80] + b" ..."


def _fail(rule: str, got: bytes | str, line: np.int64, path: Path) -> Never:
    text = _cut(got).decode("utf-8", "replace") if isinstance(got, bytes) else got
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    raise DataError(
        rule,
        got=f"{path}, line {line}: {shown}",
        hint="correct the line; the format is `grade qid:q fid:value … # comment`",
    )
