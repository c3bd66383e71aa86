"""Lists and candidates, bucket by bucket: documents become rows of the bucket's candidates."""

from __future__ import annotations

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from ultr.etl.candidates import StagedFeatures, candidates_of, rows_of, stage_features
from ultr.etl.engine import temporary_folder
from ultr.etl.feature_groups import read_layout
from ultr.etl.split import SPLITS
from ultr.lake import Commit
from ultr.progress import progress


def write_buckets(
    connection: duckdb.DuckDBPyConnection, change: Commit, *, buckets: int, quiet: bool
) -> None:
    """Write `candidates` and `lists`, one bucket in memory at a time.

    Args:
        connection: has `collapsed`, `features` and `judgments`.
        change: the commit to write to.
        buckets: number of buckets that `collapsed` was made with.
        quiet: show no progress.
    """
    staged = stage_features(
        connection,
        temporary_folder(change.root),
        buckets=buckets,
        layout=read_layout(change.manifest),
    )
    with progress("lists", total=buckets, unit="buckets", quiet=quiet) as advance:
        for bucket in range(buckets):
            table = connection.sql(
                "select * from collapsed where bucket = $1", params=[bucket]
            ).to_arrow_table()
            judged = connection.sql(
                "select query_id, doc_id from judgments where bucket_of(query_id, $1) = $2",
                params=[buckets, bucket],
            ).pl()
            _write_bucket(change, table, bucket=bucket, judged=judged, staged=staged)
            advance(1)


def _write_bucket(
    change: Commit, table: pa.Table, *, bucket: int, judged: pl.DataFrame, staged: StagedFeatures
) -> None:
    documents = table["doc_id"].combine_chunks()
    lengths = pc.list_value_length(documents).to_numpy()
    shown = pl.DataFrame(
        {
            "query_id": np.repeat(table["query_id"].to_numpy(), lengths),
            "doc_id": documents.flatten().to_numpy(zero_copy_only=False),
            "period": pl.Series(table["period"]).gather(np.repeat(np.arange(len(table)), lengths)),
        },
        schema={"query_id": pl.Int64, "doc_id": pl.Int64, "period": pl.String},
    )
    candidates = candidates_of(
        shown, judged=judged, features=staged.read(bucket), layout=staged.layout
    )
    if not candidates.height:
        return
    change.write("candidates", candidates.to_arrow(), bucket=bucket)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    rows = pa.ListArray.from_arrays(offsets, rows_of(shown, candidates))
    lists = _as_lists(table.drop_columns(["doc_id"]).append_column("row", rows))
    for period in pc.unique(table["period"]).to_pylist():
        kept = lists.filter(pc.equal(table["period"], period))
        change.write("lists", kept, bucket=bucket, period=period)


def _as_lists(table: pa.Table) -> pa.Table:
    """Split codes as names, and a null context where none was asked for."""
    names = pa.array(SPLITS)
    for column in ("query_split", "session_split"):
        index = table.schema.get_field_index(column)
        table = table.set_column(index, column, names.take(table[column].combine_chunks()))
    if "context" not in table.schema.names:
        null = pa.nulls(table.num_rows, pa.list_(pa.string()))
        table = table.append_column("context", null)
    return table
