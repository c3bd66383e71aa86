"""What a trained model leaves unexplained, by shown rank and by decile of the logged rank."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.errors import DataError

Floats = NDArray[np.float64]

FILE = "residuals.parquet"
_COLUMNS = ("rank", "decile", "impressions", "clicks", "expected")
_LEAST_EXPECTED = 20.0


@dataclass(frozen=True)
class Residuals:
    """Observed against expected clicks, by cell.

    Args:
        rank: `[N]` shown ranks.
        decile: `[N]` of the rank that the logging policy gives the document.
        impressions: `[N]`.
        clicks: `[N]`.
        expected: `[N]` by the model.
    """

    rank: Floats
    decile: Floats
    impressions: Floats
    clicks: Floats
    expected: Floats

    @property
    def off(self) -> Floats:
        """`[N]` clicks / expected − 1, NaN in cells of too few clicks to tell."""
        enough = self.expected >= _LEAST_EXPECTED
        return np.where(enough, self.clicks / np.maximum(self.expected, 1e-12) - 1, np.nan)

    def by_decile(self) -> dict[int, float]:
        """Decile -> clicks / expected − 1: a slope says that relevance and rank are mixed up."""
        out = {}
        for d in np.unique(self.decile).tolist():
            at = self.decile == d
            expected = float(self.expected[at].sum())
            if expected >= _LEAST_EXPECTED:
                out[int(d)] = float(self.clicks[at].sum()) / expected - 1
        return out


def read_residuals(run: Path) -> Residuals | None:
    """The residuals that `ultr evaluate` left in a run's folder; None if there are none.

    Raises:
        DataError: a file that is not what it should be.
    """
    path = run / FILE
    if not path.exists():
        return None
    try:
        table = pq.read_table(path, columns=list(_COLUMNS))
        columns = {c: table[c].to_numpy().astype(np.float64) for c in _COLUMNS}
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise DataError(
            f"residuals are Parquet with {', '.join(_COLUMNS)}",
            got=f"{path}: {str(error).splitlines()[0]}",
            hint="write them again with: ultr evaluate --run RUN --lake LAKE",
        ) from error
    return Residuals(**columns)
