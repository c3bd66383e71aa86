"""Features and grades of a judged set, as the Parquet files that `ultr` reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ultr.simulate.judged import JudgedSet
from ultr.simulate.writers import REGION, url_digests

_ROWS = 50_000
"""Rows of features in a row group."""


def lake_key(judged: JudgedSet, *, form: str) -> Any:
    """[Q] the queries' keys as a lake has them; the Yandex format's are `query:region`."""
    if form == "yandex":
        texts = judged.query_key.cast(pa.string())
        return pc.binary_join_element_wise(texts, REGION, ":")
    return judged.query_key


def write_judged(folder: Path, *, judged: JudgedSet, form: str) -> None:
    """`features.parquet` and `judgments.parquet`, of logged queries and of all others."""
    query = np.repeat(np.arange(len(judged.sizes)), judged.sizes)
    keys = pa.table(
        {
            "query_id": pc.take(lake_key(judged, form=form), pa.array(query)),
            "doc_id": url_digests(judged) if form == "baidu" else judged.doc_key,
        }
    )
    grades = keys.append_column("grade", pa.array(judged.grade))
    pq.write_table(grades, folder / "judgments.parquet", compression="zstd")
    schema = keys.schema.append(pa.field("features", pa.list_(pa.float32())))
    with pq.ParquetWriter(folder / "features.parquet", schema, compression="zstd") as file:
        for first in range(0, len(query), _ROWS):
            values = judged.features[first : first + _ROWS]
            ends = pa.array(np.arange(len(values) + 1) * values.shape[1], pa.int32())
            features = pa.ListArray.from_arrays(ends, pa.array(values.reshape(-1)))
            part = keys.slice(first, _ROWS).append_column("features", features)
            file.write_table(part.cast(schema))
