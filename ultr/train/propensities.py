"""Read and write propensities: what a run learned, or what another source knows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.errors import DataError

Floats = NDArray[np.float64]


def read_propensities(path: Path, *, n_positions: int) -> Floats:
    """Propensities `[P]` relative to position 1, from Parquet or a `truth.json`.

    Args:
        path: Parquet with `position, propensity`, or JSON with `relative_propensity`.
        n_positions: P; all of positions 1..P have to be there.

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
            positions, propensities = (table[c].to_pylist() for c in table.column_names)
            known = dict(zip(positions, propensities, strict=True))
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        raise DataError(
            "propensities must be readable", got=f"{path}: {error}", hint=hint
        ) from error
    missing = [k for k in range(1, n_positions + 1) if k not in known]
    if missing:
        raise DataError(
            f"propensities are needed for positions 1 to {n_positions}",
            got=f"{path} has none for {', '.join(map(str, missing[:10]))}",
            hint=hint,
        )
    out = np.array([known[k] for k in range(1, n_positions + 1)], np.float64)
    if not np.all(np.isfinite(out) & (out > 0)):
        raise DataError(
            "a propensity must be a number above 0",
            got=f"{path} has {out[~(np.isfinite(out) & (out > 0))][0]}",
            hint="a position that is never examined cannot be corrected: leave its documents out",
        )
    return out / out[0]


def write_propensities(path: Path, propensity: Floats) -> None:
    """Write `position, propensity` with position 1 at 1."""
    positions = pa.array(np.arange(1, len(propensity) + 1), pa.int16())
    pq.write_table(pa.table({"position": positions, "propensity": propensity}), path)
