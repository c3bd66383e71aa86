"""The beginning of a user's table, and what each of its columns looks like."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import polars as pl

from ultr.errors import DataError
from ultr.logs.mapping import Name
from ultr.logs.raw import head, is_parquet
from ultr.logs.values import iso_times, parse_lists
from ultr.parquet import iter_batches, open_parquet

SAMPLE_BYTES = 2 << 20
SAMPLE_ROWS = 20_000
_DELIMITERS = ("\t", "|", ";", ",")
"""In this order: text and lists hold commas more often than tabs."""

_BOOLEAN = {"0", "1", "0.0", "1.0", "true", "false"}
_TRUE = {"1", "1.0", "true"}


@dataclass(frozen=True)
class Sample:
    """Rows of a table as text.

    Args:
        data: the bytes they come from.
        kind: text with a delimiter, JSON lines or Parquet.
        delimiter: between the columns of text.
        header: whether the first line of text names them.
        names: the columns, by name, or by number in text without a header.
        frame: their values; text, or lists of text.
    """

    data: bytes
    kind: Literal["text", "json", "parquet"]
    delimiter: str
    header: bool
    names: tuple[Name, ...]
    frame: pl.DataFrame


@dataclass(frozen=True)
class Column:
    """What a column looks like.

    Args:
        name: as the mapping would name it.
        values: text, or lists of text.
        flat: the values that are there, out of their lists.
        is_list: a value per document of a page.
        distinct: different values.
        numbers: the values as numbers; None where one is none.
    """

    name: Name
    values: pl.Series
    flat: pl.Series
    is_list: bool
    distinct: int
    numbers: pl.Series | None

    @property
    def is_whole(self) -> bool:
        """Only whole numbers."""
        return self.numbers is not None and bool((self.numbers == self.numbers.floor()).all())

    @property
    def is_binary(self) -> bool:
        """Yes or no, and both occur."""
        return set(self.flat.str.to_lowercase().unique()) <= _BOOLEAN and self.distinct > 1

    @property
    def share(self) -> float:
        """The share of yes of a binary column."""
        return float(self.flat.str.to_lowercase().is_in(_TRUE).mean() or 0)  # type: ignore[arg-type]

    @property
    def low(self) -> float:
        """The least number; 0 without one."""
        return float(self.numbers.min() or 0) if self.numbers is not None else 0.0  # type: ignore[arg-type]

    @property
    def high(self) -> float:
        """The greatest number; 0 without one."""
        return float(self.numbers.max() or 0) if self.numbers is not None else 0.0  # type: ignore[arg-type]

    @property
    def time_unit(self) -> Literal["iso", "s", "ms"] | None:
        """How its times are written, if they are times of this century or the last years before."""
        if self.is_list or not len(self.flat):
            return None
        if self.numbers is not None:
            for unit, factor in (("s", 1), ("ms", 1000)):
                if self.is_whole and 8e8 * factor < self.low and self.high < 5e9 * factor:
                    return unit  # type: ignore[return-value]
            return None
        return "iso" if iso_times(self.flat.head(200)).null_count() == 0 else None


def sample_of(path: Path) -> Sample:
    """Look at the beginning of a file.

    Raises:
        DataError: a missing, empty or damaged file, or one that is no table.
    """
    if is_parquet(path):
        with open_parquet(path) as file:
            batch = next(iter_batches(file, SAMPLE_ROWS), None)
        if batch is None:
            raise _no_table(path, "no row")
        frame = pl.DataFrame(pl.from_arrow(batch))
        return Sample(b"", "parquet", ",", True, tuple(frame.columns), _as_text(frame))
    data = head(path, size=SAMPLE_BYTES)
    data = data[: data.rfind(b"\n") + 1] or data + b"\n"
    text = data.decode("utf-8", errors="replace")
    if not text.strip():
        raise _no_table(path, "no line")
    if text.lstrip().startswith("{"):
        frame = _json(text, path)
        return Sample(data, "json", ",", True, tuple(frame.columns), _as_text(frame))
    return _delimited(data, text, path)


def column_of(sample: Sample, name: Name) -> Column:
    """Look at a column."""
    values = sample.frame[str(name)]
    is_list = isinstance(values.dtype, pl.List)
    flat = values.explode(empty_as_null=False, keep_nulls=False) if is_list else values
    flat = flat.filter(flat.is_not_null() & (flat != ""))
    numbers = flat.cast(pl.Float64, strict=False)
    is_number = len(numbers) > 0 and numbers.null_count() == 0 and bool(numbers.is_finite().all())
    return Column(name, values, flat, is_list, flat.n_unique(), numbers if is_number else None)


def _json(text: str, path: Path) -> pl.DataFrame:
    rows = []
    for line in text.split("\n")[:SAMPLE_ROWS]:
        try:
            row = json.loads(line or "null")
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            rows.append(row)
    if not rows:
        raise _no_table(path, "no line that is a JSON object")
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame(
        {n: pl.Series(n, [_cell(r.get(n)) for r in rows], pl.String) for n in names}
    )


def _cell(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return None if value is None else value.encode("utf-8", "replace").decode()
    return json.dumps(value)


def _delimited(data: bytes, text: str, path: Path) -> Sample:
    best: tuple[str, list[list[str]]] | None = None
    for delimiter in _DELIMITERS:
        rows = _rows(text, delimiter)
        width, count = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
        if width > 1 and count >= 0.9 * len(rows):
            best = delimiter, [r for r in rows if len(r) == width]
            break
    if best is None:
        raise _no_table(path, "no delimiter that gives all lines the same number of columns")
    delimiter, rows = best
    has_header = _is_header(rows)
    names = _distinct(rows[0]) if has_header else [str(i) for i in range(len(rows[0]))]
    body = rows[1:] if has_header else rows
    columns = {n: pl.Series(n, [r[i] for r in body], pl.String) for i, n in enumerate(names)}
    shown: tuple[Name, ...] = tuple(names) if has_header else tuple(range(len(names)))
    return Sample(data, "text", delimiter, has_header, shown, _as_text(pl.DataFrame(columns)))


def _rows(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row and len(rows) < SAMPLE_ROWS:
                rows.append(row)
    except csv.Error:
        return []
    return rows


def _is_header(rows: list[list[str]]) -> bool:
    first = [c.strip() for c in rows[0]]
    return (
        len(rows) > 1
        and len(set(first)) == len(first)
        and not any(_is_number(c) or c.startswith("[") or len(c) > 64 for c in first)
        and sum(not c for c in first) <= 1
        # In a file of words alone, a header is a line of words that never come again.
        and not any(rows[0][i] in {r[i] for r in rows[1:200]} for i in range(len(first)))
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _distinct(names: list[str]) -> list[str]:
    return [n if names.index(n) == i else f"{n}_{i}" for i, n in enumerate(names)]


def _as_text(frame: pl.DataFrame) -> pl.DataFrame:
    """Every column as text, or as lists of text where all its cells are lists."""
    return frame.select(_texts(frame[name]) for name in frame.columns)


def _texts(column: pl.Series) -> pl.Series:
    if isinstance(column.dtype, pl.List | pl.Array):
        inner = column.dtype.inner
        if inner.is_nested():
            return pl.Series(column.name, [None] * len(column), pl.String)
        return column.cast(pl.List(inner)).cast(pl.List(pl.String))
    if column.dtype.is_nested():
        return pl.Series(column.name, [None] * len(column), pl.String)
    text = column.cast(pl.String, strict=False)
    said = text.drop_nulls()
    if not len(said) or not said.str.starts_with("[").all():
        return text
    lists = parse_lists(text, "auto")
    if any(t is not None and v is None for t, v in zip(text, lists, strict=True)):
        return text
    return pl.Series(column.name, lists, pl.List(pl.String))


def _no_table(path: Path, got: str) -> DataError:
    return DataError(
        "a mapping is guessed from a table: delimited text, JSON lines or Parquet",
        got=f"{path}: {got}",
        hint="is this another format? ultr ingest --help names them",
    )
