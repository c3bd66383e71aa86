"""Candidates: every (query, document) that was shown, judged or has features, by bucket."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.etl.numbering import Known, Numbered, Pairs
from ultr.etl.split import query_split
from ultr.lake import Commit
from ultr.transform import Transform, fit_transform

REPEATS = "repeats"
"""Key of candidate files that repeat pairs of other buckets, for the lists of split queries."""

_PAIR = ["query_id", "doc_id"]
_CHUNK = 1 << 16


def stage_features(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    *,
    buckets: int,
    queries: Sequence[int] | None = None,
) -> dict[int, Path]:
    """Write the view `features` once into a folder per bucket, so that no bucket reads it all.

    Args:
        connection: has the view.
        folder: where to make the folders.
        buckets: number of buckets.
        queries: only the features of these.

    Returns:
        Bucket -> folder, for buckets that have features.
    """
    target = folder / "features"
    target.mkdir()
    relation = connection.sql(
        f"select query_id, doc_id, features, bucket_of(query_id, {buckets:d}) as bucket"  # noqa: S608  a number
        " from features where $1::bigint[] is null or list_contains($1::bigint[], query_id)",
        params=[queries if queries is None else list(queries)],
    )
    relation.write_parquet(str(target), partition_by=["bucket"])
    return {int(p.name.removeprefix("bucket=")): p for p in target.iterdir()}


def feature_pairs(folder: Path | None) -> Pairs:
    """The pairs of a bucket that have features."""
    if folder is None:
        return Pairs.always(np.zeros(0, np.int64), np.zeros(0, np.int64))
    pairs = pl.read_parquet(folder / "*.parquet", columns=_PAIR, hive_partitioning=False)
    return Pairs.always(pairs["query_id"].to_numpy(), pairs["doc_id"].to_numpy())


def known_pairs(change: Commit, *, bucket: int) -> Known:
    """The candidates that a bucket has."""
    files = [f for f in change.manifest.tables.get("candidates", []) if f.matches(bucket=bucket)]
    parts = [pq.ParquetFile(change.root / f.path).read(columns=[*_PAIR, "row"]) for f in files]
    schema = pa.schema([(c, pa.int64()) for c in _PAIR] + [("row", pa.int32())])
    table = pa.concat_tables(parts) if parts else schema.empty_table()
    return Known(*(table[c].to_numpy() for c in schema.names))


def write_candidates(
    change: Commit, numbered: Numbered, *, bucket: int, features: Sequence[Path], repeats: bool
) -> None:
    """Append the new rows of a bucket, with their features.

    Args:
        change: the commit to write to.
        numbered: the bucket's pairs.
        bucket: the bucket.
        features: folders in which its features may stand.
        repeats: whether the pairs are candidates of other buckets too.
    """
    row = numbered.known + np.arange(len(numbered.query), dtype=np.int32)
    if not len(row):
        return
    pairs = pl.DataFrame({"query_id": numbered.query, "doc_id": numbered.document, "row": row})
    files = [f / "*.parquet" for f in features]
    if files:
        known = pl.scan_parquet(files, hive_partitioning=False)
        pairs = pairs.lazy().join(known, on=_PAIR, how="left", maintain_order="left").collect()
    else:
        pairs = pairs.with_columns(pl.lit(None, pl.List(pl.Float32)).alias("features"))
    keys: dict[str, Any] = {"bucket": bucket} | ({REPEATS: "true"} if repeats else {})
    change.write("candidates", pairs.to_arrow(), dictionary=False, **keys)


def fit_on_training(change: Commit, names: tuple[str, ...]) -> Transform:
    """Fit the transform on the written candidates of training queries, and no others."""
    files = change.manifest.tables.get("candidates", [])
    paths = [change.root / f.path for f in files if REPEATS not in f.keys]
    return fit_transform(_training_blocks(paths, len(names)), names)


def _training_blocks(paths: list[Path], size: int) -> Iterator[NDArray[np.floating[Any]]]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_CHUNK, columns=["query_id", "features"]):
                is_train = query_split(batch["query_id"].to_numpy()) == 0
                kept = batch["features"].filter(pa.array(is_train)).drop_null()
                values = kept.flatten().to_numpy(zero_copy_only=False)
                yield values.reshape(-1, size)
