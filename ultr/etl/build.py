"""Build periods: pages are read once and collapsed, then every bucket is written by itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq

from ultr.commit import Commit
from ultr.etl.buckets import BucketWriter
from ultr.etl.contents import Reader
from ultr.etl.engine import temporary_folder
from ultr.etl.exposures import Exposures, join
from ultr.etl.feature_groups import read_layout
from ultr.etl.filters import MEASURES, REASONS
from ultr.etl.listed import COUNTS
from ultr.etl.lists_config import MAX_BUCKETS, ListsConfig
from ultr.etl.noted import Logged
from ultr.etl.numbering import Pairs
from ultr.etl.pages import heavy_queries
from ultr.etl.parallel import map_threads, workers
from ultr.etl.plan import Plan
from ultr.etl.shuffle import Shuffled, settle_heavy, shuffle
from ultr.etl.split import bucket_of
from ultr.etl.spread import (
    FEATURE_BYTES_PER_BUCKET,
    IMPRESSIONS_PER_BUCKET,
    Layout,
    Partitions,
    power_of_two,
)
from ultr.manifest import File
from ultr.progress import Advance, progress

_FOOTERS = 16


@dataclass(frozen=True)
class Built:
    """What `build` did.

    Args:
        layout: how queries are spread over buckets.
        by_period: counts of the periods that were built.
        cells_rebuilt: (bucket, period) cells whose lists were written.
        cells_kept: cells that came out as they were.
    """

    layout: Layout
    by_period: dict[str, dict[str, int]]
    cells_rebuilt: int
    cells_kept: int


def build(
    connection: duckdb.DuckDBPyConnection,
    change: Commit,
    plan: Plan,
    *,
    config: ListsConfig,
    quiet: bool,
) -> Built:
    """Replace the lists and exposures of the plan's periods, and append candidates.

    Args:
        connection: has the views that `ultr.etl.pages` makes, `features` and `judgments`.
        change: the commit to write to.
        plan: what to build.
        config: the settings.
        quiet: show no progress.
    """
    threads = workers(config.memory_gib)
    shuffled = _shuffle(connection, change, plan, config=config, threads=threads, quiet=quiet)
    layout = plan.layout
    if layout is None:
        pieces, split = settle_heavy(shuffled, lists=config.lists_per_query)
        buckets = config.buckets or _choose_buckets(connection, shuffled.impressions)
        layout = Layout(buckets, pieces, split, config.lists_per_query)
    before = _take_out(change, plan)
    features = read_layout(change.manifest)
    writer = BucketWriter(change, plan.periods, shuffled.texts, features, before)
    if plan.periods:
        reader = Reader(connection, change, shuffled, layout, plan.because is not None)
        total = layout.buckets + layout.pieces
        with progress("lists", total=total, unit="buckets", quiet=quiet) as advance:
            elsewhere = _write_pieces(writer, reader, threads=threads, advance=advance)
            work = partial(_write_bucket, writer, reader, elsewhere)
            for _ in map_threads(work, reader.always(), threads=threads):
                advance(1)
        for table in ("candidates", "lists", "exposures"):
            # Threads end in any order; the manifest does not show it.
            change.manifest.tables.get(table, []).sort(key=_place)
    by_period = _by_period(writer, shuffled.logged, config=config)
    return Built(layout, by_period, writer.cells_rebuilt, writer.cells_kept)


def _shuffle(
    connection: duckdb.DuckDBPyConnection,
    change: Commit,
    plan: Plan,
    *,
    config: ListsConfig,
    threads: int,
    quiet: bool,
) -> Shuffled:
    wanted = set(plan.files())
    files = [f for f in change.manifest.tables["sessions"] if f.path in wanted]
    pages = sum(f.rows for f in files)
    impressions = pages * _documents_per_page([change.root / f.path for f in files])
    if plan.layout is None:
        heavy = heavy_queries(connection, pages=config.lists_per_query)
        partitions = Partitions.fit(impressions, heavy, lists=config.lists_per_query)
    else:
        layout = plan.layout
        light = Partitions.fit(impressions, {}, lists=layout.lists_per_query).light
        partitions = Partitions(light, layout.pieces, np.array(layout.split, np.int64))
    folder = temporary_folder(change.root)
    with progress("pages", total=pages, unit="pages", quiet=quiet) as advance:
        return shuffle(
            connection, folder, partitions, periods=plan.periods, threads=threads,
            advance=advance,
        )  # fmt: skip


def _documents_per_page(paths: list[Path]) -> float:
    """Mean length of pages, from the footers of a few files."""
    rows = values = 0
    for path in paths[:: max(1, len(paths) // _FOOTERS)]:
        footer = pq.read_metadata(path)
        rows += footer.num_rows
        column = next(i for i, c in enumerate(footer.schema) if c.path.startswith("doc_id."))
        groups = range(footer.num_row_groups)
        values += sum(footer.row_group(g).column(column).num_values for g in groups)
    return values / max(rows, 1)


def _choose_buckets(connection: duckdb.DuckDBPyConnection, impressions: float) -> int:
    size = connection.execute(
        "select count(*) * (select coalesce(max(len(features)), 0) from (select features"
        " from features limit 1)) * 4 from features"
    ).fetchall()[0][0]
    share = max(impressions / IMPRESSIONS_PER_BUCKET, size / FEATURE_BYTES_PER_BUCKET)
    return power_of_two(share, most=MAX_BUCKETS)


def _take_out(change: Commit, plan: Plan) -> dict[tuple[str, str, str], File]:
    """Take out what is built again, and say what it was: (table, bucket, period) -> file."""
    tables = ("lists", "exposures")
    if plan.because is not None:
        for table in (*tables, "candidates"):
            change.remove(table)
        return {}
    periods = set(plan.periods)
    before = {
        (table, file.keys["bucket"], file.keys["period"]): file
        for table in tables
        for file in change.manifest.tables.get(table, [])
        if file.keys["period"] in periods
    }
    for table in tables:
        change.remove(table, lambda file: file.keys["period"] in periods)
    return before


def _write_pieces(
    writer: BucketWriter, reader: Reader, *, threads: int, advance: Advance
) -> dict[int, Exposures]:
    """Write the buckets of split queries; their exposures by the queries' own buckets."""
    layout = reader.layout

    def work(piece: int) -> Exposures | None:
        return writer.write_repeating(layout.buckets + piece, reader.piece(piece))

    _ = reader.features  # made in the connection's own thread
    parts: dict[int, list[Exposures]] = {}
    for found in map_threads(work, range(layout.pieces), threads=threads):
        advance(1)
        if found is None:
            continue
        home = bucket_of(found.query, buckets=layout.buckets)
        for bucket in np.unique(home).tolist():
            part = Exposures(*(column[home == bucket] for column in found))
            parts.setdefault(bucket, []).append(part)
    return {bucket: join(found) for bucket, found in parts.items()}


def _write_bucket(
    writer: BucketWriter,
    reader: Reader,
    elsewhere: dict[int, Exposures],
    item: tuple[int, Pairs | None],
) -> None:
    bucket, judged = item
    writer.write(bucket, reader.bucket(bucket, judged, elsewhere.get(bucket)))


def _place(file: File) -> tuple[int, str]:
    return int(file.keys["bucket"]), file.keys.get("period", "")


def _by_period(
    writer: BucketWriter, logged: Logged, *, config: ListsConfig
) -> dict[str, dict[str, int]]:
    out: dict[str, dict[str, int]] = {}
    for i, period in enumerate(writer.periods):
        if not logged.counts[i, 0, 0]:
            continue  # its source is gone
        out[period] = dict(zip(COUNTS, writer.counts[i].tolist(), strict=True))
        out[period]["positions"] = int(writer.lowest[i])
        for name, counts in zip(("logged", *REASONS), logged.counts[i].tolist(), strict=True):
            if config.filters.takes(name):
                out[period] |= {f"{name}_{m}": n for m, n in zip(MEASURES, counts, strict=True)}
    return out
