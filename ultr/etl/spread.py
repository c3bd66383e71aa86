"""Where rows go: which spill partition, how many buckets, and which queries are split."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ultr.etl.collapse import Rows
from ultr.etl.grouping import Longs
from ultr.etl.split import bucket_of

PARTITION_IMPRESSIONS = 1_000_000
IMPRESSIONS_PER_BUCKET = 1_000_000
"""The arrays of a bucket stay below 8 MB each, which is cheaper to give back and to get again."""

FEATURE_BYTES_PER_BUCKET = 256 << 20
MAX_PARTITIONS = 4096
"""Memory is bounded up to so many times `PARTITION_IMPRESSIONS`, and grows beyond."""

_SAMPLE = np.uint64(64)


@dataclass(frozen=True)
class Partitions:
    """How rows are spread over spill partitions: whole queries, but heavy ones by list.

    Args:
        light: partitions of whole queries, a power of two.
        heavy: partitions of the lists of heavy queries, a power of two; they come after the others.
        queries: ids of the heavy queries, sorted.
    """

    light: int
    heavy: int
    queries: Longs

    @classmethod
    def fit(cls, impressions: float, heavy: Mapping[int, int], *, lists: int) -> Partitions:
        """Choose the numbers.

        Args:
            impressions: of the pages to be spread, about.
            heavy: heavy query -> pages.
            lists: lists that a partition of heavy queries may hold.
        """
        light = power_of_two(impressions / PARTITION_IMPRESSIONS, most=MAX_PARTITIONS)
        parts = power_of_two(sum(heavy.values()) / lists, most=MAX_PARTITIONS) if heavy else 0
        return cls(light, parts, np.array(sorted(heavy), np.int64))

    @property
    def total(self) -> int:
        """All partitions."""
        return self.light + self.heavy

    def of(self, query: Longs) -> NDArray[np.int32]:
        """The partition of whole queries `[R]`."""
        return bucket_of(query, buckets=self.light)

    def of_rows(self, rows: Rows) -> NDArray[np.int32]:
        """The partition of each row."""
        out = self.of(rows.query)
        if len(self.queries):
            is_heavy = np.isin(rows.query, self.queries)
            out[is_heavy] = self.light + piece_of(rows.list_hash[is_heavy], self.heavy)
        return out

    def of_bucket(self, bucket: int, *, buckets: int) -> list[int]:
        """Partitions that hold queries of a bucket; both numbers are powers of two."""
        step = min(buckets, self.light)
        return list(range(bucket % step, self.light, step))

    def of_piece(self, piece: int, *, pieces: int) -> list[int]:
        """Partitions that hold a piece of the split queries."""
        return list(range(self.light + piece, self.total, pieces))


@dataclass(frozen=True)
class Layout:
    """How the queries of a lake are spread over buckets; it stays until lists are rebuilt.

    Args:
        buckets: power of two; a query's bucket is its hash modulo this.
        pieces: further buckets, a power of two or 0, numbered after the others: a list of a split
            query stands in the one of its hash.
        split: ids of the split queries, sorted.
        lists_per_query: a query with more lists than this is split.
    """

    buckets: int
    pieces: int
    split: tuple[int, ...]
    lists_per_query: int


def piece_of(list_hash: NDArray[np.uint64], pieces: int) -> NDArray[np.int32]:
    """The piece of each list: by the list, so that its click patterns stay together."""
    return (list_hash % np.uint64(pieces)).astype(np.int32)


def power_of_two(share: float, *, most: int) -> int:
    """The least power of two that is not below `share`, from 1 to `most`."""
    return min(most, 1 << int(np.ceil(np.log2(max(share, 1)))))


@dataclass
class Sample:
    """A sample of the distinct rows, by hash: how many documents all lists will hold."""

    _hashes: list[NDArray[np.uint64]] = field(default_factory=list)
    _sizes: list[NDArray[np.int32]] = field(default_factory=list)

    def add(self, rows: Rows) -> None:
        """Look at some rows."""
        # The low bits choose partitions.
        is_taken = (rows.row_hash >> np.uint64(40)) % _SAMPLE == 0
        self._hashes.append(rows.row_hash[is_taken])
        self._sizes.append(rows.size[is_taken])

    def impressions(self) -> float:
        """Estimate, the same whatever the order and the batches were."""
        if not self._hashes:
            return 0.0
        _, first = np.unique(np.concatenate(self._hashes), return_index=True)
        return float(np.concatenate(self._sizes)[first].sum()) * int(_SAMPLE)


def count_by_query(rows: Rows, among: Longs) -> NDArray[np.int64]:
    """Rows of each query of `among`, sorted ids."""
    at = np.searchsorted(among, rows.query)
    return np.bincount(at, minlength=len(among))


def is_one_of(query: Longs, ids: Collection[int]) -> NDArray[np.bool_]:
    """Whether each id is one of a few."""
    return np.isin(query, np.array(sorted(ids), np.int64))
