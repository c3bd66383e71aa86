"""Candidates: every (query, document) that was shown, judged or has features, by bucket.

Where features depend on time, a pair has a row for each period in which it was shown (what lists
point at) and one with period null (its state after the last period, for evaluation and scoring);
else it has the row with period null only. Rows are numbered once and for all: those of a later
period come after those of an earlier one, so that a new night only adds rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.etl.feature_groups import FILE, Layout, read_layout
from ultr.etl.split import query_split
from ultr.lake import Commit, readable_parquet
from ultr.transform import Transform, fit_transform

_PAIR = ["query_id", "doc_id"]
_KEY = [*_PAIR, "period"]
_CHUNK = 1 << 16


@dataclass(frozen=True)
class StagedFeatures:
    """The features of a lake, apart by bucket.

    Args:
        layout: which groups there are.
        folders: bucket -> folder of Parquet files, for buckets that have features.
    """

    layout: Layout
    folders: dict[int, Path]

    def read(self, bucket: int) -> pl.DataFrame | None:
        """`query_id, doc_id, period, feature_group, features` of a bucket, None without any."""
        if bucket not in self.folders:
            return None
        return pl.read_parquet(self.folders[bucket] / "*.parquet", hive_partitioning=False)


def stage_features(
    connection: duckdb.DuckDBPyConnection, folder: Path, *, buckets: int, layout: Layout
) -> StagedFeatures:
    """Write the view `features` once into a folder per bucket, so that no bucket reads it all."""
    target = folder / "features"
    target.mkdir()
    relation = connection.sql(
        f"select query_id, doc_id, period, coalesce(feature_group, '{FILE}') as feature_group,"  # noqa: S608  a number
        f" features, bucket_of(query_id, {buckets:d}) as bucket from features"
    )
    relation.write_parquet(str(target), partition_by=["bucket"])
    folders = {int(p.name.removeprefix("bucket=")): p for p in target.iterdir()}
    return StagedFeatures(layout, folders)


def candidates_of(
    shown: pl.DataFrame,
    *,
    judged: pl.DataFrame,
    features: pl.DataFrame | None,
    layout: Layout,
    known: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """The candidates of one bucket that are not known yet.

    They are numbered after the known ones: pairs that are judged or have features, then those
    first shown in each period, in its order; within these by (query, document).

    Args:
        shown: `query_id, doc_id, period` of every shown document, repeated or not.
        judged: `query_id, doc_id` of the judged ones.
        features: `query_id, doc_id, period, feature_group, features` of the bucket.
        layout: the groups of features.
        known: `query_id, doc_id, period, row` of the bucket's earlier candidates.

    Returns:
        `query_id, doc_id, period, row, features`, by row.
    """
    at = shown.select(*_PAIR, pl.col("period").cast(pl.String)).unique()
    state = pl.lit(None, pl.String)
    static = [judged.select(_PAIR), *([] if features is None else [features.select(_PAIR)])]
    wanted = [f.with_columns(period=state, first=state) for f in static]
    first = at.group_by(_PAIR).agg(first=pl.col("period").min())
    wanted.append(first.select(*_PAIR, state.alias("period"), "first"))
    if layout.is_timed:
        wanted.append(at.select(*_KEY, first="period"))
    rows = pl.concat([f.select(*_KEY, "first") for f in wanted])
    # A null comes first: what is known of before any night stands before it.
    rows = rows.group_by(_KEY).agg(pl.col("first").sort(nulls_last=False).first())
    begin = 0
    if known is not None and known.height:
        begin = int(known["row"].max()) + 1  # type: ignore[arg-type]
        rows = rows.join(known.select(_KEY), on=_KEY, how="anti", nulls_equal=True)
    rows = rows.sort("first", pl.col("period").is_not_null(), *_PAIR, nulls_last=False)
    numbered = rows.select(_KEY).with_row_index("row", begin)
    return with_features(numbered.select(*_KEY, "row"), features=features, layout=layout)


def with_features(
    rows: pl.DataFrame, *, features: pl.DataFrame | None, layout: Layout
) -> pl.DataFrame:
    """Rows with their values, group after group.

    Where a row lacks a group its values are NaN; where it lacks all of them they are null.

    Args:
        rows: `query_id, doc_id, period, row`.
        features: as for `candidates_of`.
        layout: the groups.
    """
    null = pl.lit(None, pl.List(pl.Float32)).alias("features")
    if features is None or not layout.groups:
        return rows.with_columns(null)
    found = rows
    for group in layout.groups:
        on = _KEY if group.is_timed else _PAIR
        own = features.filter(pl.col("feature_group") == group.name)
        own = own.select(*on, pl.col("features").alias(group.name))
        found = found.join(own, on=on, how="left", nulls_equal=True, maintain_order="left")
    names = [g.name for g in layout.groups]
    if len(names) == 1:
        return found.rename({names[0]: "features"})
    # A list of one null-able item a row: a row without any group stays null.
    filled = [
        pl.col(g.name).fill_null(pl.lit([float("nan")] * len(g.names), pl.List(pl.Float32)))
        for g in layout.groups
    ]
    is_known = pl.any_horizontal(pl.col(names).is_not_null())
    joined = pl.when(is_known).then(pl.concat_list(filled)).otherwise(null)
    return found.select(*rows.columns, joined.alias("features"))


def rows_of(shown: pl.DataFrame, candidates: pl.DataFrame) -> pa.Array:
    """The candidate row of every shown document, in the same order, `[M]` int32.

    Args:
        shown: `query_id, doc_id, period`.
        candidates: `query_id, doc_id, period, row`, all of the bucket's.
    """
    is_timed = candidates["period"].null_count() < candidates.height
    on = _KEY if is_timed else _PAIR
    keyed = candidates.select(*on, pl.col("row").cast(pl.Int32))
    rows = shown.join(keyed, on=on, how="left", maintain_order="left")["row"]
    return rows.to_arrow()


def fit_on_training(change: Commit) -> Transform:
    """Fit the transform on the written candidates of training queries, and no others.

    Where features depend on time, on the rows that lists point at: the state after the last period
    is not what a ranker is trained on. Such rows never change, so the fit can be extended.
    """
    layout = read_layout(change.manifest)
    paths = [change.root / f.path for f in change.manifest.tables.get("candidates", [])]
    return fit_transform(training_blocks(paths, layout), layout.names, layout.kinds)


def training_blocks(paths: list[Path], layout: Layout) -> Iterator[NDArray[np.floating[Any]]]:
    """Raw features `[N, F]` that the transform is fitted on, from files of candidates."""
    columns = ["query_id", "period", "features"]
    for path in paths:
        with readable_parquet(path), pq.ParquetFile(path) as file:
            for batch in file.iter_batches(_CHUNK, columns=columns):
                is_fitted = pa.array(query_split(batch["query_id"].to_numpy()) == 0)
                if layout.is_timed:
                    is_fitted = pc.and_(is_fitted, batch["period"].is_valid())
                kept = batch["features"].filter(is_fitted).drop_null()
                values = kept.flatten().to_numpy(zero_copy_only=False)
                yield values.reshape(-1, len(layout.names))
