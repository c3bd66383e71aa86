"""Chunks of a reader to files of the lake."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from ultr.etl.ids import detect_rule, to_id
from ultr.lake import Commit
from ultr.logs.chunk import Chunk


class ChunkWriter:
    """Writes chunks into a commit, turning keys into ids.

    Args:
        change: the commit.
        rules: `query` and `doc` -> id rule, where the user chose one; others are detected in the
            first chunk of a new lake.
    """

    def __init__(self, change: Commit, rules: dict[str, str]) -> None:
        self.change = change
        self.change.manifest.ids.update(rules)

    def write(self, chunk: Chunk, *, source: str) -> None:
        """Write a chunk's sessions, queries, documents and rejects.

        Raises:
            DataError: keys that break the lake's rule.
        """
        pages = chunk.pages
        if pages.height:
            query = self._dimension("query", pages["query_key"], pages["query_text"], source)
            flat = pages["doc_key"].list.explode()
            doc = self._dimension("doc", flat, None, source)
            self._sessions(pages, query, doc, source=source)
        if chunk.rejects.height:
            rejects = chunk.rejects.with_columns(source=pl.lit(source))
            self.change.write("rejects", rejects.to_arrow(), source=source)

    def _dimension(
        self, column: str, keys: pl.Series, texts: pl.Series | None, source: str
    ) -> pl.Series:
        """Ids of keys, and the table of the distinct ones."""
        ids = self.change.manifest.ids
        if column not in ids:
            ids[column] = detect_rule(keys)
        out = to_id(keys, ids[column], column=column)
        text = pl.repeat(None, len(keys), dtype=pl.String, eager=True) if texts is None else texts
        frame = pl.DataFrame({f"{column}_id": out, "key": keys, "text": text})
        distinct = frame.unique(f"{column}_id", keep="first").sort(f"{column}_id")
        name = "queries" if column == "query" else "documents"
        self.change.write(name, distinct.to_arrow(), source=source)
        return out

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
