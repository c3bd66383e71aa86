"""Candidates: every (query, document) that was shown, judged or has features, by bucket.

Where features depend on time, a pair has a row for each period in which it was shown (what lists
point at) and one with period null (its state after the last period, for evaluation and scoring);
else it has the row with period null only. Rows are numbered once and for all: those of a later
period come after those of an earlier one, so that a new night only adds rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ultr.commit import Commit
from ultr.etl.feature_groups import FILE, Layout, read_layout
from ultr.etl.numbering import Known, Numbered, Pairs
from ultr.etl.split import query_split
from ultr.parquet import iter_batches, open_parquet, readable_parquet
from ultr.transform import Transform, fit_transform

REPEATS = "repeats"
"""Key of candidate files that repeat pairs of other buckets, for the lists of split queries."""

_PAIR = ["query_id", "doc_id"]
_KEY = [*_PAIR, "period"]
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
        f"select query_id, doc_id, period, coalesce(feature_group, '{FILE}') as feature_group,"  # noqa: S608  a number
        f" features, bucket_of(query_id, {buckets:d}) as bucket"
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
    parts = [open_parquet(change.root / f.path).read(columns=[*_PAIR, "row"]) for f in files]
    schema = pa.schema([(c, pa.int64()) for c in _PAIR] + [("row", pa.int32())])
    table = pa.concat_tables(parts) if parts else schema.empty_table()
    return Known(*(table[c].to_numpy() for c in schema.names))


def write_candidates(
    change: Commit,
    numbered: Numbered,
    *,
    bucket: int,
    features: Sequence[Path],
    layout: Layout,
    repeats: bool,
) -> None:
    """Append the new rows of a bucket, with features that do not depend on time.

    Args:
        change: the commit to write to.
        numbered: the bucket's pairs.
        bucket: the bucket.
        features: folders in which its features may stand.
        layout: the groups of features.
        repeats: whether the pairs are candidates of other buckets too.
    """
    row = numbered.known + np.arange(len(numbered.query), dtype=np.int32)
    if not len(row):
        return
    pairs = pl.DataFrame({"query_id": numbered.query, "doc_id": numbered.document, "row": row})
    keyed = pairs.select(*_PAIR, pl.lit(None, pl.String).alias("period"), "row")
    rows = with_features(keyed, features=_features_of(features, among=pairs), layout=layout)
    _write(change, rows, bucket=bucket, repeats=repeats)


def write_timed_candidates(
    change: Commit,
    shown: pl.DataFrame,
    *,
    judged: pl.DataFrame,
    bucket: int,
    features: Sequence[Path],
    layout: Layout,
    repeats: bool,
) -> pl.DataFrame:
    """Write all rows of a bucket, with features that depend on time.

    Args:
        change: the commit to write to; it has no candidates of this bucket.
        shown: `query_id, doc_id, period` of every shown document, repeated or not.
        judged: `query_id, doc_id` of the judged ones.
        bucket: the bucket.
        features: folders in which its features may stand.
        layout: the groups of features.
        repeats: whether the pairs are candidates of other buckets too; then only what is shown
            becomes a row.

    Returns:
        `query_id, doc_id, period, row, features`, by row.
    """
    given = _features_of(features, among=shown if repeats else None)
    rows = candidates_of(shown, judged=judged, features=given, layout=layout)
    if rows.height:
        _write(change, rows, bucket=bucket, repeats=repeats)
    return rows


def _features_of(folders: Sequence[Path], *, among: pl.DataFrame | None) -> pl.DataFrame | None:
    """`query_id, doc_id, period, feature_group, features`, of some pairs or all; None without."""
    if not folders:
        return None
    found = pl.scan_parquet([f / "*.parquet" for f in folders], hive_partitioning=False)
    if among is not None:
        found = found.join(among.lazy().select(_PAIR).unique(), on=_PAIR, how="semi")
    return found.collect()


def _write(change: Commit, rows: pl.DataFrame, *, bucket: int, repeats: bool) -> None:
    keys: dict[str, Any] = {"bucket": bucket} | ({REPEATS: "true"} if repeats else {})
    change.write("candidates", rows.to_arrow(), dictionary=False, delta=["row"], **keys)


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
    files = change.manifest.tables.get("candidates", [])
    paths = [change.root / f.path for f in files if REPEATS not in f.keys]
    return fit_transform(training_blocks(paths, layout), layout.names, layout.kinds)


def training_blocks(paths: list[Path], layout: Layout) -> Iterator[NDArray[np.floating[Any]]]:
    """Raw features `[N, F]` that the transform is fitted on, from files of candidates."""
    columns = ["query_id", "period", "features"]
    for path in paths:
        with readable_parquet(path), open_parquet(path) as file:
            for batch in iter_batches(file, _CHUNK, columns=columns):
                is_fitted = pa.array(query_split(batch["query_id"].to_numpy()) == 0)
                if layout.is_timed:
                    is_fitted = pc.and_(is_fitted, batch["period"].is_valid())
                kept = batch["features"].filter(is_fitted).drop_null()
                values = kept.flatten().to_numpy(zero_copy_only=False)
                yield values.reshape(-1, len(layout.names))
