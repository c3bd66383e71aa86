"""The lake's documents as terms, staged on disk in parts, and what the collection is like.

A part holds the documents whose id falls into it, so that any one part fits in memory however many
there are, and a document that several sources know is counted once.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.etl.lexical_queries import Queries
from ultr.etl.lexical_tokens import TERM_BITS, Longs, runs, text_blocks, tokenise
from ultr.etl.split import bucket_of
from ultr.lake import Commit

_ROWS_PER_PART = 200_000
_BYTES_PER_PART = 256 << 20
_MAX_PARTS = 512
_WORKERS = 2

_SCHEMA = pa.schema(
    {
        "doc_id": pa.int64(),
        "facts": pa.large_list(pa.uint32()),  # (is missing, length, distinct tokens) by field
        "terms": pa.large_list(pa.uint32()),  # (term, occurrences by field) by term
    }
)


@dataclass(frozen=True)
class Documents:
    """D documents with the query terms in them, field by field; E entries (document, term).

    With several fields the last one is the whole document.

    Args:
        doc_id: `[D]` ascending.
        is_missing: `[D, fields]` whether there is no such text.
        length: `[D, fields]` tokens.
        unique: `[D, fields]` distinct tokens.
        entries: `[D]` number of entries.
        term: `[E]` index into the vocabulary of queries, ascending within a document.
        count: `[E, fields]` times that the term occurs.
    """

    doc_id: Longs
    is_missing: NDArray[np.bool_]
    length: Longs
    unique: Longs
    entries: Longs
    term: Longs
    count: Longs


def count_parts(change: Commit) -> int:
    """In how many parts the documents are staged: by rows, and by bytes of text."""
    files = change.manifest.tables.get("documents", [])
    rows = sum(f.rows for f in files)
    size = 0
    for file in files:
        meta = pq.read_metadata(change.root / file.path)
        size += sum(meta.row_group(i).total_byte_size for i in range(meta.num_row_groups))
    wanted = max(-(-rows // _ROWS_PER_PART), -(-size // _BYTES_PER_PART), 1)
    return min(wanted, _MAX_PARTS)


def stage_documents(
    change: Commit, queries: Queries, fields: tuple[str, ...], *, folder: Path, parts: int
) -> None:
    """Write the terms of all documents into `folder`, one file per part."""
    blocks = text_blocks(change, "documents", ("doc_id", *fields))
    with ExitStack() as stack:
        writers = [
            stack.enter_context(pa.ipc.new_file(str(_path(folder, part)), _SCHEMA))
            for part in range(parts)
        ]
        for table in _counted_in_order(blocks, queries, fields):
            part_of = bucket_of(table["doc_id"].to_numpy(), buckets=parts)
            for part in np.unique(part_of):
                kept = table.filter(pa.array(part_of == part)) if parts > 1 else table
                writers[part].write_table(kept)


def read_part(folder: Path, part: int, *, fields: int) -> Documents:
    """The documents of a part, each once: as the first source had it.

    Args:
        folder: where they were staged.
        part: which.
        fields: number of text fields, without the whole document.
    """
    size = fields + (fields > 1)
    with pa.memory_map(str(_path(folder, part))) as file:
        table = pa.ipc.open_file(file).read_all()
        doc_id, first = np.unique(table["doc_id"].to_numpy(), return_index=True)
        kept = table.take(pa.array(first))
        facts = _flat(kept["facts"]).reshape(-1, 3, size)
        terms = _flat(kept["terms"]).reshape(-1, 1 + fields)
        entries = kept["terms"].combine_chunks().value_lengths().to_numpy() // (1 + fields)
    count = terms[:, 1:]
    if fields > 1:
        count = np.concatenate([count, count.sum(axis=1, keepdims=True)], axis=1)
    return Documents(doc_id, facts[:, 0] > 0, facts[:, 1], facts[:, 2], entries, terms[:, 0], count)


def _flat(column: pa.ChunkedArray) -> Longs:
    values: Longs = column.combine_chunks().flatten().to_numpy().astype(np.int64)
    return values


def _path(folder: Path, part: int) -> Path:
    return folder / f"documents-{part:04d}.arrow"


def _counted_in_order(
    blocks: Iterator[pl.DataFrame], queries: Queries, fields: tuple[str, ...]
) -> Iterator[pa.Table]:
    """`_counted` of each block, a few at a time; Polars and NumPy let other threads run."""
    waiting: deque[Future[pa.Table]] = deque()
    with ThreadPoolExecutor(_WORKERS) as pool:
        for block in blocks:
            waiting.append(pool.submit(_counted, block, queries, fields))
            if len(waiting) > _WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _counted(block: pl.DataFrame, queries: Queries, fields: tuple[str, ...]) -> pa.Table:
    """A block as `_SCHEMA`: one sort of (document, term, field) counts everything."""
    n_rows, texts = block.height, [tokenise(block[f]) for f in fields]
    numbers = np.arange(n_rows, dtype=np.uint64) << np.uint64(TERM_BITS + 1)
    keys = [
        np.repeat(numbers, t.length) | (t.term << np.uint64(1)) | np.uint64(code)
        for code, t in enumerate(texts)
    ]
    key = np.concatenate(keys)
    key.sort()
    begin = np.append(np.flatnonzero(runs(key >> np.uint64(1))), len(key))
    in_second = np.concatenate([[0], np.cumsum(key & np.uint64(1), dtype=np.int64)])[begin]
    second = np.diff(in_second)
    count = [np.diff(begin) - second, second][: len(fields)]
    entry = key[begin[:-1]] >> np.uint64(1)
    row = (entry >> np.uint64(TERM_BITS)).astype(np.int64)
    unique = [np.bincount(row[c > 0], minlength=n_rows) for c in count]
    length, missing = [t.length for t in texts], [t.is_missing for t in texts]
    if len(fields) > 1:
        unique.append(np.bincount(row, minlength=n_rows))
        length.append(np.sum(length, axis=0))
        missing.append(np.all(missing, axis=0))
    is_known, term = queries.terms_in(entry & np.uint64((1 << TERM_BITS) - 1))
    entries = np.bincount(row[is_known], minlength=n_rows)
    columns = [block["doc_id"].to_arrow(), _lists(np.stack([*missing, *length, *unique], axis=1))]
    terms = np.stack([term, *(c[is_known] for c in count)], axis=1)
    columns.append(_lists(terms, sizes=entries))
    return pa.table(columns, schema=_SCHEMA)


def _lists(matrix: NDArray[np.generic], *, sizes: Longs | None = None) -> pa.Array:
    """Rows of a matrix `[M, C]` as lists: one row each, or `sizes [N]` rows each."""
    each = np.ones(len(matrix), np.int64) if sizes is None else sizes
    offsets = np.concatenate([[0], np.cumsum(each)]) * matrix.shape[1]
    flat = pa.array(matrix.astype(np.uint32).ravel())
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat)
