"""Read and write propensities: what a run learned, or what another source knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.errors import DataError

Floats = NDArray[np.float64]
Ints = NDArray[np.integer[Any]]


def read_propensities(path: Path, *, positions: Ints) -> Floats:
    """Propensities `[P]` of positions 1 to P, relative to the first that occurs.

    Args:
        path: Parquet with `position, propensity`, or JSON with `relative_propensity`.
        positions: the positions that occur, ascending up to P; all have to be there. Others are 1.

    Raises:
        DataError: unreadable, positions missing, or values that are not above 0.
    """
    hint = "give a Parquet file with position and propensity, or a truth.json of ultr simulate"
    try:
        if path.suffix == ".json":
            values = json.loads(path.read_text(encoding="utf-8"))["relative_propensity"]
            known = {k: float(v) for k, v in enumerate(values, start=1)}
        else:
            table = pq.read_table(path, columns=["position", "propensity"])
            known = dict(zip(*(table[c].to_pylist() for c in table.column_names), strict=True))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(
            "propensities must be readable", got=f"{path}: {error}", hint=hint
        ) from error
    missing = [k for k in positions.tolist() if k not in known]
    if missing:
        raise DataError(
            "propensities are needed for every position of the log",
            got=f"{path} has none for {', '.join(map(str, missing[:10]))}",
            hint=hint,
        )
    found = np.array([known[k] for k in positions.tolist()], np.float64)
    is_wrong = ~(np.isfinite(found) & (found > 0))
    if is_wrong.any():
        raise DataError(
            "a propensity must be a number above 0",
            got=f"{path} has {found[is_wrong][0]}",
            hint="a position that is never examined cannot be corrected: leave its documents out",
        )
    out = np.ones(int(positions[-1]))
    out[positions - 1] = found / found[0]
    return out


def write_propensities(
    path: Path, logits: Floats, *, positions: Ints, identification: str
) -> dict[str, float]:
    """Write `position, propensity`, relative to the first of `positions`.

    Args:
        path: the Parquet file.
        logits: `[P]` of positions 1 to P.
        positions: those that training saw, ascending; of others nothing is known.
        identification: the state of `ultr.train.identification`, for the file's metadata.

    Returns:
        Position -> propensity, as written.
    """
    found = logits[positions - 1]
    propensity = np.exp(found - found[0])
    table = pa.table({"position": pa.array(positions, pa.int16()), "propensity": propensity})
    pq.write_table(table.replace_schema_metadata({"identification": identification}), path)
    return {str(k): round(float(p), 6) for k, p in zip(positions, propensity, strict=True)}
