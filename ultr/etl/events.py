"""Events to files of the lake, and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from ultr.commit import Commit
from ultr.manifest import File
from ultr.parquet import open_parquet
from ultr.schema import EVENTS

_HASHED_ROWS = 1 << 20

Ids = Callable[[str, pl.Series], pl.Series]
"""Column (`query` or `doc`) and keys to ids, by the lake's rule."""


def new_documents(events: pl.DataFrame) -> pl.Series:
    """The keys of documents that may not stand on the pages of their own chunk, some repeatedly."""
    is_new = (events["state"] == "unattached").fill_null(value=True)
    return pl.concat([events["doc_key"].filter(is_new).drop_nulls(), _hits(events)])


def new_queries(events: pl.DataFrame) -> pl.Series:
    """The keys of queries, which are their texts, some repeatedly."""
    return events["query_key"].drop_nulls()


def with_ids(events: pl.DataFrame, ids: Ids, *, source: str) -> pl.DataFrame:
    """Events of a chunk (`EVENT_SCHEMA`) as rows of the table, with ids for keys.

    Raises:
        DataError: keys that break the lake's rule.
    """
    columns = {
        "source": pl.lit(source),
        "doc_id": pl.lit(_known("doc", events["doc_key"], ids)),
        "query_id": pl.lit(_known("query", events["query_key"], ids)),
        "hit_doc_id": pl.lit(_relisted(events["hit_doc_key"], _known("doc", _hits(events), ids))),
    }
    return events.select(
        columns.get(name, pl.col(name)).alias(name) for name in EVENTS.arrow().names
    )


def _hits(events: pl.DataFrame) -> pl.Series:
    return events["hit_doc_key"].list.explode(empty_as_null=False, keep_nulls=False)


def _known(column: str, keys: pl.Series, ids: Ids) -> pl.Series:
    """Ids of the keys that are there, null for the others."""
    there = keys.is_not_null()
    found = ids(column, keys.filter(there)) if there.any() else pl.Series(dtype=pl.Int64)
    empty = pl.Series(values=[None], dtype=pl.Int64).new_from_index(0, len(keys))
    return empty.scatter(there.arg_true(), found) if len(found) < len(keys) else found


def _relisted(lists: pl.Series, values: pl.Series) -> pl.Series:
    if lists.null_count() == len(lists):
        return pl.Series(values=[None], dtype=pl.List(pl.Int64)).new_from_index(0, len(lists))
    size = lists.list.len().fill_null(0).to_numpy()
    offsets = pa.array(np.concatenate([[0], np.cumsum(size)]), pa.int64())
    mask = pa.array(lists.is_null().to_numpy())
    return pl.Series(pa.LargeListArray.from_arrays(offsets, values.to_arrow(), mask=mask))


def read_files(
    change: Commit, files: Sequence[File], *, columns: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """The rows of files, a row group at a time."""
    for file in files:
        path, first = change.root / file.path, 0
        with open_parquet(path) as parquet:
            sizes = [parquet.metadata.row_group(i).num_rows for i in range(parquet.num_row_groups)]
        rows = pl.scan_parquet(path, hive_partitioning=False, glob=False).select(columns)
        for size in sizes:
            yield rows.slice(first, size).collect()
            first += size


def distinct_hashes(change: Commit, file: File, column: str) -> pl.Series:
    """64-bit hashes of the distinct texts of a column; good within one process only."""
    return pl.concat([pl.Series(dtype=pl.UInt64), *read_hashes(change, file, column)]).unique()


def read_hashes(change: Commit, file: File, column: str) -> Iterator[pl.Series]:
    """The hashes of a column's rows, a million at a time; null and `""` are left out."""
    rows = pl.scan_parquet(change.root / file.path, hive_partitioning=False, glob=False)
    for first in range(0, file.rows, _HASHED_ROWS):
        yield hashes(rows.select(column).slice(first, _HASHED_ROWS).collect().to_series())


def hashes(texts: pl.Series) -> pl.Series:
    """64-bit hashes of texts, for a set that is kept in memory; null and `""` are left out."""
    known = texts.drop_nulls()
    return known.filter(known != "").hash(0)
