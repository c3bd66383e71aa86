"""Rows of a user's table, whatever the file is: a frame with `line`, `text` and their columns."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ultr.errors import DataError
from ultr.logs.raw import Block, lines_of, read_all


class Rows(NamedTuple):
    """A table as it was read.

    Attributes:
        frame: `line`, `text` (the row as it stood, for rejects) and the user's columns.
        rejects: lines that are no row: `line, reason, text`.
        lines: lines of the file.
        ignored: header and blank lines.
        size: bytes on disk.
    """

    frame: pl.DataFrame
    rejects: pl.DataFrame
    lines: int
    ignored: int
    size: int


def read_rows(path: Path, *, delimiter: str, header: bool) -> Rows:
    """Read Parquet, JSON lines or delimited text, told apart by the first byte.

    Raises:
        DataError: missing, empty or damaged file.
    """
    if _is_parquet(path):
        return _parquet(path)
    block = read_all(path)
    lines, bad = lines_of(block)
    blank = pl.col("text").str.strip_chars().str.len_bytes() == 0
    kept, ignored = lines.filter(~blank), lines.select(blank.sum()).item()
    if block.data.lstrip()[:1] == b"{":
        return _json_lines(kept, bad, ignored=ignored, block=block)
    if b'"' in block.data:
        return _quoted(block, delimiter=delimiter, header=header)
    split = kept.with_columns(field=pl.col("text").str.strip_chars_end("\r").str.split(delimiter))
    return _delimited(split, bad, header=header, ignored=ignored, block=block)


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == b"PAR1"
    except OSError as error:
        raise DataError(
            "a raw log must be a readable file",
            got=f"{path}: {error.strerror}",
            hint="check the path and the permissions",
        ) from error


def _parquet(path: Path) -> Rows:
    try:
        frame = pl.read_parquet(path, hive_partitioning=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(
            "a Parquet file must be whole", got=f"{path}: {error}", hint="copy the file again"
        ) from error
    if not frame.height:
        raise DataError(
            "a log must not be empty", got=f"{path} has no row", hint="check the export"
        )
    frame = frame.drop("line", "text", strict=False).with_row_index("line", offset=1)
    frame = frame.with_columns(pl.col("line").cast(pl.Int64), text=pl.lit(""))
    return Rows(frame, pl.DataFrame(), frame.height, 0, path.stat().st_size)


def _json_lines(lines: pl.DataFrame, bad: pl.DataFrame, *, ignored: int, block: Block) -> Rows:
    numbers, texts, objects, broken = [], [], [], []
    for number, text in lines.iter_rows():
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            numbers.append(number)
            texts.append(text)
            objects.append(value)
        else:
            broken.append((number, text))
    names = {name: None for row in objects for name in row}
    columns = {name: _series(name, [row.get(name) for row in objects]) for name in names}
    frame = pl.DataFrame({**columns, "line": pl.Series(numbers, dtype=pl.Int64), "text": texts})
    rejects = pl.DataFrame(broken, schema={"line": pl.Int64, "text": pl.String}, orient="row")
    rejects = pl.concat(
        [rejects.with_columns(reason=pl.lit("not a JSON object")), bad], how="diagonal"
    )
    return Rows(frame, rejects, lines.height + bad.height + ignored, ignored, block.size)


def _series(name: str, values: list[object]) -> pl.Series:
    try:
        return pl.Series(name, values, strict=True)
    except (TypeError, pl.exceptions.PolarsError, OverflowError):
        # A column of mixed kinds: as text, each value the way it stood.
        text = [v if isinstance(v, str) or v is None else json.dumps(v) for v in values]
        return pl.Series(name, text, dtype=pl.String)


def _quoted(block: Block, *, delimiter: str, header: bool) -> Rows:
    """Quotes may hold delimiters and line breaks: the standard library knows how."""
    stream = io.StringIO(block.data.decode("utf-8", errors="replace"), newline="")
    reader = csv.reader(stream, delimiter=delimiter)
    numbers, rows, broken, ignored, begin = [], [], [], 0, 1
    while True:
        try:
            row = next(reader)
        except StopIteration:
            break
        except csv.Error as error:
            broken.append((reader.line_num, f"not a row of text: {error}", ""))
            begin = reader.line_num + 1
            continue
        # A row over several lines is one line of the sum, so that the sum counts rows.
        if row:
            numbers.append(begin)
            rows.append(row)
        else:
            ignored += 1
        begin = reader.line_num + 1
    frame = pl.DataFrame({
        "line": pl.Series(numbers, dtype=pl.Int64),
        "text": [delimiter.join(row) for row in rows],
        "field": pl.Series(rows, dtype=pl.List(pl.String)),
    })  # fmt: skip
    bad = pl.DataFrame(
        broken, schema={"line": pl.Int64, "reason": pl.String, "text": pl.String}, orient="row"
    )
    return _delimited(frame, bad, header=header, ignored=ignored, block=block)


def _delimited(
    split: pl.DataFrame, bad: pl.DataFrame, *, header: bool, ignored: int, block: Block
) -> Rows:
    lines = split.height + bad.height + ignored
    if header and split.height:
        names, ignored = split["field"][0].to_list(), ignored + 1
        split = split[1:]
    else:
        names = [str(i) for i in range(len(split["field"][0]) if split.height else 0)]
    is_whole = pl.col("field").list.len() == len(names)
    torn = split.filter(~is_whole).select(
        "line", "text", reason=pl.lit("another number of columns than the header's")
    )
    split = split.filter(is_whole)
    columns = [pl.col("field").list.get(i).alias(n) for i, n in enumerate(_distinct(names))]
    frame = split.select("line", "text", *columns)
    return Rows(frame, pl.concat([torn, bad], how="diagonal"), lines, ignored, block.size)


def _distinct(names: list[str]) -> list[str]:
    """Column names that may stand beside `line` and `text`, and beside each other."""
    seen: dict[str, int] = {"line": 1, "text": 1}
    out = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out
