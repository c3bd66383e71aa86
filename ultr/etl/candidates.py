"""Candidates: every (query, document) that was shown, judged or has features, by bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.etl.split import query_split
from ultr.lake import Commit, readable_parquet
from ultr.transform import Transform, fit_transform

_PAIR = ["query_id", "doc_id"]
_CHUNK = 1 << 16


def stage_features(
    connection: duckdb.DuckDBPyConnection, folder: Path, *, buckets: int
) -> dict[int, Path]:
    """Write the view `features` once into a folder per bucket, so that no bucket reads it all.

    Returns:
        Bucket -> folder, for buckets that have features.
    """
    target = folder / "features"
    target.mkdir()
    relation = connection.sql(
        f"select query_id, doc_id, features, bucket_of(query_id, {buckets:d}) as bucket"  # noqa: S608  a number
        " from features"
    )
    relation.write_parquet(str(target), partition_by=["bucket"])
    return {int(p.name.removeprefix("bucket=")): p for p in target.iterdir()}


def candidates_of(
    shown: pl.DataFrame, *, judged: pl.DataFrame, features: Path | None
) -> pl.DataFrame:
    """The candidates of one bucket, sorted by (query, document).

    Args:
        shown: `query_id, doc_id` of every shown document, repeated or not.
        judged: `query_id, doc_id` of the judged ones.
        features: folder of Parquet files with the bucket's features.

    Returns:
        `query_id, doc_id, row, features`; `row` counts from 0.
    """
    pairs = [shown.select(_PAIR), judged.select(_PAIR)]
    known = pl.read_parquet(features / "*.parquet", hive_partitioning=False) if features else None
    if known is not None:
        pairs.append(known.select(_PAIR))
    found = pl.concat(pairs).unique().sort(_PAIR).with_row_index("row")
    if known is None:
        return found.with_columns(pl.lit(None, pl.List(pl.Float32)).alias("features"))
    return found.join(known, on=_PAIR, how="left", maintain_order="left")


def rows_of(shown: pl.DataFrame, candidates: pl.DataFrame) -> pa.Array:
    """The candidate row of every shown document, in the same order, `[M]` int32."""
    keyed = candidates.select(*_PAIR, pl.col("row").cast(pl.Int32))
    rows = shown.join(keyed, on=_PAIR, how="left", maintain_order="left")["row"]
    return rows.to_arrow()


def fit_on_training(change: Commit, names: tuple[str, ...]) -> Transform:
    """Fit the transform on the written candidates of training queries, and no others."""
    paths = [change.root / f.path for f in change.manifest.tables.get("candidates", [])]
    return fit_transform(_training_blocks(paths, len(names)), names)


def _training_blocks(paths: list[Path], size: int) -> Iterator[NDArray[np.floating[Any]]]:
    for path in paths:
        with readable_parquet(path), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_CHUNK, columns=["query_id", "features"]):
                is_train = query_split(batch["query_id"].to_numpy()) == 0
                kept = batch["features"].filter(pa.array(is_train)).drop_null()
                values = kept.flatten().to_numpy(zero_copy_only=False)
                yield values.reshape(-1, size)
