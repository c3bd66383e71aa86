"""Read a lake's lists and candidates into `Lists`, without Polars or DuckDB."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ultr.data.lists import SPLITS, Bools, Floats, Ints, Lists
from ultr.errors import DataError
from ultr.lake import Lake, open_lake
from ultr.transform import Transform

_PLAIN = ("features", "query_id", "query_split", "doc_id", "weight", "sessions", "session_split")
"""Arrays of `Lists` that hold no index into another one."""


def load_lists(lake: str | Path | Lake) -> Lists:
    """Load everything that `ultr lists` wrote, summed over click patterns and periods.

    Raises:
        DataError: the lake has no lists.

    Example:
        >>> data = ultr.load_lists("lake")  # doctest: +SKIP
    """
    source = lake if isinstance(lake, Lake) else open_lake(lake)
    source.require("lists", hint=f"run: ultr lists --lake {source.root}")
    files = source.files("lists")
    if any("repeats" in f.keys for f in source.files("candidates")):
        files += source.files("candidates")  # a split query may have no list in its own bucket
    buckets = sorted({int(f.keys["bucket"]) for f in files})
    meta = source.manifest.meta
    transform = Transform.from_json(meta["transform"]) if meta.get("transform") else None
    n_features = len(transform.mean) if transform else 0
    parts = [_load_bucket(source, b, n_features=n_features, transform=transform) for b in buckets]
    return _share_rows(_concatenate(parts)).merge_clicks()


def _share_rows(data: Lists) -> Lists:
    """Give documents of split queries, which stand in several buckets, one `doc_row`."""
    if len(np.unique(data.query_id)) == len(data.query_id):
        return data
    pair = np.column_stack([data.query_id[data.doc_query], data.doc_id])
    _, first, group = np.unique(pair, axis=0, return_index=True, return_inverse=True)
    # The queries' own buckets come first, so that rows of all candidates are numbered from 0.
    return replace(data, doc_row=first[group.reshape(-1)].astype(np.int32))


def _load_bucket(lake: Lake, bucket: int, *, n_features: int, transform: Transform | None) -> Lists:
    candidates = lake.read("candidates", bucket=bucket).sort_by("row")
    rows = lake.read("lists", bucket=bucket).combine_chunks()
    query_id, doc_query = np.unique(
        candidates["query_id"].to_numpy().astype(np.int64), return_inverse=True
    )
    list_query = np.searchsorted(query_id, rows["query_id"].to_numpy())
    query_split = np.zeros(len(query_id), np.int32)
    query_split[list_query] = _split_codes(rows["query_split"])
    # Candidates of later nights stand at the end; here the documents of a query are adjacent.
    by_query = np.argsort(doc_query, kind="stable")
    place = np.empty(len(by_query), np.int64)
    place[by_query] = np.arange(len(by_query))
    candidates, doc_query = candidates.take(pa.array(by_query)), doc_query[by_query]
    where, document = _padded(rows["row"])
    document[where] = place[document[where]]
    position = _padded(rows["position"])[1]
    weight = rows["weight"].to_numpy().astype(np.float32)
    clicks = _padded(rows["click"])[1].astype(np.float32) * weight[:, None]
    # Sorted by query: batches take whole queries, and periods come one after the other.
    order = np.argsort(list_query, kind="stable")
    return Lists(
        features=_features(candidates["features"], n_features),
        query_id=query_id,
        query_split=query_split,
        doc_id=candidates["doc_id"].to_numpy(),
        doc_query=doc_query.astype(np.int32),
        doc_row=np.arange(candidates.num_rows, dtype=np.int32),
        document=document[order].astype(np.int32),
        position=position[order].astype(np.int32),
        where=where[order],
        clicks=clicks[order],
        weight=weight[order],
        sessions=rows["n"].to_numpy()[order],
        list_query=list_query[order].astype(np.int32),
        session_split=_split_codes(rows["session_split"])[order],
        transform=transform,
        lake={
            "root": str(lake.root),
            "version": lake.manifest.version,
            "lists": lake.manifest.meta.get("lists"),
        },
    )


def _features(column: pa.ChunkedArray, size: int) -> Floats:
    """`[N, F]` raw values; a document without features is a row of NaN."""
    out = np.full((len(column), size), np.nan, np.float32)
    values = column.combine_chunks()
    present = np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False))
    flat = values.flatten().to_numpy(zero_copy_only=False)
    if flat.size != present.sum() * size:
        raise DataError(
            f"every document of this lake has {size} features",
            got="rows of another length",
            hint="run ultr features and ultr lists again",
        )
    out[present] = flat.reshape(int(present.sum()), size)
    return out


def _split_codes(column: pa.ChunkedArray) -> Ints:
    codes = pc.index_in(column, value_set=pa.array(SPLITS))
    return codes.to_numpy().astype(np.int32)


def _padded(column: pa.ChunkedArray) -> tuple[Bools, NDArray[np.int64]]:
    """`where [L, K]` and values `[L, K]` (0 where masked) of a list column."""
    lists = column.combine_chunks()
    length = pc.list_value_length(lists).to_numpy()
    where = np.arange(length.max(initial=0))[None, :] < length[:, None]
    values = np.zeros(where.shape, np.int64)
    values[where] = lists.flatten().to_numpy()
    return where, values


def _concatenate(parts: list[Lists]) -> Lists:
    """Join buckets, which share no query."""
    if len(parts) == 1:
        return parts[0]
    width = max(p.where.shape[1] for p in parts)
    queries = np.cumsum([0, *(len(p.query_id) for p in parts)])
    documents = np.cumsum([0, *(p.n_documents for p in parts)])

    def shifted(name: str, by: NDArray[np.int64]) -> Ints:
        values = [getattr(p, name) + by[i] for i, p in enumerate(parts)]
        return np.concatenate(values).astype(np.int32)

    def wide(name: str, offset: NDArray[np.int64] | None = None) -> NDArray[np.generic]:
        out = []
        for i, p in enumerate(parts):
            values = getattr(p, name)
            if offset is not None:
                values = np.where(p.where, values + offset[i], 0).astype(values.dtype)
            out.append(np.pad(values, ((0, 0), (0, width - values.shape[1]))))
        return np.concatenate(out)

    def plain(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(p, name) for p in parts])

    return Lists(
        **{name: plain(name) for name in _PLAIN},  # type: ignore[arg-type]
        doc_query=shifted("doc_query", queries),
        doc_row=shifted("doc_row", documents),
        list_query=shifted("list_query", queries),
        document=wide("document", documents),  # type: ignore[arg-type]
        position=wide("position"),  # type: ignore[arg-type]
        where=wide("where"),  # type: ignore[arg-type]
        clicks=wide("clicks"),  # type: ignore[arg-type]
        transform=parts[0].transform,
        lake=parts[0].lake,
    )
