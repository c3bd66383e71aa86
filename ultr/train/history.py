"""How the propensities went from period to period: `propensities_by_period.parquet`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

HISTORY = "propensities_by_period.parquet"


def write_history(
    path: Path, curve: pa.Table, *, periods: Sequence[str], earlier: pa.Table | None
) -> None:
    """Write `period` and the columns of the curve: of all periods read so far, in that order.

    Periods that were read together have the same curve; one that was read again has the last.

    Args:
        path: the Parquet file.
        curve: what `propensities.parquet` holds.
        periods: that this run read.
        earlier: what the run that it continues wrote.
    """
    parts = []
    if earlier is not None:
        is_again = pc.is_in(earlier["period"], value_set=pa.array(periods, pa.string()))
        parts.append(earlier.filter(pc.invert(is_again)))
    rows = curve.take(np.tile(np.arange(curve.num_rows), len(periods)))
    names = pa.array(np.repeat(np.asarray(periods, object), curve.num_rows), pa.string())
    parts.append(rows.add_column(0, "period", names))
    pq.write_table(pa.concat_tables(parts, promote_options="default"), path)
