"""Exposures: how often each document was shown and clicked at each position, per period."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ultr.etl.collapse import Rows
from ultr.etl.grouping import Longs, mix
from ultr.etl.partial import Dwell


class Exposures(NamedTuple):
    """Counts by document and place, `[E]` each.

    Attributes:
        period: place among the periods that are being built.
        query: ids.
        document: ids.
        position: ranks from 1.
        context: codes, 0 without context.
        impressions: times shown.
        clicks: times clicked.
        dwell_ms: time on the document.
        times: entries of the log that gave a time.
    """

    period: NDArray[np.int32]
    query: Longs
    document: Longs
    position: NDArray[np.int16]
    context: NDArray[np.int32]
    impressions: Longs
    clicks: Longs
    dwell_ms: Longs
    times: Longs


def of_rows(rows: Rows) -> Exposures:
    """The impressions and clicks of collapsed rows, an entry for each document of each list."""
    n = np.repeat(rows.n, rows.size)
    none = np.broadcast_to(np.int64(0), len(n))
    return Exposures(
        period=np.repeat(rows.cell // 3, rows.size),
        query=np.repeat(rows.query, rows.size),
        document=rows.document,
        position=rows.position,
        context=np.zeros(len(n), np.int32) if rows.context is None else rows.context,
        impressions=n,
        clicks=n * rows.click,
        dwell_ms=none,
        times=none,
    )


def of_dwell(dwell: Dwell) -> Exposures:
    """The times of documents, whose impressions are counted elsewhere."""
    none = np.broadcast_to(np.int64(0), len(dwell.query))
    return Exposures(
        period=dwell.cell // 3,
        query=dwell.query,
        document=dwell.document,
        position=dwell.position,
        context=dwell.context,
        impressions=none,
        clicks=none,
        dwell_ms=dwell.dwell_ms,
        times=none + 1,
    )


def join(parts: Sequence[Exposures]) -> Exposures:
    """One after the other."""
    if len(parts) == 1:
        return parts[0]
    return Exposures(*(np.concatenate(c) for c in zip(*parts, strict=True)))


def add_up(entries: Exposures, *, pair: NDArray[np.integer[Any]]) -> Exposures:
    """One row per period, pair, position and context, in this order.

    Args:
        entries: to be summed.
        pair: `[E]` a number for each entry's (query, document), in the order wanted.
    """
    sizes = (int(x.max(initial=0)) + 1 for x in (pair, entries.position, entries.context))
    pairs, positions, contexts = sizes
    key = entries.period.astype(np.int64) * pairs + pair
    key = (key * positions + entries.position) * contexts + entries.context
    order = np.argsort(key)
    ordered = key[order]
    is_first = np.ones(len(key), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    start = np.flatnonzero(is_first)
    one = order[start]
    columns: list[Any] = [x[one] for x in entries[:5]]
    columns += [_sums(x, order, start) for x in entries[5:]]
    return Exposures(*columns)


def digest_exposures(found: Exposures) -> dict[int, int]:
    """A digest of the entries of each period, whatever their order."""
    hashed = np.zeros(len(found.query), np.uint64)
    for column in found[1:]:  # a period's place is another one in another build
        hashed = mix(hashed) ^ column.astype(np.uint64)
    periods = np.unique(found.period).tolist()
    return {p: int(mix(hashed[found.period == p]).sum()) for p in periods}


def _sums(values: Longs, order: Longs, start: Longs) -> Longs:
    if not values.any():  # no times: nothing to sum
        return np.zeros(len(start), np.int64)
    return np.add.reduceat(values[order], start)


def as_table(found: Exposures, texts: pa.Array) -> pa.Table:
    """Rows of the table `exposures`, for one period.

    Args:
        found: what `add_up` gave.
        texts: the contexts by code.
    """
    seconds = pa.array(found.dwell_ms / 1000, mask=found.times == 0)
    return pa.table(
        {
            "query_id": found.query,
            "doc_id": found.document,
            "position": found.position,
            "context": texts.take(pa.array(found.context)),
            "impressions": found.impressions,
            "clicks": found.clicks,
            "dwell_sum_s": seconds,
        }
    )
