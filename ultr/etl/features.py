"""Feature values of (query, document) pairs into the lake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.errors import DataError, UsageError
from ultr.etl.engine import engine
from ultr.etl.feature_values import Seen, from_columns, from_lists
from ultr.etl.keyed import KEY_COLUMNS, KeyedFile, open_keyed, pair_ids, text_keys
from ultr.lake import Commit, open_lake
from ultr.schema import FEATURES
from ultr.staleness import is_stale

_NOT_FEATURES = ("grade", "label", "click", "clicks")
"""What a ranker is to learn or is judged by must not be among its inputs."""


def add_features(
    lake: Path,
    *,
    source: Path,
    min_match: float = 0.5,
    allow_missing: bool = False,
    memory_gib: float = 1.0,
) -> dict[str, Any]:
    """Read a file of features and make it the lake's; it replaces earlier features.

    Args:
        lake: the lake's folder; needs sessions.
        source: Parquet, CSV or TSV with `query_id, doc_id` in the log's form (or `query, region`
            and `url`), and a list column `features` or one numeric column per feature.
        min_match: least share of the log's (query, document) pairs that must have features.
        allow_missing: take NaN and null as missing (the mean, after the transform).
        memory_gib: what DuckDB may hold before it spills to the lake's disk.

    Returns:
        `rows features matched_pairs log_pairs match_share missing_values lists_are_stale`.

    Raises:
        DataError: no sessions, an unreadable file, missing columns, keys that break the lake's id
            rule, values that are not finite, lists of different lengths, pairs that come twice, or
            too few of the log's pairs matched.
        UsageError: `min_match` is not a share.

    Example:
        >>> add_features(Path("lake"), source=Path("features.parquet"))  # doctest: +SKIP
    """
    if not 0 <= min_match <= 1:
        raise UsageError("min_match is a share", got=str(min_match), hint="give 0 to 1")
    opened = open_lake(lake)
    opened.require("sessions", hint=f"run: ultr ingest LOG --format … --lake {lake}")
    file = open_keyed(source)
    columns = _value_columns(file)
    with opened.commit("features") as change:
        change.remove("features")
        pairs, seen = _copy(file, change, columns=columns)
        seen.check(file.path, allow_missing=allow_missing)
        _check_unique(pairs, file.path)
        matched, total = _match(change, pairs, memory_gib=memory_gib)
        _check_match(matched, total, file=file, min_match=min_match)
        facts = {
            "rows": pairs.height,
            "matched_pairs": matched,
            "log_pairs": total,
            "match_share": matched / total,
            "missing_values": seen.missing,
        }
        names = columns or tuple(f"f{i}" for i in range(1, seen.size + 1))
        change.manifest.meta["features"] = facts | {"names": list(names), "source": str(source)}
    return facts | {"features": seen.size, "lists_are_stale": is_stale(open_lake(lake))}


def _value_columns(file: KeyedFile) -> tuple[str, ...]:
    """The numeric columns, or none where there is a list column `features`."""
    if "features" in file.columns:
        return ()
    names = tuple(c for c in file.columns if c not in KEY_COLUMNS)
    wrong = [c for c in names if c.lower() in _NOT_FEATURES]
    if not names or wrong:
        raise DataError(
            "besides its keys, a file has a list column `features` or a numeric column per feature",
            got=f"{file.path} has {', '.join(wrong) if wrong else 'no other column'}",
            hint="leave the column out; grades go through: ultr judgments"
            if wrong
            else "add the values",
        )
    return names


def _copy(
    file: KeyedFile, change: Commit, *, columns: tuple[str, ...]
) -> tuple[pl.DataFrame, Seen]:
    """Write the file's blocks as one file of the lake; return its pairs and what was counted."""
    schema, path = FEATURES.arrow(), change.new_file("features")
    seen, pairs = Seen(size=len(columns) or -1), []
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for block in file.blocks():
            keys = text_keys(block)
            ids = pair_ids(keys, change.manifest.ids, path=file.path)
            values = _values(block, seen, columns=columns, path=file.path)
            seen.add(values, keys)
            offsets = np.arange(len(values) + 1, dtype=np.int32) * seen.size
            lists = pa.ListArray.from_arrays(offsets, pa.array(values.ravel(), pa.float32()))
            static = pa.nulls(len(values), pa.string())
            arrays = [ids["query_id"].to_arrow(), ids["doc_id"].to_arrow(), static, lists]
            writer.write_table(pa.table(arrays, names=schema.names).cast(schema))
            pairs.append(ids)
    found = pl.concat(pairs) if pairs else pl.DataFrame(schema={"query_id": pl.Int64})
    if not found.height:
        seen.size = -1
    change.add("features", path, rows=found.height)
    return found, seen


def _values(
    block: pl.DataFrame, seen: Seen, *, columns: tuple[str, ...], path: Path
) -> NDArray[np.float32]:
    if columns:
        return from_columns(block, columns, path=path)
    return from_lists(block, seen, path=path)


def _check_unique(pairs: pl.DataFrame, path: Path) -> None:
    is_repeated = ~pairs.select(pl.struct("query_id", "doc_id").is_first_distinct()).to_series()
    if is_repeated.any():
        row = int(is_repeated.arg_true()[0])
        raise DataError(
            "a (query, document) pair comes once",
            got=f"{path}: {is_repeated.sum():,} repeated pairs, the first in row {row + 1:,}",
            hint="keep one row per pair",
        )


def _match(change: Commit, pairs: pl.DataFrame, *, memory_gib: float) -> tuple[int, int]:
    """(log pairs with features, log pairs), both distinct."""
    paths = [str(change.root / f.path) for f in change.manifest.tables["sessions"]]
    with engine(change.root, memory_gib=memory_gib) as connection:
        connection.read_parquet(paths, hive_partitioning=False).create_view("sessions")
        connection.register("given", pairs.to_arrow())
        # Distinct pages first: unrolling them all would cost what the log costs.
        row = connection.execute(
            "with pages as (select distinct query_id, doc_id from sessions),"
            " shown as (select distinct query_id, unnest(doc_id) as doc_id from pages)"
            " select count(given.query_id), count(*) from shown left join given"
            " using (query_id, doc_id)"
        ).fetchone()
    return (row[0], row[1]) if row else (0, 0)


def _check_match(matched: int, total: int, *, file: KeyedFile, min_match: float) -> None:
    if matched < min_match * total:
        raise DataError(
            f"at least {min_match:.0%} of the log's (query, document) pairs need features",
            got=f"{file.path} has features of {matched:,} of {total:,} ({matched / total:.1%})",
            hint="check that its keys are the log's; --min-match 0 takes it as it is",
        )
