"""Documents to rank, a block of whole queries at a time: of a lake, or of LETOR files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ultr.errors import DataError
from ultr.lake import Lake
from ultr.letor import read_letor_files
from ultr.parquet import iter_batches, open_parquet, readable_parquet
from ultr.split import SPLITS, query_split

Longs = NDArray[np.int64]
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Documents:
    """Documents of Q queries with their grades.

    Args:
        query: `[N]` which query a document belongs to, 0 to Q − 1.
        query_id: `[Q]` int64 ids of a lake, text of LETOR files.
        document: `[N]` numbers in the order of the document ids.
        features: `[N, F]` raw values, None where there are none.
        grade: `[N]`, 0 where there is no judgment.
        max_grade: top grade of the whole source.
    """

    query: Longs
    query_id: NDArray[Any]
    document: Longs
    features: Floats | None
    grade: NDArray[np.int16]
    max_grade: int


def letor_documents(paths: Sequence[Path]) -> Documents:
    """All documents of LETOR files.

    Raises:
        DataError: a file that is missing, empty or not in the format.
    """
    letor = read_letor_files(paths)
    sizes = np.diff(letor.offsets)
    return Documents(
        query=np.repeat(np.arange(len(sizes)), sizes),
        query_id=letor.qid[letor.offsets[:-1]],
        document=np.unique(letor.doc, return_inverse=True)[1],
        features=letor.features,
        grade=letor.grade,
        max_grade=int(letor.grade.max(initial=0)),
    )


@dataclass(frozen=True)
class Judgments:
    """Judged pairs of a split, for joining.

    Args:
        query_id: `[Q]` ascending.
        doc_id: `[D]` ascending, distinct over all queries.
        pair: `[J]` ascending, query index × D + document index.
        grade: `[J]`.
        max_grade: top grade of the lake, over all splits.
    """

    query_id: Longs
    doc_id: Longs
    pair: Longs
    grade: NDArray[np.int16]
    max_grade: int

    def grades_of(self, query_id: Longs, doc_id: Longs) -> tuple[NDArray[np.int16], int]:
        """Grades of pairs of judged queries, 0 where not judged, and how many were judged."""
        document, is_known = _find(self.doc_id, doc_id)
        wanted = np.searchsorted(self.query_id, query_id) * len(self.doc_id) + document
        at, is_judged = _find(self.pair, np.where(is_known, wanted, -1))
        return np.where(is_judged, self.grade[at], 0).astype(np.int16), int(is_judged.sum())


def read_judgments(lake: Lake, *, split: str) -> Judgments:
    """The judgments of one split (`all` for every query), by `ultr.split.query_split`.

    Raises:
        DataError: no judged query in the split.
    """
    parts, highest = [], 0
    for path in lake.paths("judgments"):
        with readable_parquet(path):
            table = open_parquet(path).read(columns=["query_id", "doc_id", "grade"])
        query_id, doc_id, grade = (table[c].to_numpy() for c in table.column_names)
        highest = max(highest, int(grade.max(initial=0)))
        kept = np.full(len(grade), True)
        if split != "all":
            kept = query_split(query_id) == SPLITS.index(split)
        parts.append((query_id[kept], doc_id[kept], grade[kept]))
    queries, docs, grades = (np.concatenate(column) for column in zip(*parts, strict=True))
    if not len(grades):
        raise DataError(
            f"evaluation on the split {split} needs judged queries in it",
            got=f"none of the {lake.rows('judgments'):,} judgments of {lake.root}",
            hint="say --queries all, if the ranker did not see the grades",
        )
    query_id, query = np.unique(queries, return_inverse=True)
    doc_id, document = np.unique(docs, return_inverse=True)
    pair = query.astype(np.int64) * len(doc_id) + document
    order = np.argsort(pair)
    top = lake.manifest.meta.get("judgments", {}).get("max_grade", highest)
    return Judgments(query_id, doc_id, pair[order], grades[order], int(top))


def lake_documents(lake: Lake, *, split: str, with_features: bool) -> Iterator[Documents]:
    """All candidates of the judged queries of a split, a bucket at a time.

    Args:
        lake: with judgments and candidates.
        split: train, validation, test or all.
        with_features: read the features too; they are most of the bytes.

    Raises:
        DataError: no judged query in the split, or judgments that `ultr lists` has not seen.
    """
    judged = read_judgments(lake, split=split)
    n_found = 0
    for table in candidate_tables(lake, with_features=with_features, queries=judged.query_id):
        ids, query = np.unique(table["query_id"].to_numpy(), return_inverse=True)
        doc_id = table["doc_id"].to_numpy()
        grade, n_judged = judged.grades_of(ids[query], doc_id)
        n_found += n_judged
        features = lake_features(lake, table) if with_features else None
        yield Documents(query, ids, doc_id, features, grade, judged.max_grade)
    if n_found < len(judged.grade):
        raise DataError(
            "every judged document must be among the lake's candidates",
            got=f"{len(judged.grade) - n_found:,} of {len(judged.grade):,} are not",
            hint=f"the judgments are newer than the lists; run: ultr lists --lake {lake.root}",
        )


def candidate_tables(
    lake: Lake, *, with_features: bool, queries: Longs | None = None
) -> Iterator[pa.Table]:
    """The candidates of each bucket that has any, `query_id, doc_id` and maybe `features`.

    Where features depend on time, as they are after the last period. Each query comes once:
    buckets that repeat documents of split queries are left out.

    Args:
        lake: with candidates.
        with_features: read the features too.
        queries: ascending ids; only candidates of these are kept in memory.
    """
    columns = ["query_id", "doc_id", "period", *(["features"] if with_features else [])]
    files = [f for f in lake.files("candidates") if "repeats" not in f.keys]
    for bucket in sorted({int(f.keys["bucket"]) for f in files}):
        parts = []
        for file in (f for f in files if f.matches(bucket=bucket)):
            path = lake.root / file.path
            with readable_parquet(path), open_parquet(path) as opened:
                parts += [_only(b, queries) for b in iter_batches(opened, 1 << 16, columns=columns)]
        table = pa.Table.from_batches(parts) if parts else None
        if table is not None and table.num_rows:
            yield table


def lake_features(lake: Lake, table: pa.Table) -> Floats | None:
    """`[N, F]` raw features of candidates, NaN where a document has none; None without any."""
    transform = lake.manifest.meta.get("transform")
    if not transform:
        return None
    return feature_matrix(table["features"], size=len(transform["mean"]), source=lake.root)


def feature_matrix(column: pa.ChunkedArray, *, size: int, source: Path) -> Floats:
    """`[N, F]` of a list column; a null is a row of NaN.

    Raises:
        DataError: lists of another length than `size`.
    """
    out = np.full((len(column), size), np.nan, np.float32)
    lists = column.combine_chunks()
    is_there = np.asarray(lists.is_valid().to_numpy(zero_copy_only=False), bool)
    length = pc.list_value_length(lists.drop_null()).to_numpy(zero_copy_only=False)
    wrong = length[length != size]
    if len(wrong):
        raise DataError(
            f"every document has {size} features, or none at all",
            got=f"{source} has a document with {wrong[0]}",
            hint="give the features that the run was trained on, in the same order",
        )
    values = lists.drop_null().flatten().cast(pa.float32()).to_numpy(zero_copy_only=False)
    out[is_there] = values.reshape(len(length), size)
    return out


def _only(batch: pa.RecordBatch, queries: Longs | None) -> pa.RecordBatch:
    is_wanted = batch["period"].is_null()
    if queries is not None:
        is_judged = pa.array(_find(queries, batch["query_id"].to_numpy())[1])
        is_wanted = pc.and_(is_wanted, is_judged)
    return batch.filter(is_wanted).drop_columns(["period"])


def _find(sorted_values: Longs, wanted: Longs) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each wanted value stands in ascending values (not empty), and whether it does."""
    at = np.searchsorted(sorted_values, wanted).clip(max=len(sorted_values) - 1)
    return at, sorted_values[at] == wanted
