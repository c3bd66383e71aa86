"""One bucket at a time: collapsed rows to candidates, lists and exposures."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from ultr.commit import Commit
from ultr.etl.candidates import (
    known_pairs,
    rows_of,
    write_candidates,
    write_timed_candidates,
)
from ultr.etl.collapse import Rows
from ultr.etl.exposures import (
    Exposures,
    add_up,
    as_table,
    digest_exposures,
    join,
    of_dwell,
    of_rows,
)
from ultr.etl.feature_groups import Layout
from ultr.etl.listed import COUNTS, count_rows, digest_rows, listed, lists_table
from ultr.etl.numbering import Pairs, number_pairs
from ultr.etl.partial import Dwell
from ultr.manifest import File

DIGEST = "digest"
"""Key of lists and exposures: a digest of the content, by which an unchanged file is kept."""

_REPEATED = [
    *("query_split", "session_split"),
    *("position.list.element", "context.list.element", "click.list.element"),
]
"""Columns of lists in which values come again and again."""

_FEW_VALUES = ["position", "context", "impressions", "clicks"]
"""The same of exposures."""

_NO_PAIRS = pl.DataFrame(schema={"query_id": pl.Int64, "doc_id": pl.Int64})


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
        layout: the groups of features; where they depend on time, all periods are being built.
        before: files that stay if they come out the same: (table, bucket, period) -> file.
    """

    change: Commit
    periods: Sequence[str]
    texts: pa.Array | None
    layout: Layout
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
        found, digests = self._write_pages(bucket, content, repeats=False)
        if found is None:
            return
        texts = pa.array([""]) if self.texts is None else self.texts
        for at, begin, end in _runs(found.period):
            columns: list[Any] = [column[begin:end] for column in found]
            part = Exposures(*columns)
            self._write_cell(
                "exposures", partial(as_table, part, texts), bucket=bucket, at=at,
                digest=digests[at], dictionary=_FEW_VALUES,
            )  # fmt: skip

    def write_repeating(self, bucket: int, content: Content) -> Exposures | None:
        """Write a bucket of lists of split queries; its candidates repeat those of other buckets.

        Returns:
            Its exposures, which belong to the queries' own buckets.
        """
        return self._write_pages(bucket, content, repeats=True)[0]

    def _write_pages(
        self, bucket: int, content: Content, *, repeats: bool
    ) -> tuple[Exposures | None, Counter[int]]:
        """Write candidates and lists; return the exposures, and what they follow from by period."""
        lists = None if content.rows is None else listed(content.rows)
        others = [x for x in (content.elsewhere, content.dwell and of_dwell(content.dwell)) if x]
        pairs = [] if lists is None else [lists.pairs()]
        pairs += [Pairs(x.query, x.document, x.period) for x in others] + list(content.always)
        if not pairs:
            return None, Counter()
        wanted = Pairs(*(np.concatenate(c) for c in zip(*pairs, strict=True)))
        numbered = number_pairs(wanted, known=known_pairs(self.change, bucket=bucket))
        entries = others if lists is None else [of_rows(lists.rows), *others]
        by_period = None
        if self.layout.is_timed:
            by_period = self._write_timed(bucket, content, entries, repeats=repeats)
        else:
            write_candidates(
                self.change, numbered, bucket=bucket, features=content.features,
                layout=self.layout, repeats=repeats,
            )  # fmt: skip
        bounds = np.cumsum([len(p.query) for p in pairs])[:-1]
        row, rank = np.split(numbered.row, bounds), np.split(numbered.rank, bounds)
        digests = Counter[int]()
        for part in others:
            digests.update(digest_exposures(part))
        at = rank[: len(pairs) - len(content.always)]
        if lists is not None:
            at[0] = lists.entries(at[0])
            own = lists.entries(row[0]) if by_period is None else by_period[: len(at[0])]
            digests += self._write_lists(lists.rows, own, bucket=bucket)
        if not entries:
            return None, digests
        return add_up(join(entries), pair=np.concatenate(at)), digests

    def _write_timed(
        self, bucket: int, content: Content, entries: Sequence[Exposures], *, repeats: bool
    ) -> NDArray[np.int32]:
        """Write candidates with a row per period; return the row of each entry `[E]`."""
        names = pl.Series(self.periods, dtype=pl.String)
        shown = pl.concat(
            [_NO_PAIRS.with_columns(period=pl.lit(None, pl.String))]
            + [
                pl.DataFrame(
                    {"query_id": e.query, "doc_id": e.document, "period": names.gather(e.period)}
                )
                for e in entries
            ]
        )
        judged = pl.concat(
            [_NO_PAIRS]
            + [pl.DataFrame({"query_id": p.query, "doc_id": p.document}) for p in content.always]
        )
        candidates = write_timed_candidates(
            self.change, shown, judged=judged, bucket=bucket, features=content.features,
            layout=self.layout, repeats=repeats,
        )  # fmt: skip
        return np.asarray(rows_of(shown, candidates).to_numpy(zero_copy_only=False), np.int32)

    def _write_lists(self, rows: Rows, row: NDArray[np.int32], *, bucket: int) -> Counter[int]:
        digests = Counter[int]()
        for at, begin, end in _runs(rows.cell // 3):
            digests[at] = digest_rows(rows, begin=begin, end=end)
            make = partial(lists_table, rows, row, begin=begin, end=end, texts=self.texts)
            self._write_cell(
                "lists", make, bucket=bucket, at=at, digest=digests[at], dictionary=_REPEATED,
                delta=["row.list.element"],
            )  # fmt: skip
            counts, lowest = count_rows(rows, begin=begin, end=end)
            with self._lock:
                self.counts[at] += counts
                self.lowest[at] = max(self.lowest[at], lowest)
        return digests

    def _write_cell(
        self, table: str, make: Callable[[], pa.Table], *, bucket: int, at: int, digest: int,
        dictionary: list[str], delta: Sequence[str] = (),
    ) -> None:  # fmt: skip
        period, mark = self.periods[at], f"{digest % 2**64:016x}"
        old = self.before.get((table, str(bucket), period))
        is_same = old is not None and old.keys[DIGEST] == mark
        with self._lock:
            self.cells_kept += is_same and table == "lists"
            self.cells_rebuilt += not is_same and table == "lists"
        if old is not None and is_same:
            self.change.keep(table, old)
        else:
            keys: dict[str, Any] = {"bucket": bucket, "period": period, DIGEST: mark}
            self.change.write(table, make(), dictionary=dictionary, delta=delta, **keys)


def _runs(ascending: NDArray[Any]) -> list[tuple[int, int, int]]:
    """Value, begin and end of each run of equal values."""
    values, begin = np.unique(ascending, return_index=True)
    end = np.append(begin, len(ascending))[1:]
    return list(zip(values.tolist(), begin.tolist(), end.tolist(), strict=True))
