"""Joins the clicks of sessions whose rows stand in several files or blocks of a Yandex log."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ultr.commit import Commit
from ultr.etl.clock import Days, count_days
from ultr.etl.counts import Delta
from ultr.etl.events import hashes, read_files, read_hashes
from ultr.etl.grouping import Near
from ultr.etl.hash_ranges import HashRanges, aligned
from ultr.etl.late import forget_unattached, write_unattached
from ultr.etl.replace import COLUMNS, as_rows
from ultr.etl.session_files import Changed
from ultr.etl.shares import Hashes, among, merged, repeats, shares, within
from ultr.etl.yandex_clicks import attach, unattached
from ultr.logs.chunk import Chunk
from ultr.manifest import File

_CLICK = ("source", "line", "session_id", "elapsed_ms", "doc_id")
_MOST_MS = 2**53
_SESSION = pl.col("session_id").hash(0)


class YandexJoin:
    """Joins clicks again where a session stands in more than one chunk.

    The reader has joined each chunk; of sessions that are whole only their hash is kept here, and
    on disk if they are many: a log of 10 GB has 75 million.

    Args:
        change: the commit.
    """

    form = "yandex"

    def __init__(self, change: Commit) -> None:
        self._change = change
        self._old = {s for s, e in change.manifest.sources.items() if e["format"] == self.form}
        self._own, self._reading = HashRanges(), ""
        self._new, self._twice, self._gone = HashRanges(), HashRanges(), HashRanges()
        self._repeated: list[pl.DataFrame] = []
        self._days: defaultdict[str, Days] = defaultdict(dict)
        self._changed = 0

    def forget(self, source: str) -> None:
        """Note the sessions of a source, before its rows are removed."""
        self._old.discard(source)
        files = self._files("sessions", {source}) + self._files("events", {source})
        self._note(files, self._gone)

    def add(self, chunk: Chunk, *, source: str, rows: pl.DataFrame | None) -> None:  # noqa: ARG002
        """Note the sessions of a chunk, and the clicks that no page of it takes; few are joined."""
        assert chunk.events is not None  # noqa: S101  the reader of this format gives them
        lost = chunk.events.filter(pl.col("state") == "unattached")
        # The session of any other click is that of a page.
        sessions = pl.concat([chunk.pages["session_id"], lost["session_id"]])
        if source != self._reading:
            self._end_source()
            self._reading = source
        self._own.add(hashes(sessions).unique().to_numpy())
        self._repeated.append(
            chunk.events.filter(pl.col("state") == "repeated").select(
                source=pl.lit(source), session=_SESSION
            )
        )
        write_unattached(self._change, unattached(lost.with_columns(source=pl.lit(source))))
        for part in (chunk.pages, chunk.events):
            elapsed = part["elapsed_ms"].clip(upper_bound=_MOST_MS)
            count_days(self._days[source], elapsed * 1000)

    def withdraw(self, source: str) -> None:
        """Forget the sessions, repeats and time of a source whose rows are gone again."""
        if source == self._reading:
            self._own.close()
            self._own = HashRanges()
        self._repeated = [r.filter(pl.col("source") != source) for r in self._repeated]
        self._days.pop(source, None)

    def facts(self, source: str) -> dict[str, Any]:
        """Pages and clicks by day."""
        return {"days": self._days[source]}

    def attach(self) -> dict[str, Delta]:
        """Join the sessions again that more than one chunk holds, or that lost rows."""
        chosen = self._scattered()
        if not len(chosen):
            return {}
        deltas: defaultdict[str, Delta] = defaultdict(Delta)
        for source, n in self._reader_repeats(chosen):
            deltas[source].repeated -= n
        known = self._old | set(self._days)
        files = self._holding("sessions", known, chosen) + self._holding("events", known, chosen)
        with tempfile.TemporaryDirectory(prefix="ultr-ingest-") as folder:
            self._join(self._shares(files, chosen), Changed(Path(folder)), deltas)
        return dict(deltas)

    def summary(self) -> dict[str, Any]:
        """How many sessions of the files that were read stand in several files."""
        return {"sessions_scattered": self._changed}

    def _join(
        self, parts: Iterator[pl.DataFrame], changed: Changed, deltas: defaultdict[str, Delta]
    ) -> None:
        for rows in parts:
            is_page = pl.col("is_page")
            clicks = rows.filter(~is_page).select(
                "source", "session_id", "elapsed_ms", line="ordinal", doc_id="clicked"
            )
            pages = rows.filter(is_page).select(COLUMNS)
            done = attach(pages, clicks)
            changed.add(done.sessions)
            changed.made(pages.select("source", line="ordinal"))
            forget_unattached(self._change, clicks.select("source", "line"))
            write_unattached(self._change, done.unattached)
            for source, n in done.repeated["source"].value_counts().iter_rows():
                deltas[source].repeated += n
        for source, delta in changed.replace(self._change).items():
            deltas[source].merge(delta)

    def _end_source(self) -> None:
        """Note the sessions of the source that was read, and those that several chunks hold."""
        for (own,) in aligned(self._own):
            is_repeat = repeats(own)
            self._new.add(own[~is_repeat])
            self._twice.add(own[is_repeat])
        self._own = HashRanges()

    def _scattered(self) -> Hashes:
        """Sessions of several chunks: new ones among themselves, or with old or removed ones."""
        self._end_source()
        old = HashRanges()
        few = not (self._new.is_spilled or self._gone.is_spilled)
        # A lake has met far more sessions than those that a night touches.
        near = Near(np.concatenate([self._new.whole(), self._gone.whole()])) if few else None
        for table in ("sessions", "events"):
            self._note(self._files(table, self._old), old, near=near)
        found = []
        for new, twice, gone, known in aligned(self._new, self._twice, self._gone, old):
            over_files = merged(new[repeats(new)], known[among(known, new) | among(known, gone)])
            self._changed += len(over_files)
            found.append(merged(over_files, twice))
        return np.concatenate(found)

    def _note(self, files: list[File], hashes: HashRanges, *, near: Near | None = None) -> None:
        for file in files:
            for found in read_hashes(self._change, file, "session_id"):
                values = found.to_numpy()
                hashes.add(values if near is None else values[near(values)])

    def _reader_repeats(self, chosen: Hashes) -> Iterator[tuple[str, int]]:
        if not self._repeated:
            return
        rows = pl.concat(self._repeated)
        own = rows.filter(pl.Series(within(rows["session"], chosen), dtype=pl.Boolean))
        yield from own["source"].value_counts().iter_rows()

    def _shares(self, files: list[tuple[str, File]], chosen: Hashes) -> Iterator[pl.DataFrame]:
        """Pages and clicks of whole sessions; a click stands in `ordinal` and `clicked`."""

        def frames() -> Iterator[pl.DataFrame]:
            for table, file in files:
                columns = COLUMNS if table == "sessions" else _CLICK
                for rows in read_files(self._change, [file], columns=columns):
                    hashed = rows.select(_SESSION).to_series()
                    own = rows.filter(pl.Series(within(hashed, chosen)))
                    yield _as_page(own) if table == "sessions" else _as_click(own)

        def session(rows: pl.DataFrame) -> pl.Series:
            return rows.select(_SESSION).to_series()

        return shares(frames(), rows=sum(f.rows for _, f in files), groups=session)

    def _holding(self, table: str, sources: set[str], chosen: Hashes) -> list[tuple[str, File]]:
        return [
            (table, f)
            for f in self._files(table, sources)
            if any(within(h, chosen).any() for h in read_hashes(self._change, f, "session_id"))
        ]

    def _files(self, table: str, sources: set[str]) -> list[File]:
        files = self._change.manifest.tables.get(table, [])
        return [f for f in files if f.keys["source"] in sources]


def _as_page(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(is_page=pl.lit(value=True), clicked=pl.lit(None, pl.Int64))


def _as_click(rows: pl.DataFrame) -> pl.DataFrame:
    clicks = rows.rename({"line": "ordinal", "doc_id": "clicked"})
    return (
        as_rows(clicks)
        .with_columns(clicks["clicked"], is_page=pl.lit(value=False))
        .select(*COLUMNS, "is_page", "clicked")
    )
