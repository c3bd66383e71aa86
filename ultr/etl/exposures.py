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

_BITS = 63
"""Of a number that is not negative."""


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
    if not len(pair):
        return entries
    bits = [int(x.max()).bit_length() for x in (entries.period, pair, *entries[3:6])]
    _, n_pair, n_position, n_context, n_shown = bits
    key = entries.period.astype(np.int64) << n_pair | pair
    key = key << n_position | entries.position
    if n_context:
        key = key << n_context | entries.context
    if sum(bits) + n_shown > _BITS or entries.times.any():
        return _add_up_apart(entries, key)
    # The counts stand below the key, so that numbers are sorted and nothing is gathered.
    packed = (key << n_shown | entries.impressions) << n_shown | entries.clicks
    packed.sort()
    key = packed >> 2 * n_shown
    start = _starts(key)
    one = key[start]
    number = one >> n_position + n_context
    place = np.empty(1 << n_pair, np.int32)
    place[pair] = np.arange(len(pair), dtype=np.int32)
    some = place[_low(number, n_pair)]
    none = np.zeros(len(start), np.int64)
    return Exposures(
        period=(number >> n_pair).astype(np.int32),
        query=entries.query[some],
        document=entries.document[some],
        position=_low(one >> n_context, n_position).astype(np.int16),
        context=_low(one, n_context).astype(np.int32),
        impressions=np.add.reduceat(_low(packed >> n_shown, n_shown), start),
        clicks=np.add.reduceat(_low(packed, n_shown), start),
        dwell_ms=none,
        times=none,
    )


def _low(values: Longs, bits: int) -> Longs:
    return values & ((1 << bits) - 1)


def _add_up_apart(entries: Exposures, key: Longs) -> Exposures:
    order = np.argsort(key)
    start = _starts(key[order])
    one = order[start]
    columns: list[Any] = [x[one] for x in entries[:5]]
    columns += [_sums(x, order, start) for x in entries[5:]]
    return Exposures(*columns)


def _starts(ordered: Longs) -> Longs:
    """Where each run of equal numbers begins."""
    is_first = np.ones(len(ordered), bool)
    is_first[1:] = ordered[1:] != ordered[:-1]
    return np.flatnonzero(is_first)


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
