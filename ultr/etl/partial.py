"""Batches of pages to rows, and what was counted on the way."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ultr.errors import DataError
from ultr.etl.collapse import Rows, exact_weights, hash_lists, hash_rows
from ultr.etl.filters import REASONS
from ultr.etl.grouping import mix
from ultr.etl.ragged import gather, starts, totals
from ultr.etl.split import SPLITS

_MOST_WEIGHT = 2.0**40
"""Bound on the log's sum of squared weights, so that sums of `exact_weights` cannot overflow."""


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


@dataclass
class Contexts:
    """The contexts met so far: text, code and hash; several threads may ask at once."""

    codes: dict[str, int] = field(default_factory=dict)
    hashes: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def encode(self, texts: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
        """Codes and hashes of texts `[M]`."""
        encoded = texts.dictionary_encode()
        with self._lock:
            code = [self._code(text) for text in encoded.dictionary.to_pylist()]
            known = np.array(self.hashes, np.uint64)
        codes = np.array(code, np.int32)[encoded.indices.to_numpy()]
        return codes, known[codes]

    def _code(self, text: str) -> int:
        if text not in self.codes:
            self.codes[text] = len(self.codes)
            self.hashes.append(_hash(text))
        return self.codes[text]


@dataclass
class Logged:
    """Pages, impressions and clicks of the log: all of them, and those that filters took.

    Args:
        counts: `[P, 1 + filters, 3]` by period.
        weight_sq: sum of squared weights.
    """

    counts: NDArray[np.int64]
    weight_sq: float = 0.0

    @classmethod
    def of(cls, periods: int) -> Logged:
        """Nothing counted yet."""
        return cls(np.zeros((periods, 1 + len(REASONS), 3), np.int64))

    def add(self, other: Logged) -> None:
        """Add what another batch counted.

        Raises:
            DataError: weights that are too large to be summed exactly.
        """
        self.counts += other.counts
        self.weight_sq += other.weight_sq
        self.check()

    def check(self) -> None:
        """Check that sums of `exact_weights` fit into 64 bits.

        Raises:
            DataError: they may not.
        """
        if not self.weight_sq <= _MOST_WEIGHT:
            raise DataError(
                "the squares of the weights of a log may sum up to 2^40",
                got=f"{self.weight_sq:g}",
                hint="scale the weights down, to a mean of 1",
            )


class Partial(NamedTuple):
    """What a batch of pages gave."""

    rows: Rows
    dwell: Dwell | None
    logged: Logged


def hash_cells(periods: Sequence[str]) -> NDArray[np.uint64]:
    """A hash for each cell of some periods; the same in every build, as their places are not."""
    period = np.array([_hash(name) for name in periods], np.uint64)
    return mix(period[:, None] + np.arange(len(SPLITS), dtype=np.uint64)).reshape(-1)


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


def _hash(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")


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
