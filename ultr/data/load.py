"""Read a lake's lists and candidates into `Lists`, without Polars or DuckDB."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ultr.data.context import Contexts, read_contexts
from ultr.data.lists import SPLITS, Bools, Floats, Ints, Lists
from ultr.errors import DataError
from ultr.lake import Lake, open_lake
from ultr.staleness import table_digest
from ultr.transform import Transform

_PLAIN = ("features", "query_id", "query_split", "doc_id", "weight", "sessions", "session_split")
"""Arrays of `Lists` that hold no index into another one."""


def load_lists(
    lake: str | Path | Lake,
    *,
    periods: Collection[str] | None = None,
    by_pattern: bool = False,
) -> Lists:
    """Load everything that `ultr lists` wrote, summed over click patterns and periods.

    Args:
        lake: the lake, or its folder.
        periods: those to load; all by default.
        by_pattern: keep sessions with other clicks apart, and other periods.

    Raises:
        DataError: the lake has no lists, or none of a period that was asked for.

    Example:
        >>> data = ultr.load_lists("lake")  # doctest: +SKIP
    """
    source = lake if isinstance(lake, Lake) else open_lake(lake)
    if periods is not None:
        source = only_periods(source, periods)
    return load_buckets(source, list_buckets(source), by_pattern=by_pattern)


def list_buckets(lake: Lake) -> list[int]:
    """The buckets that lists stand in.

    Raises:
        DataError: the lake has no lists.
    """
    lake.require("lists", hint=f"run: ultr lists --lake {lake.root}")
    files = lake.files("lists")
    if any("repeats" in f.keys for f in lake.files("candidates")):
        files += lake.files("candidates")  # a split query may have no list in its own bucket
    return sorted({int(f.keys["bucket"]) for f in files})


def load_buckets(
    lake: Lake,
    buckets: Sequence[int],
    *,
    with_features: bool = True,
    by_pattern: bool = False,
    contexts: Contexts | None = None,
) -> Lists:
    """Some buckets of lists: whole queries, summed over click patterns and periods.

    Args:
        lake: the lake.
        buckets: which.
        with_features: whether to read feature values; without them F is 0.
        by_pattern: keep sessions with other clicks apart, and other periods.
        contexts: of the whole lake, where they have been read already.
    """
    meta = lake.manifest.meta
    transform = Transform.from_json(meta["transform"]) if meta.get("transform") else None
    if not with_features:
        transform = None
    n_features = len(transform.mean) if transform else 0
    contexts = read_contexts(lake) if contexts is None else contexts
    loaded = [
        _load_bucket(lake, b, n_features=n_features, transform=transform, contexts=contexts)
        for b in buckets
    ]
    parts, periods = zip(*loaded, strict=True)
    period = pa.chunked_array([c for column in periods for c in column.chunks], pa.string())
    whole = _share_rows(concatenate(list(parts)), period)
    return whole if by_pattern else whole.merge_clicks()


def only_periods(lake: Lake, periods: Collection[str]) -> Lake:
    """The lake with the lists of some periods.

    Raises:
        DataError: it has none of a period.
    """
    known = {f.keys["period"] for f in lake.files("lists")}
    missing = sorted(set(periods) - known)
    if missing:
        raise DataError(
            "lists are loaded of periods that the lake has",
            got=f"{lake.root} has none of {', '.join(missing[:5])}",
            hint=f"choose among {', '.join(sorted(known)[:10])}",
        )
    kept = [f for f in lake.files("lists") if f.keys["period"] in periods]
    tables = {**lake.manifest.tables, "lists": kept}
    return replace(lake, manifest=replace(lake.manifest, tables=tables))


def describe(lake: Lake) -> dict[str, Any]:
    """What a run keeps of the lake that it was trained on."""
    return {
        "root": str(lake.root),
        "version": lake.manifest.version,
        "lists": lake.manifest.meta.get("lists"),
        "tables": {n: table_digest(lake.manifest, n) for n in ("lists", "candidates")},
        "periods": sorted({f.keys["period"] for f in lake.files("lists")}),
    }


def _share_rows(data: Lists, period: pa.ChunkedArray) -> Lists:
    """Give documents of split queries, which stand in several buckets, one `doc_row`.

    Args:
        data: all buckets.
        period: `[N]` of each document, null where features do not depend on time.
    """
    if len(np.unique(data.query_id)) == len(data.query_id):
        return data
    codes = pc.index_in(period, value_set=pc.unique(period)).to_numpy()
    key = np.column_stack([data.query_id[data.doc_query], data.doc_id, codes.astype(np.int64)])
    _, first, group = np.unique(key, axis=0, return_index=True, return_inverse=True)
    # The queries' own buckets come first, so that rows of all candidates are numbered from 0. They
    # hold all candidates of a query, which what is standardised per query must be seen among.
    one = first[group.reshape(-1)]
    by_query = None if data.by_query is None else data.by_query[one]
    return replace(data, doc_row=one.astype(np.int32), by_query=by_query)


def _load_bucket(
    lake: Lake, bucket: int, *, n_features: int, transform: Transform | None, contexts: Contexts
) -> tuple[Lists, pa.ChunkedArray]:
    """The lists of a bucket, and the period of each of its documents."""
    columns = ["query_id", "doc_id", "row", "period", *(["features"] if n_features else [])]
    candidates = _by_query(lake.read("candidates", columns=columns, bucket=bucket))
    rows = lake.read("lists", bucket=bucket).combine_chunks()
    query_id, doc_query = np.unique(
        candidates["query_id"].to_numpy().astype(np.int64), return_inverse=True
    )
    features = np.zeros((candidates.num_rows, 0), np.float32)
    if n_features:
        features = _features(candidates["features"], n_features)
    list_query = np.searchsorted(query_id, rows["query_id"].to_numpy())
    query_split = np.zeros(len(query_id), np.int32)
    query_split[list_query] = _split_codes(rows["query_split"])
    where, row = _padded(rows["row"])
    document = np.where(where, _places(candidates["row"].to_numpy())[row], 0)
    position = _padded(rows["position"])[1]
    weight = rows["weight"].to_numpy().astype(np.float32)
    clicks = _padded(rows["click"])[1].astype(np.float32) * weight[:, None]
    # Sorted by query: batches take whole queries, and periods come one after the other.
    order = np.argsort(list_query, kind="stable")
    loaded = Lists(
        features=features,
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
        lake=describe(lake),
        by_query=_own(transform, features, doc_query, candidates["period"]),
        context=contexts.codes_of(rows["context"], where)[order],
        bias=contexts.columns,
    )
    return loaded, candidates["period"].cast(pa.string())


def _by_query(candidates: pa.Table) -> pa.Table:
    """Candidates query by query; those that lists can point at, where features depend on time."""
    is_timed = candidates["period"].is_valid()
    if pc.any(is_timed).as_py():
        candidates = candidates.filter(is_timed)
    query, row = (candidates[name].to_numpy() for name in ("query_id", "row"))
    is_later = (query[1:] > query[:-1]) | ((query[1:] == query[:-1]) & (row[1:] > row[:-1]))
    if is_later.all():  # mostly so: no copy of the features
        return candidates
    return candidates.take(np.lexsort((row, query)))


def _places(row: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """Where each of the bucket's row numbers stands."""
    places = np.zeros(int(row.max(initial=0)) + 1, np.int64)
    places[row] = np.arange(len(row))
    return places


def _own(
    transform: Transform | None,
    features: Floats,
    doc_query: NDArray[np.integer[Any]],
    period: pa.ChunkedArray,
) -> Floats | None:
    """What is standardised per query; the candidates of a query are those of one period."""
    if transform is None or not transform.needs_query:
        return None
    codes = pc.index_in(period, value_set=pc.unique(period)).to_numpy()
    group = doc_query.astype(np.int64) * (int(codes.max(initial=0)) + 1) + codes
    return transform.by_query(features, group)


def _features(column: pa.ChunkedArray, size: int) -> Floats:
    """`[N, F]` raw values; a document without features is a row of NaN."""
    values = column.combine_chunks()
    present = np.asarray(pc.is_valid(values).to_numpy(zero_copy_only=False))
    flat = values.flatten().to_numpy(zero_copy_only=False)
    if flat.size != present.sum() * size:
        raise DataError(
            f"every document of this lake has {size} features",
            got="rows of another length",
            hint="run ultr features and ultr lists again",
        )
    rows = flat.reshape(int(present.sum()), size)
    if present.all():  # the file's own buffer, where it holds 32-bit floats
        return rows.astype(np.float32, copy=False)
    out = np.full((len(column), size), np.nan, np.float32)
    out[present] = rows
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


def concatenate(parts: list[Lists]) -> Lists:
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
            missing = [(0, 0), (0, width - values.shape[1]), (0, 0)][: values.ndim]
            out.append(np.pad(values, missing))
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
        by_query=None if parts[0].by_query is None else plain("by_query"),  # type: ignore[arg-type]
        context=wide("context"),  # type: ignore[arg-type]
        bias=parts[0].bias,
    )
