"""Blocks of feature values into a file of the lake."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.commit import Commit
from ultr.schema import FEATURES


@dataclass(frozen=True)
class Block:
    """Some rows of a group of features.

    Args:
        query_id: `[N]` int64.
        doc_id: `[N]` int64.
        values: `[N, F]`.
        period: of all rows, None for values that do not depend on time or are the latest.
    """

    query_id: Any
    doc_id: Any
    values: NDArray[np.floating[Any]]
    period: str | None = None


def write_rows(change: Commit, blocks: Iterable[Block], *, group: str) -> int:
    """Write blocks as one file of `features`, and add it even if there is no row.

    Returns:
        The number of rows.
    """
    schema, path = FEATURES.arrow(), change.new_file("features")
    n_rows = 0
    # Values are hardly ever the same: a dictionary of them only costs time.
    coded = ["period", "feature_group"]
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=coded) as writer:
        for block in blocks:
            writer.write_table(_table(block, group, schema))
            n_rows += len(block.values)
    change.add("features", path, rows=n_rows, group=group)
    return n_rows


def _table(block: Block, group: str, schema: pa.Schema) -> pa.Table:
    n_rows, size = block.values.shape
    flat = pa.array(block.values.astype(np.float32, copy=False).ravel(), pa.float32())
    offsets = np.arange(n_rows + 1, dtype=np.int32) * size
    arrays = {
        "query_id": pa.array(block.query_id, pa.int64()),
        "doc_id": pa.array(block.doc_id, pa.int64()),
        "period": pa.repeat(pa.scalar(block.period, pa.string()), n_rows),
        "feature_group": pa.repeat(pa.scalar(group), n_rows),
        "features": pa.ListArray.from_arrays(offsets, flat),
    }
    return pa.table([arrays[name] for name in schema.names], schema=schema)
