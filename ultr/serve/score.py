"""Score documents in bulk: the candidates of a lake, or the rows of a feature file."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.errors import DataError, UsageError
from ultr.eval.documents import candidate_tables, feature_matrix, lake_features
from ultr.eval.run import Known, RunLike, check_names, run_files
from ultr.lake import Lake, open_lake
from ultr.parquet import iter_batches, open_parquet
from ultr.progress import progress
from ultr.results import check_table_target, table_writer
from ultr.serve.feature_rows import FeatureRows
from ultr.train import open_run

_BATCH = 1 << 16
_IDS = ["query_id", "doc_id"]


def score(
    run: str | Path | RunLike,
    *,
    out: Path,
    lake: Path | None = None,
    features: Path | None = None,
    allow_missing: bool = False,
    quiet: bool = True,
) -> dict[str, Any]:
    """Write `query_id, doc_id, score`; an old file is replaced at the very end.

    Args:
        run: a run, or its folder.
        out: the file to write, .parquet or .csv.
        lake: score all candidates of this lake, under its ids, or
        features: the rows of this Parquet file, under its own ids (see `feature_batches`).
        allow_missing: take NaN and null in `features` as missing: the mean of training.
        quiet: show no progress.

    Returns:
        `documents seconds out`, and `known_documents of_documents` of a ranker with a parameter
        per pair.

    Raises:
        UsageError: not exactly one of `lake` and `features`, or a file that cannot be written.
        DataError: not a run, features that are not the run's or not finite, pairs that come
            twice, or a lake of which the run knows nothing.

    Example:
        >>> score("runs/dla", lake=Path("lake"), out=Path("scores.parquet"))  # doctest: +SKIP
    """
    if (lake is None) == (features is None):
        raise UsageError(
            "scores are made for a lake or for a feature file",
            got="neither" if lake is None else "both",
            hint="give either --lake LAKE or --features FILE",
        )
    began = time.perf_counter()
    opened = open_run(run) if isinstance(run, str | Path) else run
    inputs = [*run_files(opened), *([features] if features else [])]
    check_table_target(out, inputs=inputs)
    known = Known(opened)
    if lake is not None:
        batches = _score_lake(opened, open_lake(lake), known=known, quiet=quiet)
    else:
        assert features is not None  # noqa: S101  one of them is given
        batches = _score_file(opened, features, allow_missing=allow_missing, quiet=quiet)
    n_documents = _write(batches, out)
    seconds = time.perf_counter() - began
    counts = known.report(lake) if lake is not None else {}
    return {"documents": n_documents, **counts, "seconds": seconds, "out": str(out)}


def _write(batches: Iterator[pa.Table], out: Path) -> int:
    first = next(batches)
    n_documents = 0
    with table_writer(out, first.schema) as writer:
        batch: pa.Table | None = first
        while batch is not None:
            writer.write_table(batch)
            n_documents += batch.num_rows
            batch = next(batches, None)
    return n_documents


def _score_lake(run: RunLike, lake: Lake, *, known: Known, quiet: bool) -> Iterator[pa.Table]:
    lake.require("candidates", hint=f"run: ultr lists --lake {lake.root}")
    reads_features = run.config["reads"] == "features"
    if reads_features:
        check_names(run, lake)
    total = len({f.keys["bucket"] for f in lake.files("candidates")})
    with progress("score", total=total, unit="buckets", quiet=quiet) as advance:
        for table in candidate_tables(lake, with_features=reads_features):
            query_id, doc_id = (table[c].to_numpy() for c in _IDS)
            values = lake_features(lake, table) if reads_features else None
            known.add(query_id, doc_id)
            yield _scored(table, run.score_candidates(query_id, doc_id, values))
            advance(1)
    known.report(lake.root)  # raises where nothing is known, before the result is put in place


def _score_file(
    run: RunLike, path: Path, *, allow_missing: bool, quiet: bool
) -> Iterator[pa.Table]:
    if run.config["reads"] != "features":
        raise DataError(
            "only a ranker on features can score a feature file",
            got=f"{run.root} has one parameter per (query, document)",
            hint="score the lake it was trained on: ultr score --lake LAKE",
        )
    rows = FeatureRows(path, allow_missing=allow_missing)
    with (
        _open(path) as file,
        progress("score", total=file.metadata.num_rows, unit="rows", quiet=quiet) as advance,
    ):
        for table in feature_batches(file, run=run, path=path):
            query = pc.dictionary_encode(table["query_id"].combine_chunks()).indices.to_numpy()
            values = _values(table, run=run, path=path)
            rows.check(table, values)
            yield _scored(table, run.score(values, query.astype(np.int32)))
            advance(table.num_rows)


def feature_batches(file: pq.ParquetFile, *, run: RunLike, path: Path) -> Iterator[pa.Table]:
    """Blocks of whole queries of a file whose rows stand query by query.

    The features are a list column `features`, or one column per feature under the names that the
    run was trained with.

    Args:
        file: the open file.
        run: the run that will score it.
        path: its name, for messages.

    Raises:
        DataError: a damaged file, columns are missing, an id is null, or there is no row.
    """
    names = file.schema_arrow.names
    values = ["features"] if "features" in names else list(getattr(run.transform, "names", ()))
    missing = [c for c in (*_IDS, *values) if c not in names]
    if missing:
        raise _wrong_file(path, f"no column {', '.join(missing[:5])}")
    if not file.metadata.num_rows:
        raise _wrong_file(path, "no rows")
    rest: pa.Table | None = None
    for batch in _batches(file, [*_IDS, *values], path):
        table = pa.Table.from_batches([batch])
        if any(table[c].null_count for c in _IDS):
            raise _wrong_file(path, "a query_id or doc_id that is null")
        table = table if rest is None else pa.concat_tables([rest, table])
        # The last query may go on in the next batch.
        ids = table["query_id"]
        differs = pc.not_equal(ids, ids[-1]).to_numpy()
        whole = int(np.flatnonzero(differs)[-1]) + 1 if differs.any() else 0
        rest = table.slice(whole)
        if whole:
            yield table.slice(0, whole)
    if rest is not None:
        yield rest


def _batches(file: pq.ParquetFile, columns: list[str], path: Path) -> Iterator[pa.RecordBatch]:
    try:
        yield from iter_batches(file, _BATCH, columns=columns)
    except (OSError, pa.ArrowException) as error:
        raise _wrong_file(path, str(error)) from error


def _values(table: pa.Table, *, run: RunLike, path: Path) -> NDArray[np.float32]:
    try:
        if "features" in table.column_names:
            size = int(run.config["n_features"])
            return feature_matrix(table["features"], size=size, source=path)
        columns = table.drop_columns(_IDS).columns
        return np.stack([c.cast(pa.float32()).to_numpy() for c in columns], axis=1)
    except (pa.ArrowException, AttributeError) as error:
        raise _wrong_file(path, f"features that are not numbers: {error}") from error


def _scored(table: pa.Table, scores: NDArray[np.float32]) -> pa.Table:
    return table.select(_IDS).append_column("score", pa.array(scores, pa.float32()))


def _open(path: Path) -> pq.ParquetFile:
    try:
        return open_parquet(path)
    except (OSError, pa.ArrowException) as error:
        raise _wrong_file(path, str(error)) from error


def _wrong_file(path: Path, got: str) -> DataError:
    return DataError(
        "a feature file is Parquet with query_id, doc_id and features (a list of numbers)",
        got=f"{path}: {got}",
        hint="write one row per document to score, or score a whole lake with --lake",
    )
