"""Documents as the query terms in them: what is staged on disk, part by part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ultr.etl.lexical_collection import Collection, Counts
from ultr.etl.lexical_tokens import Longs

STAGED = pa.schema(
    {
        "doc_id": pa.int64(),
        "facts": pa.large_list(pa.uint32()),  # (is missing, length, distinct tokens) by field
        "terms": pa.large_list(pa.uint32()),  # (term, occurrences by field) by term
    }
)
"""A row per document as a source has it; values that belong together stand side by side."""


@dataclass(frozen=True)
class Documents:
    """D rows of documents with the query terms in them, field by field; E entries (row, term).

    With several fields the last column is the whole document, except in `count`.

    Args:
        doc_id: `[D]`.
        is_first: `[D]` whether the row is the one that counts, of those of its document.
        is_missing: `[D, fields]` whether there is no such text.
        length: `[D, fields]` tokens.
        unique: `[D, fields]` distinct tokens.
        entries: `[D]` number of entries.
        term: `[E]` index into the vocabulary of queries, ascending within a row.
        count: `[E, text fields]` times that the term occurs.
        vocabulary: V, the number of terms of queries.
    """

    doc_id: Longs
    is_first: NDArray[np.bool_]
    is_missing: NDArray[np.bool_]
    length: Counts
    unique: Counts
    entries: Longs
    term: Counts
    count: Counts
    vocabulary: int

    @cached_property
    def keys(self) -> Longs:
        """`[E]` row × V + term of each entry, ascending."""
        first = np.arange(len(self.doc_id)) * self.vocabulary
        keys: Longs = np.repeat(first, self.entries) + self.term
        return keys

    def repeated(self) -> Collection:
        """Statistics over the rows that do not count."""
        kept = np.repeat(~self.is_first, self.entries)
        return Collection.of(
            self.is_missing[~self.is_first],
            self.length[~self.is_first],
            self.term[kept],
            self.count[kept],
            vocabulary=self.vocabulary,
        )

    @cached_property
    def known(self) -> tuple[Longs, Longs]:
        """Ids of the documents, ascending, and the row of each."""
        rows = np.flatnonzero(self.is_first)
        order = np.argsort(self.doc_id[rows])
        return self.doc_id[rows[order]], rows[order]


def read_part(folder: Path, part: int, *, fields: int, vocabulary: int) -> Documents:
    """The documents of a part; where several sources had one, the first row counts.

    Args:
        folder: where they were staged.
        part: which.
        fields: number of text fields, without the whole document.
        vocabulary: V.
    """
    size = fields + (fields > 1)
    with pa.memory_map(str(part_path(folder, part))) as file:
        table = pa.ipc.open_file(file).read_all().combine_chunks()
    doc_id = table["doc_id"].to_numpy()
    is_first = np.zeros(len(doc_id), bool)
    is_first[np.unique(doc_id, return_index=True)[1]] = True
    facts = _flat(table["facts"]).reshape(-1, 3, size)
    terms = _flat(table["terms"]).reshape(-1, 1 + fields)
    sizes = np.asarray(pc.list_value_length(table["terms"]).to_numpy(), np.int64)
    return Documents(
        doc_id=doc_id,
        is_first=is_first,
        is_missing=facts[:, 0] > 0,
        length=facts[:, 1],
        unique=facts[:, 2],
        entries=sizes // (1 + fields),
        term=terms[:, 0],
        count=terms[:, 1:],
        vocabulary=vocabulary,
    )


def _flat(column: pa.ChunkedArray) -> Counts:
    lists = column.combine_chunks()
    values: Counts = lists.flatten().to_numpy()
    return values


def has_repeated(folder: Path, part: int) -> bool:
    """Whether a document stands in several rows of a part."""
    options = pa.ipc.IpcReadOptions(included_fields=[0])
    with pa.memory_map(str(part_path(folder, part))) as file:
        doc_id = pa.ipc.open_file(file, options=options).read_all()["doc_id"].to_numpy()
        return len(np.unique(doc_id)) < len(doc_id)


def part_path(folder: Path, part: int) -> Path:
    """The file of a part."""
    return folder / f"documents-{part:04d}.arrow"
