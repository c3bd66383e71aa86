"""Feature values of a file's rows as matrices, and what is wrong with them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ultr.errors import DataError
from ultr.etl.keyed import text_keys

SCALAR = -1
"""The size of a column that is one feature, not a list of them."""


@dataclass
class Seen:
    """Counts over the blocks of a file, so that an error tells about the whole of it.

    Args:
        sizes: column -> how many features it holds.
        rows: rows so far.
        missing: values that are NaN.
        rows_with: rows with values that are not finite, by kind.
        first: the keys of the first such row, by kind.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    rows: int = 0
    missing: int = 0
    rows_with: dict[str, int] = field(default_factory=lambda: {"NaN": 0, "infinite": 0})
    first: dict[str, str] = field(default_factory=dict)

    def add(self, values: NDArray[np.float32], keys: pl.DataFrame) -> None:
        """Count what is not finite in `values [N, F]`."""
        self.rows += len(values)
        self.missing += int(np.isnan(values).sum())
        for kind, bad in (("NaN", np.isnan(values)), ("infinite", np.isinf(values))):
            rows = np.flatnonzero(bad.any(axis=1))
            self.rows_with[kind] += len(rows)
            if len(rows):
                query, doc = keys.row(int(rows[0]))
                self.first.setdefault(kind, f"query {query!r}, document {doc!r}")

    def check(self, path: Path, *, allow_missing: bool) -> None:
        """Refuse an empty file, and values that are not finite."""
        if not self.rows or not any(self.sizes.values()):
            raise DataError(
                "a feature file has rows and features",
                got=f"{path} has none",
                hint="check how it was written",
            )
        hints = {
            "infinite": "replace infinite values (and those beyond float32) where they are made",
            "NaN": "give a value, or pass --allow-missing to take NaN as missing (the mean)",
        }
        for kind, hint in hints.items():
            if self.rows_with[kind] and not (kind == "NaN" and allow_missing):
                raise DataError(
                    "feature values must be finite numbers",
                    got=f"{path}: {self.rows_with[kind]:,} rows with {kind} values, the first is "
                    + self.first[kind],
                    hint=hint,
                )


def values_of(
    block: pl.DataFrame, columns: tuple[str, ...], seen: Seen, *, path: Path
) -> NDArray[np.float32]:
    """`[N, F]` of a block: a numeric column is one feature, a column of lists several.

    Raises:
        DataError: a column that is neither, or lists of different lengths.
    """
    parts = []
    for is_list, names in itertools.groupby(columns, lambda c: _is_list(block, c)):
        if is_list:
            parts += [_from_lists(block, name, seen, path=path) for name in names]
        else:
            parts.append(_from_columns(block, tuple(names), seen, path=path))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def names_of(columns: tuple[str, ...], sizes: dict[str, int]) -> tuple[str, ...]:
    """Feature names: the column's, `vector.1, vector.2 …` of lists, `f1, f2 …` of `features`."""
    out: list[str] = []
    for column in columns:
        if column == "features":
            out += [f"f{i}" for i in range(1, sizes.get(column, 0) + 1)]
        elif column in sizes and sizes[column] != SCALAR:
            out += [f"{column}.{i}" for i in range(1, sizes[column] + 1)]
        else:
            out.append(column)
    return tuple(out)


def _is_list(block: pl.DataFrame, column: str) -> bool:
    return column == "features" or isinstance(block.schema[column], pl.List | pl.Array)


def _from_columns(
    block: pl.DataFrame, columns: tuple[str, ...], seen: Seen, *, path: Path
) -> NDArray[np.float32]:
    """`[N, F]` from one numeric column per feature; null becomes NaN."""
    for name in columns:
        kind = block.schema[name]
        if not (kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
            raise DataError(
                "every column besides the keys is a numeric feature, or lists of them",
                got=f"{path}: {name!r} is {kind}",
                hint="leave the column out, or turn it into numbers",
            )
        seen.sizes[name] = SCALAR
    wide = block.select(pl.col(columns).cast(pl.Float64).fill_null(float("nan"))).to_numpy()
    return _as_float32(wide)


def _from_lists(block: pl.DataFrame, name: str, seen: Seen, *, path: Path) -> NDArray[np.float32]:
    """`[N, F]` from a column of lists; the first row of a file fixes F."""
    column = block[name]
    kind = column.dtype
    if not (isinstance(kind, pl.List | pl.Array) and kind.inner.is_numeric()):
        raise DataError(
            f"`{name}` is a column of lists of numbers",
            got=f"{path}: it is {kind}",
            hint="write lists, or one column per feature",
        )
    column = column.cast(pl.List(pl.Float64))
    lengths = column.list.len().fill_null(0)
    size = seen.sizes.setdefault(name, int(lengths[0]) if len(lengths) else 0)
    wrong = (lengths != size).arg_true()
    if len(wrong):
        query, doc = text_keys(block).row(int(wrong[0]))
        raise DataError(
            "every pair has the same number of features",
            got=f"{path}: {size} in the first row, {lengths[int(wrong[0])]} for query "
            f"{query!r}, document {doc!r}",
            hint="pad what is missing where the file is made",
        )
    flat = column.explode(empty_as_null=False) if size else pl.Series([], dtype=pl.Float64)
    return _as_float32(flat.fill_null(float("nan")).to_numpy()).reshape(len(column), -1)


def _as_float32(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and is reported as such
        return values.astype(np.float32)
