"""Batches of pages to rows, and what was counted on the way."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ultr.errors import DataError
from ultr.etl.collapse import Rows, exact_weights, hash_lists, hash_rows
from ultr.etl.filters import REASONS
from ultr.etl.noted import Contexts, Logged
from ultr.etl.ragged import gather, starts, totals
from ultr.etl.split import SPLITS


class Dwell(NamedTuple):
    """Time on documents, an entry for each that has one.

    Attributes:
        query: `[D]` ids.
        cell: `[D]` as in `Rows`.
        document: `[D]` ids.
        position: `[D]`.
        context: `[D]` codes, 0 without context.
        dwell_ms: `[D]`, whole, so that sums do not depend on the order.
    """

    query: NDArray[np.int64]
    cell: NDArray[np.int32]
    document: NDArray[np.int64]
    position: NDArray[np.int16]
    context: NDArray[np.int32]
    dwell_ms: NDArray[np.int64]

    def take(self, order: NDArray[np.int64]) -> Dwell:
        """The entries `order`."""
        columns: list[Any] = [values[order] for values in self]
        return Dwell(*columns)


class Partial(NamedTuple):
    """What a batch of pages gave."""

    rows: Rows
    dwell: Dwell | None
    logged: Logged


def read_batch(batch: pa.RecordBatch, contexts: Contexts, *, cells: NDArray[np.uint64]) -> Partial:
    """Rows of one batch of the view `pages`, not collapsed yet.

    Raises:
        DataError: lists of different lengths on one page, missing values, or bad weights.
    """
    size = _sizes(batch)
    logged = _count(batch, size, len(cells) // len(SPLITS))
    logged.check()
    if "dropped" in batch.schema.names:
        batch = batch.filter(pc.equal(batch["dropped"], 0))
        size = _sizes(batch)
    document, position, click = (
        batch[c].flatten().to_numpy() for c in ("doc_id", "position", "click")
    )
    codes, hashes = None, None
    if "context" in batch.schema.names:
        codes, hashes = contexts.encode(batch["context"].flatten())
    dwell = _dwell(batch, size, document=document, position=position, context=codes)
    has_weight = "weight" in batch.schema.names
    query, cell = batch["query_id"].to_numpy(), batch["cell"].to_numpy()
    order = _by_position(size, document, position)
    if order is not None:
        document, position, click = document[order], position[order], click[order]
        codes = None if codes is None else codes[order]
        hashes = None if hashes is None else hashes[order]
    list_hash = hash_lists(query, size, document, position, hashes)
    rows = Rows(
        query=query,
        cell=cell,
        size=size,
        n=np.ones(len(query), np.int64),
        list_hash=list_hash,
        row_hash=hash_rows(list_hash, cells[cell], size, click),
        document=document,
        position=position,
        click=click,
        context=codes,
        weight=exact_weights(batch["weight"].to_numpy()) if has_weight else None,
    )
    return Partial(rows, dwell, logged)


def _sizes(batch: pa.RecordBatch) -> NDArray[np.int32]:
    lengths = {c: pc.list_value_length(batch[c]) for c in ("doc_id", "position", "click")}
    flat = [batch[c].flatten() for c in lengths]
    size = lengths["doc_id"]
    is_bad = any(x.null_count for x in (*lengths.values(), *flat)) or any(
        not x.equals(size) for x in lengths.values()
    )
    if "weight" in batch.schema.names:
        weight = batch["weight"]
        is_bad |= weight.null_count > 0 or not (weight.to_numpy() >= 0).all()
    if is_bad:
        raise _not_parallel()
    out: NDArray[np.int32] = size.to_numpy().astype(np.int32)
    return out


def _fit(lists: pa.Array, size: NDArray[np.int32]) -> bool:
    lengths = pc.list_value_length(lists)
    return bool(pc.all(pc.equal(lengths, pa.array(size)), min_count=0).as_py())


def _not_parallel() -> DataError:
    return DataError(
        "a page has a position and a click for each document, and a weight of 0 or more",
        got="a page that has not",
        hint="see which: ultr sql --lake LAKE --check; then ingest its source again",
    )


def _count(batch: pa.RecordBatch, size: NDArray[np.int32], periods: int) -> Logged:
    counted = Logged.of(periods)
    if "weight" in batch.schema.names:
        weight = batch["weight"].to_numpy()
        counted.weight_sq = float((weight * weight).sum())
    period = batch["cell"].to_numpy() // 3
    if "dropped" in batch.schema.names:
        dropped, clicks = batch["dropped"].to_numpy(), batch["logged_clicks"].to_numpy()
    else:
        dropped = np.zeros(len(size), np.int8)
        clicks = totals(batch["click"].flatten().to_numpy(), size)
    for column, values in enumerate((np.ones(len(size)), size, clicks)):
        counted.counts[:, 0, column] = np.bincount(period, values, periods)
        if dropped.any():
            place = period * (1 + len(REASONS)) + dropped
            by_reason = np.bincount(place, values, periods * (1 + len(REASONS)))
            counted.counts[:, 1:, column] = by_reason.reshape(periods, -1)[:, 1:]
    return counted


def _by_position(
    size: NDArray[np.int32], document: NDArray[np.int64], position: NDArray[np.int16]
) -> NDArray[np.int64] | None:
    """What sorts each page's documents by rank; None where they are."""
    bounds = starts(size)
    is_ascending = position[1:] > position[:-1]
    is_ascending[bounds[1:-1][(bounds[1:-1] > 0) & (bounds[1:-1] < len(position))] - 1] = True
    if is_ascending.all():
        return None
    return np.lexsort((document, position, np.repeat(np.arange(len(size)), size)))


def _dwell(
    batch: pa.RecordBatch, size: NDArray[np.int32], *, document: NDArray[np.int64],
    position: NDArray[np.int16], context: NDArray[np.int32] | None,
) -> Dwell | None:  # fmt: skip
    lists = batch["dwell_s"]
    if lists.null_count == len(lists):
        return None
    times = lists.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    # Pages without times have no entries: entry i of the others is `of_all[i]` of all documents.
    has_times = np.asarray(lists.is_valid().to_numpy(zero_copy_only=False), bool)
    of_all = gather(np.arange(len(document)), size, np.flatnonzero(has_times))
    if len(of_all) != len(times) or not _fit(lists, size):
        raise _not_parallel()
    is_there = np.isfinite(times)
    times, entry = times[is_there], of_all[is_there]
    page = np.repeat(np.arange(len(size)), size)[entry]
    codes = np.zeros(len(document), np.int32) if context is None else context
    milliseconds = np.rint(times * 1000).astype(np.int64)
    query, cell = batch["query_id"].to_numpy(), batch["cell"].to_numpy()
    return Dwell(
        query[page], cell[page], document[entry], position[entry], codes[entry], milliseconds
    )
