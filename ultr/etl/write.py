"""Chunks of a reader to files of the lake."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import polars as pl
import pyarrow as pa

from ultr.commit import Commit
from ultr.errors import DataError, UsageError
from ultr.etl.events import new_documents, new_queries, with_ids
from ultr.etl.ids import detect_rule, to_id
from ultr.etl.seen import Seen
from ultr.etl.table_file import TableFile
from ultr.lake import create_lake
from ultr.logs.chunk import Chunk
from ultr.logs.letters import replaced_within
from ultr.manifest import MANIFEST

WRITTEN = ("sessions", "queries", "documents", "events", "rejects")
"""Tables that a raw file has rows of."""


def set_rules(change: Commit, rules: dict[str, str]) -> None:
    """Give a new lake the id rules that the user chose; others are detected in the first chunk.

    Args:
        change: the commit.
        rules: `query` and `doc` -> rule.

    Raises:
        UsageError: a chosen rule is not the one that the lake has.
    """
    ids = change.manifest.ids
    if any(ids.get(column, rule) != rule for column, rule in rules.items()):
        raise UsageError(
            "the id rules of a lake are fixed by its first ingest",
            got=f"{rules} for a lake with {ids}",
            hint="ingest into a new lake, or leave --id-rule out",
        )
    ids.update(rules)


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


def _spaced(documents: pa.Table, separator: bytes) -> pa.Table:
    """With a space for every separator of titles and texts."""
    for name in ("title", "text"):
        if separator != b" " and name in documents.column_names:
            text = documents[name].combine_chunks()
            spaced = replaced_within(text, separator, b" ")
            documents = documents.set_column(documents.column_names.index(name), name, spaced)
    return documents


class ChunkWriter:
    """Writes the chunks of one raw file into a commit, turning keys into ids.

    A context manager: the files become part of the lake when the block ends well.

    Args:
        change: the commit.
        source: what the lake calls the raw file.
        keeps_text: whether queries and documents keep their keys and texts; their ids stand in
            for the keys else.
    """

    def __init__(self, change: Commit, *, source: str, keeps_text: bool = True) -> None:
        self._ids = change.manifest.ids
        self._source, self._keeps_text = source, keeps_text
        self._files = {name: TableFile(change, name, source=source) for name in WRITTEN}
        self._seen = {"queries": Seen(), "documents": Seen()}

    def __enter__(self) -> Self:
        """Nothing is made before rows come."""
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        """Finish the files, all at once, or let go of them."""
        try:
            if kind is None:
                for file in self._files.values():
                    file.flush()
                for file in self._files.values():
                    file.close()
        finally:
            for file in self._files.values():
                file.abandon()

    def write(self, chunk: Chunk) -> pl.DataFrame | None:
        """Write a chunk's sessions, queries, documents, events and rejects.

        Returns:
            The rows of `events`, where it has any.

        Raises:
            DataError: keys that break the lake's rule.
        """
        pages = chunk.pages
        if pages.height:
            flat = pages["doc_key"].list.explode(keep_nulls=False, empty_as_null=False)
            query = self._to_ids("query", pages["query_key"])
            self._write_sessions(pages, query, self._to_ids("doc", flat))
            self._write_distinct("query", pages.select(key="query_key", text="query_text"))
            documents = pl.DataFrame({"key": flat})
            if chunk.documents is not None:
                documents = chunk.documents.rename({"doc_key": "key"})
            self._write_distinct("doc", documents, separator=chunk.separator)
        events = None
        if chunk.events is not None and chunk.events.height:
            events = self._write_events(chunk.events)
        if chunk.rejects.height:
            rejects = chunk.rejects.with_columns(source=pl.lit(self._source))
            self._files["rejects"].write(rejects.to_arrow())
        return events

    def _write_events(self, events: pl.DataFrame) -> pl.DataFrame:
        """Write events, and the queries and documents that the pages of their chunk do not have."""
        documents, queries = new_documents(events), new_queries(events)
        if len(documents):
            self._write_distinct("doc", pl.DataFrame({"key": documents}))
        if len(queries):
            self._write_distinct("query", pl.DataFrame({"key": queries, "text": queries}))
        rows = with_ids(events, self._to_ids, source=self._source)
        self._files["events"].write(rows.to_arrow())
        return rows

    def _to_ids(self, column: str, keys: pl.Series) -> pl.Series:
        """Ids of keys, by the lake's rule; the first keys of a new lake decide which one it is."""
        if column not in self._ids:
            self._ids[column] = detect_rule(keys)
        return to_id(keys, self._ids[column], column=column)

    def _write_distinct(self, column: str, rows: pl.DataFrame, *, separator: bytes = b" ") -> None:
        """Keys that this file did not have so far, with what is known of each."""
        table = "queries" if column == "query" else "documents"
        new = self._seen[table].only_new(rows)
        if new.height:
            ids = self._to_ids(column, new["key"])
            if not self._keeps_text:
                new = pl.DataFrame({"key": ids.cast(pl.String)})
            data = new.with_columns(ids.alias(f"{column}_id")).to_arrow()
            self._files[table].write(_spaced(data, separator))

    def _write_sessions(self, pages: pl.DataFrame, query: pl.Series, doc: pl.Series) -> None:
        size = pages["doc_key"].list.len().to_numpy()
        offsets = pa.array(np.concatenate([[0], np.cumsum(size)]), pa.int64())
        documents = pa.LargeListArray.from_arrays(offsets, doc.to_arrow())
        day = pl.col("shown_at").dt.strftime("%Y-%m-%d").fill_null("all")
        sessions = pages.drop("doc_key", "query_key", "query_text").with_columns(
            query.alias("query_id"),
            pl.Series("doc_id", documents),
            source=pl.lit(self._source),
            period=day,
        )
        self._files["sessions"].write(sessions.to_arrow())
