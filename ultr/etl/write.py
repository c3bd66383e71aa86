"""Chunks of a reader to files of the lake."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ultr.errors import DataError, UsageError
from ultr.etl.events import new_documents, new_queries, with_ids
from ultr.etl.ids import detect_rule, to_id
from ultr.lake import MANIFEST, Commit, create_lake
from ultr.logs.chunk import Chunk
from ultr.schema import EVENTS


@contextlib.contextmanager
def opened(root: Path) -> Iterator[Commit]:
    """A commit on the lake at `root`, which is made if it is new, and removed if the commit fails.

    Raises:
        DataError: the disk refuses; or as `create_lake` and `Lake.commit`.
    """
    had_lake = (root / MANIFEST).exists()
    made = [p for p in (root, *root.parents) if not p.exists()]
    try:
        with create_lake(root).commit("ultr ingest") as change:
            # Another job may have filled the lake since we looked: only an empty one is ours.
            is_ours = not had_lake and change.manifest.version == 0
            try:
                yield change
            except BaseException:
                if is_ours:
                    _remove(root, made)
                raise
    except OSError as error:
        raise DataError(
            "the logs must be readable and the lake's folder writable",
            got=str(error),
            hint="check permissions and free space; the lake is as it was",
        ) from error


def _remove(root: Path, made: list[Path]) -> None:
    """Take away the lake, and the folders that were made for it, innermost first."""
    for path in root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with contextlib.suppress(OSError):  # someone else may have begun to use one
        for folder in made:
            folder.rmdir()


class ChunkWriter:
    """Writes chunks into a commit, turning keys into ids.

    Args:
        change: the commit.
        rules: `query` and `doc` -> id rule, where the user chose one; others are detected in the
            first chunk of a new lake.
        keeps_text: whether queries and documents keep their keys and texts; their ids stand in
            for the keys else.

    Raises:
        UsageError: a chosen rule is not the one that the lake has.
    """

    def __init__(self, change: Commit, rules: dict[str, str], *, keeps_text: bool = True) -> None:
        ids = change.manifest.ids
        if any(ids.get(column, rule) != rule for column, rule in rules.items()):
            raise UsageError(
                "the id rules of a lake are fixed by its first ingest",
                got=f"{rules} for a lake with {ids}",
                hint="ingest into a new lake, or leave --id-rule out",
            )
        self.change, self.keeps_text = change, keeps_text
        self.change.manifest.ids.update(rules)

    def write(self, chunk: Chunk, *, source: str) -> None:
        """Write a chunk's sessions, queries, documents, events and rejects.

        Raises:
            DataError: keys that break the lake's rule.
        """
        pages = chunk.pages
        if pages.height:
            query = self._ids("query", pages["query_key"])
            text = pages["query_text"]
            self._write_keys("query", query, pages["query_key"], source, text=text)
            flat = pages["doc_key"].list.explode()
            doc = self._ids("doc", flat)
            self._write_documents(doc, flat, chunk.documents, source)
            self._sessions(pages, query, doc, source=source)
        if chunk.events is not None and chunk.events.height:
            self._write_events(chunk.events, source)
        if chunk.rejects.height:
            rejects = chunk.rejects.with_columns(source=pl.lit(source))
            self.change.write("rejects", rejects.to_arrow(), source=source)

    def _ids(self, column: str, keys: pl.Series) -> pl.Series:
        """Ids of keys, by the lake's rule; the first keys of a new lake decide which one it is."""
        ids = self.change.manifest.ids
        if column not in ids:
            ids[column] = detect_rule(keys)
        return to_id(keys, ids[column], column=column)

    def _write_events(self, events: pl.DataFrame, source: str) -> None:
        """Write events, and the queries and documents that the pages of their chunk do not have."""
        documents, queries = new_documents(events), new_queries(events)
        if len(documents):
            self._write_keys("doc", self._ids("doc", documents), documents, source)
        if len(queries):
            ids = self._ids("query", queries)
            self._write_keys("query", ids, queries, source, text=queries)
        rows = with_ids(events, self._ids, source=source)
        path = self.change.new_file("events")
        # A dictionary of numbers that hardly repeat would cost time and room.
        texts = [c.name for c in EVENTS.columns if pa.types.is_string(c.type)]
        table = rows.to_arrow().cast(EVENTS.arrow())
        pq.write_table(table, path, compression="zstd", use_dictionary=texts)
        self.change.add("events", path, rows=rows.height, source=source)

    def _write_documents(
        self, doc: pl.Series, keys: pl.Series, known: pl.DataFrame | None, source: str
    ) -> None:
        if known is None:
            self._write_keys("doc", doc, keys, source)
            return
        own = self._ids("doc", known["doc_key"])
        texts = {"title": known["title"], "text": known["text"]}
        self._write_keys("doc", own, known["doc_key"], source, **texts)

    def _write_keys(
        self, column: str, ids: pl.Series, keys: pl.Series, source: str, **texts: pl.Series
    ) -> None:
        """The table of the distinct ids, with what is known of each."""
        frame = pl.DataFrame({f"{column}_id": ids, "key": keys, **texts})
        distinct = frame.unique(f"{column}_id", keep="first").sort(f"{column}_id")
        if not self.keeps_text:
            distinct = distinct.select(f"{column}_id", key=pl.col(f"{column}_id").cast(pl.String))
        name = "queries" if column == "query" else "documents"
        self.change.write(name, distinct.to_arrow(), source=source)

    def _sessions(
        self, pages: pl.DataFrame, query: pl.Series, doc: pl.Series, *, source: str
    ) -> None:
        size = pages["doc_key"].list.len().to_numpy()
        offsets = pa.array(np.concatenate([[0], np.cumsum(size)]), pa.int64())
        documents = pa.LargeListArray.from_arrays(offsets, doc.to_arrow())
        day = pl.col("shown_at").dt.strftime("%Y-%m-%d").fill_null("all")
        sessions = pages.with_columns(
            query.alias("query_id"),
            pl.Series("doc_id", documents),
            source=pl.lit(source),
            period=day,
        )
        self.change.write("sessions", sessions.to_arrow(), source=source)
