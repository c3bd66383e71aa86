"""All pages, collapsed batch by batch and spread over partitions on disk."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ultr.etl.collapse import Rows, collapse, from_arrow, to_arrow
from ultr.etl.noted import Contexts, Logged, hash_cells
from ultr.etl.pages import read_pages
from ultr.etl.parallel import map_threads
from ultr.etl.partial import Dwell, read_batch
from ultr.etl.spread import Partitions, Sample, count_by_query, is_one_of, power_of_two
from ultr.logs.spill import Spill, by_partition
from ultr.progress import Advance


@dataclass
class Shuffled:
    """Collapsed rows by partition.

    Args:
        partitions: how they are spread.
        rows: rows by partition, equal ones not yet joined across batches.
        moved: rows of heavy queries that turned out to have few lists, by light partition.
        dwell: times on documents, by light partition.
        contexts: the contexts that were met.
        logged: what was counted.
        impressions: documents of all distinct rows, about.
    """

    partitions: Partitions
    rows: Spill
    moved: Spill
    dwell: Spill
    contexts: Contexts
    logged: Logged
    impressions: float = 0.0

    @cached_property
    def texts(self) -> pa.Array | None:
        """The contexts, sorted; None where none was asked for. To be asked for after reading."""
        codes = self.contexts.codes
        return pa.array(sorted(codes), pa.string()) if codes else None

    @cached_property
    def _rank(self) -> NDArray[np.int32]:
        """The place of each context among the sorted ones; codes depend on the order of pages."""
        place = {text: i for i, text in enumerate(sorted(self.contexts.codes))}
        return np.array([place[text] for text in self.contexts.codes] or [0], np.int32)

    def read_rows(self, partitions: Collection[int]) -> Rows | None:
        """The rows of some partitions, joined; None where there are none."""
        tables = [s.read(p) for s in (self.rows, self.moved) for p in partitions]
        found = [t for t in tables if t is not None]
        if not found:
            return None
        rows = from_arrow(pa.concat_tables(found))
        return rows if rows.context is None else replace(rows, context=self._rank[rows.context])

    def read_dwell(self, partitions: Collection[int]) -> Dwell | None:
        """The times of some partitions, joined; None where there are none."""
        found = [t for p in partitions if (t := self.dwell.read(p)) is not None]
        if not found:
            return None
        table = pa.concat_tables(found)
        dwell = Dwell(*(table[name].to_numpy() for name in Dwell._fields))
        return dwell._replace(context=self._rank[dwell.context])


def shuffle(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    partitions: Partitions,
    *,
    periods: Sequence[str],
    threads: int,
    advance: Advance,
) -> Shuffled:
    """Read the view `pages` once.

    Args:
        connection: has the view.
        folder: for the partitions.
        partitions: how to spread.
        periods: names of those that are being built, by their place.
        threads: that collapse batches.
        advance: told how many pages were read.
    """
    rows, moved, dwell = (Spill(folder / f"{n}.arrow") for n in ("rows", "moved", "dwell"))
    out = Shuffled(partitions, rows, moved, dwell, Contexts(), Logged.of(len(periods)))
    cells = hash_cells(periods)
    sample = Sample()

    def work(batch: pa.RecordBatch) -> tuple[int, Logged]:
        rows, dwell, logged = read_batch(batch, out.contexts, cells=cells)
        sample.add(rows)
        _spill(out.rows, rows, partitions)
        if dwell is not None:
            order, bounds = by_partition(partitions.of(dwell.query), partitions.light)
            columns = {name: values[order] for name, values in dwell._asdict().items()}
            out.dwell.add(pa.RecordBatch.from_pydict(columns), bounds)
        return batch.num_rows, logged

    for pages, logged in map_threads(work, read_pages(connection), threads=threads):
        out.logged.add(logged)
        advance(pages)
    out.rows.finish()
    out.dwell.finish()
    out.impressions = sample.impressions()
    return out


def settle_heavy(shuffled: Shuffled, *, lists: int) -> tuple[int, tuple[int, ...]]:
    """Decide which heavy queries are split, and move the rows of the others to their own.

    Returns:
        Pieces, and the ids of the queries that are split into them.
    """
    partitions = shuffled.partitions
    heavy = [(p,) for p in range(partitions.light, partitions.total)]
    counts = np.zeros(len(partitions.queries), np.int64)
    for one in heavy:
        rows = shuffled.read_rows(one)
        if rows is not None:
            counts += count_by_query(collapse(rows), partitions.queries)
    is_split = counts > lists
    split = tuple(partitions.queries[is_split].tolist())
    for one in heavy:
        rows = shuffled.read_rows(one)
        if rows is not None:
            few = rows.take(np.flatnonzero(~is_one_of(rows.query, split)))
            _spill(
                shuffled.moved, collapse(few), replace(partitions, queries=np.zeros(0, np.int64))
            )
    shuffled.moved.finish()
    if not split:
        return 0, ()
    return power_of_two(counts[is_split].sum() / lists, most=partitions.heavy), split


def _spill(spill: Spill, rows: Rows, partitions: Partitions) -> None:
    """Add rows, equal ones joined, to their partitions."""
    bounds: list[NDArray[np.int64]] = []

    def order(plain: Rows) -> NDArray[np.int64]:
        found, at = by_partition(partitions.of_rows(plain), partitions.total)
        bounds.append(at)
        return found

    spill.add(to_arrow(collapse(rows, order=order)), bounds[0])
