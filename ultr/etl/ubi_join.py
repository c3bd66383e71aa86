"""Joins the events of UBI: pages are made of the facts of all files."""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import polars as pl

from ultr.ahead import ahead
from ultr.commit import Commit
from ultr.etl.clock import count_days
from ultr.etl.counts import Delta
from ultr.etl.events import read_files
from ultr.etl.held import Held
from ultr.etl.late import forget_unattached, write_unattached
from ultr.etl.session_files import Changed, SessionFiles
from ultr.etl.shares import shares
from ultr.etl.ubi_base import bases, count_ordinals, with_base
from ultr.etl.ubi_groups import Plan, Touched, affected
from ultr.etl.ubi_pages import Assembled, assemble
from ultr.logs.chunk import Chunk
from ultr.manifest import File

COLUMNS = ("source", "line", "kind", "action", "page_id", "session_id", "client_id", "user_id",
           "application", "query_id", "doc_id", "log_position", "hit_doc_id", "at",
           "reason")  # fmt: skip


class UbiJoin:
    """Makes pages of UBI's queries and events.

    Args:
        change: the commit.
        ordinal_base: of the positions in the files that are read now; detected where it is None.
    """

    form = "ubi"

    def __init__(self, change: Commit, *, ordinal_base: int | None) -> None:
        self._change, self._base = change, ordinal_base
        self._old = self._sources()
        self._bases = bases(change.manifest.sources)
        self._touched, self._has_forgotten = defaultdict[str, Touched](Touched), False
        self._gone = Touched()
        self._held = Held(COLUMNS)
        self._facts: dict[str, dict[str, Any]] = {}
        self._deltas: defaultdict[str, Delta] = defaultdict(Delta)
        self._told: Counter[str] = Counter(pages_by_impressions=0, pages_by_hits=0)

    def forget(self, source: str) -> None:
        """Note the pages of a source, before its rows are removed."""
        if source in self._old:
            self._old.discard(source)
            self._has_forgotten = True
            columns = ("kind", "page_id", "client_id")
            for rows in read_files(self._change, self._events({source}), columns=columns):
                self._gone.add(rows)

    def add(self, chunk: Chunk, *, source: str, rows: pl.DataFrame | None) -> None:
        """Note the pages of a chunk, its times and its positions, and keep its rows."""
        assert chunk.events is not None  # noqa: S101  the reader of this format gives them
        facts = self._facts.setdefault(source, {"days": {}, "orphans": 0, "ordinals": {}})
        count_days(facts["days"], chunk.events["at"].dt.epoch("us"))
        facts["orphans"] += chunk.events["page_id"].null_count()
        count_ordinals(facts["ordinals"], chunk.events)
        if self._old:
            self._touched[source].add(chunk.events)
        if rows is not None:
            self._held.add(rows, source=source)

    def withdraw(self, source: str) -> None:
        """Forget the pages, times and positions of a source whose rows are gone again."""
        self._facts.pop(source, None)
        self._touched.pop(source, None)
        self._held.drop(source)

    def facts(self, source: str) -> dict[str, Any]:
        """Events by day, events without a page id, and what tells where positions start."""
        return {**self._facts[source], "ordinal_base": self._base}

    def attach(self) -> dict[str, Delta]:
        """Make the pages again that new or removed events may concern."""
        if self._facts or self._has_forgotten:
            now = bases(self._change.manifest.sources)
            if now.disagree(self._bases):
                self._start_again()
            self._bases = now
            plan = self._plan()
            frames = (
                with_base(plan.of(rows), now)
                for rows in self._held.frames(self._change, plan.files)
            )
            rows = sum(f.rows for f in plan.files)
            with tempfile.TemporaryDirectory(prefix="ultr-ingest-") as folder:
                self._make(shares(frames, rows=rows, groups=plan.groups), Path(folder))
        return dict(self._deltas)

    def summary(self) -> dict[str, Any]:
        """Where positions start, by application, and what told what was shown."""
        return {"ordinal_base": self._bases.by_application, **self._told}

    def _plan(self) -> Plan:
        files = self._events(self._sources())
        for touched in self._touched.values():
            self._gone.merge(touched)
        return affected(self._change, files, self._gone if self._old else None)

    def _start_again(self) -> None:
        """Positions start elsewhere than was thought: all pages are made again."""
        for source in self._old:
            for table in ("sessions", "unattached"):
                self._change.remove(table, lambda f, gone=source: f.matches(source=gone))  # type: ignore[misc]
            entry = self._change.manifest.sources[source]
            self._deltas[source] = Delta(
                sessions=-entry["sessions"],
                impressions=-entry["impressions"],
                clicks=-entry["clicks"],
            )
        self._old = set()

    def _make(self, parts: Generator[pl.DataFrame], folder: Path) -> None:
        changed = Changed(folder)
        again, late = [], []
        is_old = pl.col("source").is_in(sorted(self._old))
        with SessionFiles(self._change) as files:
            # One thread reads shares, one makes pages, and one encodes them.
            for events, done in ahead((e, assemble(e)) for e in ahead(parts)):
                self._count(done)
                if not self._old:
                    files.add(done.sessions)
                    write_unattached(self._change, done.unattached)
                else:
                    files.add(done.sessions.filter(~is_old))
                    write_unattached(self._change, done.unattached.filter(~is_old))
                    changed.add(done.sessions.filter(is_old))
                    changed.made(events.filter(is_old, pl.col("kind") == "query"))
                    again.append(events.filter(is_old).select("source", "line"))
                    late.append(done.unattached.filter(is_old))
            for source, delta in files.close().items():
                self._deltas[source].merge(delta)
        if again:
            forget_unattached(self._change, pl.concat(again))
            write_unattached(self._change, pl.concat(late))
        for source, delta in changed.replace(self._change).items():
            self._deltas[source].merge(delta)

    def _count(self, done: Assembled) -> None:
        self._told.update(pages_by_impressions=done.explicit, pages_by_hits=done.implied)
        for rows, kind in ((done.repeated, "repeated"), (done.empty, "ignored")):
            for source, n in rows["source"].value_counts().iter_rows():
                self._deltas[source].merge(Delta(**{kind: n}))

    def _sources(self) -> set[str]:
        known = self._change.manifest.sources
        return {name for name, entry in known.items() if entry["format"] == self.form}

    def _events(self, sources: set[str]) -> list[File]:
        files = self._change.manifest.tables.get("events", [])
        return [f for f in files if f.keys["source"] in sources]
