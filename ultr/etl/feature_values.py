"""Feature values of a file's rows as matrices, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ultr.errors import DataError
from ultr.etl.keyed import text_keys


@dataclass
class Seen:
    """Counts over the blocks of a file, so that an error tells about the whole of it."""

    size: int = -1
    missing: int = 0
    rows_with: dict[str, int] = field(default_factory=lambda: {"NaN": 0, "infinite": 0})
    first: dict[str, str] = field(default_factory=dict)

    def add(self, values: NDArray[np.float32], keys: pl.DataFrame) -> None:
        """Count what is not finite in `values [N, F]`."""
        self.missing += int(np.isnan(values).sum())
        for kind, bad in (("NaN", np.isnan(values)), ("infinite", np.isinf(values))):
            rows = np.flatnonzero(bad.any(axis=1))
            self.rows_with[kind] += len(rows)
            if len(rows):
                query, doc = keys.row(int(rows[0]))
                self.first.setdefault(kind, f"query {query!r}, document {doc!r}")

    def check(self, path: Path, *, allow_missing: bool) -> None:
        """Refuse an empty file, and values that are not finite."""
        if self.size < 1:
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


def from_columns(
    block: pl.DataFrame, columns: tuple[str, ...], *, path: Path
) -> NDArray[np.float32]:
    """`[N, F]` from one numeric column per feature; null becomes NaN.

    Raises:
        DataError: a column is not numeric.
    """
    for name in columns:
        kind = block.schema[name]
        if not (kind.is_numeric() or kind in (pl.Boolean, pl.Null)):
            raise DataError(
                "every column besides the keys is a numeric feature",
                got=f"{path}: {name!r} is {kind}",
                hint="leave the column out, or turn it into numbers",
            )
    wide = block.select(pl.col(columns).cast(pl.Float64).fill_null(float("nan"))).to_numpy()
    return _as_float32(wide)


def from_lists(block: pl.DataFrame, seen: Seen, *, path: Path) -> NDArray[np.float32]:
    """`[N, F]` from the list column `features`; the first row of a file fixes F.

    Raises:
        DataError: not a column of numeric lists, or lists of different lengths.
    """
    column = block["features"]
    kind = column.dtype
    if not (isinstance(kind, pl.List | pl.Array) and kind.inner.is_numeric()):
        raise DataError(
            "`features` is a column of lists of numbers",
            got=f"{path}: it is {kind}",
            hint="write lists, or one column per feature",
        )
    column = column.cast(pl.List(pl.Float64))
    lengths = column.list.len().fill_null(0)
    if seen.size < 0 and len(lengths):
        seen.size = int(lengths[0])
    wrong = (lengths != seen.size).arg_true()
    if len(wrong):
        query, doc = text_keys(block).row(int(wrong[0]))
        raise DataError(
            "every pair has the same number of features",
            got=f"{path}: {seen.size} in the first row, {lengths[int(wrong[0])]} for query "
            f"{query!r}, document {doc!r}",
            hint="pad what is missing where the file is made",
        )
    flat = column.explode(empty_as_null=False) if seen.size else pl.Series([], dtype=pl.Float64)
    return _as_float32(flat.fill_null(float("nan")).to_numpy()).reshape(len(column), -1)


def _as_float32(values: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):  # beyond float32 is infinite, and is reported as such
        return values.astype(np.float32)
