"""One bucket at a time: collapsed rows to candidates, lists and exposures."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ultr.etl.candidates import known_pairs, write_candidates
from ultr.etl.collapse import Rows, collapse
from ultr.etl.exposures import Exposures, add_up, as_table, join, of_dwell, of_rows
from ultr.etl.listed import COUNTS, Listed, count_periods, listed, lists_table
from ultr.etl.numbering import Numbered, Pairs, number_pairs
from ultr.etl.partial import Dwell
from ultr.lake import Commit, File

DIGEST = "digest"
"""Key of lists and exposures: a digest of the content, by which an unchanged file is kept."""


class Content(NamedTuple):
    """What a bucket is made of.

    Attributes:
        rows: collapsed or not; None where nothing was shown.
        dwell: times on documents.
        always: judged pairs, and pairs with features.
        elsewhere: exposures of the bucket's queries whose lists stand in other buckets.
        features: folders in which features of the bucket's pairs may stand.
    """

    rows: Rows | None = None
    dwell: Dwell | None = None
    always: tuple[Pairs, ...] = ()
    elsewhere: Exposures | None = None
    features: tuple[Path, ...] = ()


@dataclass
class BucketWriter:
    """Writes buckets into a commit; several threads may write different ones.

    Args:
        change: the commit.
        periods: names of the periods that are being built, sorted.
        texts: the contexts by code, sorted; None without context.
        before: files that stay if they come out the same: (table, bucket, period) -> file.
    """

    change: Commit
    periods: Sequence[str]
    texts: pa.Array | None
    before: Mapping[tuple[str, str, str], File]
    counts: NDArray[np.int64] = field(init=False)
    lowest: NDArray[np.int64] = field(init=False)
    cells_kept: int = 0
    cells_rebuilt: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        """Start counting."""
        self.counts = np.zeros((len(self.periods), len(COUNTS)), np.int64)
        self.lowest = np.zeros(len(self.periods), np.int64)

    def write(self, bucket: int, content: Content) -> None:
        """Write a bucket's candidates, lists and exposures."""
        entries = self._write_pages(bucket, content, repeats=False)
        if entries is not None:
            for at, begin, end in _runs(entries.period):
                part = Exposures(*(column[begin:end] for column in entries))
                texts = pa.array([""]) if self.texts is None else self.texts
                self._write_cell("exposures", as_table(part, texts), bucket=bucket, at=at)

    def write_repeating(self, bucket: int, content: Content) -> Exposures | None:
        """Write a bucket of lists of split queries; its candidates repeat those of other buckets.

        Returns:
            Its exposures, which belong to the queries' own buckets.
        """
        return self._write_pages(bucket, content, repeats=True)

    def _write_pages(self, bucket: int, content: Content, *, repeats: bool) -> Exposures | None:
        lists = None if content.rows is None else listed(collapse(content.rows))
        others = [x for x in (content.elsewhere, content.dwell and of_dwell(content.dwell)) if x]
        pairs = [] if lists is None else [lists.pairs()]
        pairs += [Pairs(x.query, x.document, x.period) for x in others] + list(content.always)
        if not pairs:
            return None
        wanted = Pairs(*(np.concatenate(c) for c in zip(*pairs, strict=True)))
        numbered = number_pairs(wanted, known=known_pairs(self.change, bucket=bucket))
        write_candidates(
            self.change, numbered, bucket=bucket, features=content.features, repeats=repeats
        )
        parts = np.split(numbered.row, np.cumsum([len(p.query) for p in pairs])[:-1])
        entries, at = others, parts[: len(pairs) - len(content.always)]
        if lists is not None:
            at[0] = lists.entries(at[0])
            entries = [of_rows(lists.rows), *others]
            self._write_lists(lists, at[0], bucket=bucket)
        return add_up(join(entries), pair=_rank(numbered)[np.concatenate(at)]) if entries else None

    def _write_lists(self, lists: Listed, row: NDArray[np.int32], *, bucket: int) -> None:
        rows = lists.rows
        for at, begin, end in _runs(rows.cell // 3):
            table = lists_table(rows, row, begin=begin, end=end, texts=self.texts)
            self._write_cell("lists", table, bucket=bucket, at=at)
        counts, lowest = count_periods(rows, len(self.periods))
        with self._lock:
            self.counts += counts
            np.maximum(self.lowest, lowest, out=self.lowest)

    def _write_cell(self, table: str, data: pa.Table, *, bucket: int, at: int) -> None:
        period, digest = self.periods[at], _digest(data)
        old = self.before.get((table, str(bucket), period))
        is_same = old is not None and old.keys.get(DIGEST) == digest
        with self._lock:
            self.cells_kept += is_same and table == "lists"
            self.cells_rebuilt += not is_same and table == "lists"
        if is_same:
            self.change.keep(table, old)
        else:
            self.change.write(table, data, bucket=bucket, period=period, **{DIGEST: digest})


def _rank(numbered: Numbered) -> NDArray[np.int64]:
    """`[C]` place of each candidate row by (query, document)."""
    rank = np.empty(len(numbered.query), np.int64)
    rank[np.lexsort((numbered.document, numbered.query))] = np.arange(len(rank))
    return rank


def _runs(ascending: NDArray[Any]) -> list[tuple[int, int, int]]:
    """Value, begin and end of each run of equal values."""
    values, begin = np.unique(ascending, return_index=True)
    end = np.append(begin, len(ascending))[1:]
    return list(zip(values.tolist(), begin.tolist(), end.tolist(), strict=True))


def _digest(data: pa.Table) -> str:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, data.schema) as writer:
        writer.write_table(data)
    return blake2b(sink.getvalue(), digest_size=8).hexdigest()
