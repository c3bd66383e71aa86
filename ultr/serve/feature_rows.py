"""What is wrong with the rows of a feature file to score: the rules of `ultr features`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ultr.errors import DataError

_KEY = ["query_id", "doc_id"]


class FeatureRows:
    """Checks the blocks of one file, which are whole queries, one after the other.

    Args:
        path: the file, for error messages.
        allow_missing: NaN and null mean missing.
    """

    def __init__(self, path: Path, *, allow_missing: bool) -> None:
        self._path, self._allow_missing = path, allow_missing
        self._queries: set[Any] = set()

    def check(self, table: pa.Table, values: NDArray[np.float32]) -> None:
        """Check a block.

        Args:
            table: `query_id, doc_id`.
            values: `[N, F]` its features.

        Raises:
            DataError: infinite values, missing ones unless they are allowed, a pair that comes
                twice, or a query whose rows do not stand side by side.
        """
        self._refuse(
            np.asarray(np.isinf(values).any(axis=1)), table,
            rule="feature values must be finite numbers",
            hint="replace infinite values (and those beyond float32) where they are made",
        )  # fmt: skip
        if not self._allow_missing:
            self._refuse(
                np.asarray(np.isnan(values).any(axis=1)), table,
                rule="every document needs a value of every feature",
                hint="give a value, or pass --allow-missing to take NaN and null as the mean",
            )  # fmt: skip
        pairs = table.select(_KEY).append_column("row", pa.array(np.arange(len(table))))
        first = pairs.group_by(_KEY).aggregate([("row", "min")])["row_min"].to_numpy()
        is_repeated = np.full(len(table), True)
        is_repeated[first] = False
        self._refuse(
            is_repeated, table,
            rule="a (query, document) pair comes once",
            hint="keep one row per pair",
        )  # fmt: skip
        self._refuse(
            self._comes_back(table["query_id"].combine_chunks()), table,
            rule="the rows of a query stand side by side",
            hint="sort the file by query_id",
        )  # fmt: skip

    def _comes_back(self, query: pa.Array) -> NDArray[np.bool_]:
        """`[N]` where a query begins that was there before."""
        begins = np.full(len(query), True)
        begins[1:] = pc.not_equal(query[1:], query[:-1]).to_numpy(zero_copy_only=False)
        out = np.full(len(query), False)
        starts = np.flatnonzero(begins)
        for row, key in zip(starts.tolist(), query.take(pa.array(starts)).to_pylist(), strict=True):
            out[row] = key in self._queries
            self._queries.add(key)
        return out

    def _refuse(self, bad: NDArray[np.bool_], table: pa.Table, *, rule: str, hint: str) -> None:
        if bad.any():
            query, doc = (table[c][int(bad.argmax())].as_py() for c in _KEY)
            raise DataError(
                rule,
                got=f"{self._path}: query {query!r}, document {doc!r}",
                hint=hint,
            )
