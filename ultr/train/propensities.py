"""Read and write propensities: what a run learned, or what another source knows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.data.context import BiasColumn
from ultr.errors import DataError
from ultr.train.part import Part

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]

_HINT = "give a Parquet file with position and propensity, or a truth.json of ultr simulate"
_Key = tuple[int | str, ...]


def shown_cells(*parts: Lists | Part) -> Ints:
    """`[S, 1 + C]` position and levels of the bias columns that occur, ascending."""
    return np.unique(np.concatenate([p.cells for p in parts]), axis=0)


def read_propensities(
    path: Path, *, cells: Ints, n_positions: int | None = None, bias: Sequence[BiasColumn] = ()
) -> Floats:
    """Propensities `[P, *levels]`, relative to the reference of each list's context.

    Args:
        path: Parquet with `position, propensity` and maybe some of the bias columns, or JSON with
            `relative_propensity`. What it does not tell apart has the same propensity.
        cells: `[S, 1 + C]` position and levels that occur; all have to be there. Others are 1.
        n_positions: P; by default the last that occurs.
        bias: the bias columns.

    Raises:
        DataError: unreadable, positions or contexts missing, several values for one, or values that
            are not above 0.
    """
    used, known = _read(path, bias)
    reference = _reference(cells, bias)
    values = [_values(path, known, _keys(c, bias, used)) for c in (cells, reference)]
    out = np.ones((n_positions or int(cells[:, 0].max()), *(len(column.levels) for column in bias)))
    out[(cells[:, 0] - 1, *cells[:, 1:].T)] = values[0] / values[1]
    return out


def write_propensities(
    path: Path,
    logits: Floats,
    *,
    cells: Ints,
    bias: Sequence[BiasColumn] = (),
    identification: str,
) -> dict[str, float]:
    """Write `position, propensity` and the bias columns, relative to the reference.

    The reference is the first position at the first level of the columns in which documents of one
    list differ, in each context of a whole list for itself.

    Args:
        path: the Parquet file.
        logits: `[P, *levels]`.
        cells: `[S, 1 + C]` position and levels that training saw, ascending; of others nothing is
            known.
        bias: the bias columns.
        identification: the state of `ultr.train.identification`, for the file's metadata.

    Returns:
        Position -> propensity at the first levels of all columns, as written.
    """
    reference = _reference(cells, bias)
    found, first = (logits[(c[:, 0] - 1, *c[:, 1:].T)] for c in (cells, reference))
    propensity = np.exp(found - first)
    columns: dict[str, Any] = {
        "position": pa.array(cells[:, 0], pa.int16()),
        "propensity": propensity,
    }
    for c, column in enumerate(bias, start=1):
        columns[column.name] = pa.array(column.levels, pa.string()).take(pa.array(cells[:, c]))
    table = pa.table(columns)
    pq.write_table(table.replace_schema_metadata({"identification": identification}), path)
    usual = (cells[:, 1:] == 0).all(axis=1)
    pairs = zip(cells[usual, 0], propensity[usual], strict=True)
    return {str(k): round(float(p), 6) for k, p in pairs}


def relative_logits(logits: Floats, bias: Sequence[BiasColumn]) -> Floats:
    """`[P, *levels]` logits less that of the reference: of position 1, in each list's context."""
    first = logits[0]
    for axis, column in enumerate(bias):
        if column.is_per_document:
            first = np.take(first, [0], axis=axis)
    return np.asarray(logits - first)


def _reference(cells: Ints, bias: Sequence[BiasColumn]) -> Ints:
    """`[S, 1 + C]` the cell that each cell is relative to."""
    out = cells.copy()
    out[:, 0] = cells[:, 0].min()
    for c, column in enumerate(bias, start=1):
        if column.is_per_document:
            out[:, c] = 0
    return out


def _keys(cells: Ints, bias: Sequence[BiasColumn], used: Sequence[int]) -> list[_Key]:
    texts = [[bias[c].levels[level] for level in cells[:, 1 + c].tolist()] for c in used]
    return list(zip(cells[:, 0].tolist(), *texts, strict=True))


def _read(path: Path, bias: Sequence[BiasColumn]) -> tuple[list[int], dict[_Key, float]]:
    """Which bias columns the file tells apart, and its values by position and level."""
    try:
        if path.suffix == ".json":
            values = json.loads(path.read_text(encoding="utf-8"))["relative_propensity"]
            return [], {(k,): float(v) for k, v in enumerate(values, start=1)}
        file = pq.read_table(path)
        used = [c for c, column in enumerate(bias) if column.name in file.column_names]
        names = ["position", *(bias[c].name for c in used)]
        keys = list(zip(*(file[name].to_pylist() for name in names), strict=True))
        known = dict(zip(keys, file["propensity"].to_pylist(), strict=True))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(
            "propensities must be readable", got=f"{path}: {error}", hint=_HINT
        ) from error
    if len(known) < len(keys):
        have = ", ".join(column.name for column in bias) or "none"
        raise DataError(
            "propensities have one value for each position and bias context",
            got=f"{path} has {len(keys)} for {len(known)}; bias columns of the lists: {have}",
            hint="build lists with the columns that the file tells apart (ultr lists --context)",
        )
    return used, known


def _values(path: Path, known: dict[_Key, float], keys: list[_Key]) -> Floats:
    missing = sorted({key for key in keys if key not in known})
    if missing:
        names = ["; ".join(map(str, key)) for key in missing[:10]]
        raise DataError(
            "propensities are needed for every position of the log, in each bias context",
            got=f"{path} has none for {', '.join(names)}",
            hint=_HINT,
        )
    found = np.array([known[key] for key in keys], np.float64)
    is_wrong = ~(np.isfinite(found) & (found > 0))
    if is_wrong.any():
        raise DataError(
            "a propensity must be a number above 0",
            got=f"{path} has {found[is_wrong][0]}",
            hint="a position that is never examined cannot be corrected: leave its documents out",
        )
    return found
