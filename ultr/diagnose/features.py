"""A sample of shown documents with their features and the ranks they were shown at."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ultr.lake import Lake
from ultr.parquet import iter_batches, open_parquet, readable_parquet

Floats = NDArray[np.float64]
Longs = NDArray[np.int64]

_BATCH_ROWS = 8192
_MOST_VALUES = 6_000_000
_CLIP = 5.0


class Sample(NamedTuple):
    """Shown documents: `[D, F]` features, and `[E]` rows of where they were shown.

    Attributes:
        features: `[D, F]` standardised and clipped; a missing value is the mean, 0.
        query: `[D]` a number per query, from 0.
        document: `[E]` row of `features`.
        position: `[E]` ranks from 1.
        impressions: `[E]` times shown there.
    """

    features: Floats
    query: Longs
    document: Longs
    position: Longs
    impressions: Longs


def sample(lake: Lake, *, rows: int) -> Sample | None:
    """Documents of the first buckets, which hold queries at random; None without features.

    Args:
        lake: with `candidates` and `exposures`.
        rows: documents to stop at.

    Raises:
        DataError: a file of the lake is gone or damaged.
    """
    by_bucket: dict[str, list[pl.DataFrame]] = {}
    n = 0
    for file in lake.files("candidates"):
        found = _candidates(lake, file.path, rows=rows - n)
        if found is not None:
            by_bucket.setdefault(file.keys.get("bucket", ""), []).append(found)
            n += len(found)
            rows = min(rows, _MOST_VALUES // max(len(found["features"][0]), 1))
        if n >= rows:
            break
    parts = [_shown(lake, bucket, _once(found)) for bucket, found in by_bucket.items()]
    parts = [p for p in parts if not p.is_empty()]
    return _as_sample(pl.concat(parts)) if parts else None


def _candidates(lake: Lake, path: str, *, rows: int) -> pl.DataFrame | None:
    """The first rows of a file that have features, one per (query, document)."""
    parts: list[pl.DataFrame] = []
    columns = ["query_id", "doc_id", "features"]
    with readable_parquet(lake.root / path):
        for batch in iter_batches(open_parquet(lake.root / path), _BATCH_ROWS, columns=columns):
            frame = pl.DataFrame(pa.table(batch)).filter(pl.col("features").is_not_null())
            parts.append(frame.unique(columns[:2], keep="first", maintain_order=True))
            if sum(map(len, parts)) >= rows:
                break
    # Where features depend on time, a pair has a row per period: one of them stands for it.
    found = (
        pl.concat(parts).unique(columns[:2], keep="first", maintain_order=True) if parts else None
    )
    return None if found is None or found.is_empty() else found.head(rows)


def _shown(lake: Lake, bucket: str, found: pl.DataFrame) -> pl.DataFrame:
    keys = {"bucket": bucket} if bucket else {}
    columns = ["query_id", "doc_id", "position", "impressions"]
    paths = lake.paths("exposures", **keys) or lake.paths("exposures")
    queries = found["query_id"].unique()
    parts = []
    for path in paths:
        with readable_parquet(path):
            rows = pl.DataFrame(open_parquet(path).read(columns=columns))
        parts.append(rows.filter(pl.col("query_id").is_in(queries.implode())))
    if not parts:
        return pl.DataFrame()
    shown = pl.concat(parts).group_by(columns[:3]).agg(pl.col("impressions").sum())
    return shown.join(found, on=["query_id", "doc_id"]).sort(columns[:3])


def _once(found: list[pl.DataFrame]) -> pl.DataFrame:
    """Candidates of one bucket; a later file may repeat a pair of an earlier one."""
    return pl.concat(found).unique(["query_id", "doc_id"], keep="first", maintain_order=True)


def _as_sample(frame: pl.DataFrame) -> Sample:
    frame = frame.with_columns(
        query=pl.col("query_id").rank("dense") - 1,
        document=pl.struct("query_id", "doc_id").rank("dense") - 1,
    )
    documents = frame.unique("document").sort("document")
    width = len(documents["features"][0])
    values = documents["features"].explode().to_numpy().reshape(-1, width).astype(np.float64)
    return Sample(
        _standardised(values),
        documents["query"].to_numpy().astype(np.int64),
        frame["document"].to_numpy().astype(np.int64),
        frame["position"].to_numpy().astype(np.int64),
        frame["impressions"].to_numpy().astype(np.int64),
    )


def _standardised(values: Floats) -> Floats:
    values = np.where(np.isfinite(values), values, np.nan)
    is_known = ~np.isnan(values)
    n = np.maximum(is_known.sum(0), 1)
    centred = np.where(is_known, values - np.nansum(values, axis=0) / n, 0.0)
    scale = np.sqrt((centred**2).sum(0) / n)
    return np.clip(centred / np.where(scale > 0, scale, 1.0), -_CLIP, _CLIP)
