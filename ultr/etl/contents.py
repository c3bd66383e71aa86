"""What each bucket is made of: its share of the pages, judged pairs, features."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb
import numpy as np

from ultr.commit import Commit
from ultr.etl.buckets import Content
from ultr.etl.candidates import feature_pairs, stage_features
from ultr.etl.engine import temporary_folder
from ultr.etl.exposures import Exposures
from ultr.etl.grouping import Longs
from ultr.etl.numbering import Pairs
from ultr.etl.shuffle import Shuffled
from ultr.etl.split import bucket_of
from ultr.etl.spread import Layout, is_one_of


@dataclass(frozen=True)
class Reader:
    """What the buckets are made of.

    Args:
        connection: has `features` and `judgments`.
        change: the commit.
        shuffled: the pages.
        layout: how queries are spread over buckets.
        is_everything: candidates are made anew, with judged pairs and features.
    """

    connection: duckdb.DuckDBPyConnection
    change: Commit
    shuffled: Shuffled
    layout: Layout
    is_everything: bool

    @cached_property
    def features(self) -> dict[int, Path]:
        """Bucket -> folder with its features: all of them, or those that pieces may repeat."""
        queries = None if self.is_everything else self.layout.split
        if queries == ():
            return {}
        folder = temporary_folder(self.change.root)
        return stage_features(self.connection, folder, buckets=self.layout.buckets, queries=queries)

    def always(self) -> Iterator[tuple[int, Pairs | None]]:
        """Each bucket with its judged pairs; to be drawn in the connection's own thread."""
        for bucket in range(self.layout.buckets):
            if not self.is_everything:
                yield bucket, None
                continue
            found = self.connection.execute(
                "select query_id, doc_id from judgments where bucket_of(query_id, $1) = $2",
                [self.layout.buckets, bucket],
            ).fetchnumpy()
            yield bucket, Pairs.always(np.asarray(found["query_id"]), np.asarray(found["doc_id"]))

    def bucket(self, bucket: int, judged: Pairs | None, elsewhere: Exposures | None) -> Content:
        """What a bucket of whole queries is made of."""
        buckets = self.layout.buckets
        partitions = self.shuffled.partitions.of_bucket(bucket, buckets=buckets)
        rows, dwell = self.shuffled.read_rows(partitions), self.shuffled.read_dwell(partitions)
        if buckets > self.shuffled.partitions.light:
            rows = rows and rows.take(_in_bucket(rows.query, bucket, buckets))
            dwell = dwell and dwell.take(_in_bucket(dwell.query, bucket, buckets))
        folder = self.features.get(bucket)
        always = () if judged is None else (judged, feature_pairs(folder))
        return Content(rows, dwell, always, elsewhere, (folder,) if folder else ())

    def piece(self, piece: int) -> Content:
        """What a bucket of lists of split queries is made of."""
        layout = self.layout
        partitions = self.shuffled.partitions.of_piece(piece, pieces=layout.pieces)
        rows = self.shuffled.read_rows(partitions)
        rows = rows and rows.take(np.flatnonzero(is_one_of(rows.query, layout.split)))
        homes = sorted(set(bucket_of(layout.split, buckets=layout.buckets).tolist()))
        return Content(rows, features=tuple(self.features[b] for b in homes if b in self.features))


def _in_bucket(query: Longs, bucket: int, buckets: int) -> Longs:
    return np.flatnonzero(bucket_of(query, buckets=buckets) == bucket)
