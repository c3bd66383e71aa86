"""The lake's documents as terms, staged on disk in parts, and what the collection is like.

A part holds the documents whose id falls into it, so that any one part fits in memory however many
there are, and a document that several sources know is counted once.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ultr.commit import Commit
from ultr.etl.lexical_collection import Collection, Counts
from ultr.etl.lexical_documents import STAGED, part_path
from ultr.etl.lexical_queries import Queries
from ultr.etl.lexical_tokens import (
    TERM_BITS,
    Longs,
    Terms,
    Tokens,
    runs,
    text_blocks,
    tokenise,
)
from ultr.etl.parallel import map_threads
from ultr.etl.split import bucket_of

THREADS = 2
"""Blocks of text that are counted or matched at a time; each holds its terms in memory."""

_ROWS_PER_PART = 100_000
_BYTES_PER_PART = 128 << 20
_MAX_PARTS = 256


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
) -> Collection:
    """Write the terms of all documents into `folder`, one file per part.

    Returns:
        Statistics over all rows: a document of several sources is counted several times.
    """
    total = Collection.none(fields=len(fields) + (len(fields) > 1), terms=len(queries.vocabulary))
    blocks = text_blocks(change, "documents", ("doc_id", *fields))
    with ExitStack() as stack:
        writers = [
            stack.enter_context(pa.ipc.new_file(str(part_path(folder, part)), STAGED))
            for part in range(parts)
        ]
        counted = partial(_counted, queries=queries, fields=fields, parts=parts)
        for tables, statistics in map_threads(counted, blocks, threads=THREADS):
            total.add(statistics)
            for part, table in tables.items():
                writers[part].write_table(table)
    return total


def _counted(
    block: pl.DataFrame, *, queries: Queries, fields: tuple[str, ...], parts: int
) -> tuple[dict[int, pa.Table], Collection]:
    """A block as `STAGED` by part, and its statistics: one sort of (row, term, field) counts all.

    Rows of a part stand side by side from the beginning, where moving one costs least.
    """
    part_of = bucket_of(block["doc_id"].to_numpy(), buckets=parts)
    block = block[np.argsort(part_of, kind="stable")]
    n_rows, texts = block.height, [tokenise(block[f]) for f in fields]
    key = _keys(texts)
    key.sort()
    pair = key >> np.uint64(1)
    begin = np.append(np.flatnonzero(runs(pair)), len(key))
    in_second = np.concatenate([[0], np.cumsum(key & np.uint64(1), dtype=np.int64)])[begin]
    second = np.diff(in_second)
    count = [np.diff(begin) - second, second][: len(fields)]
    entry = pair[begin[:-1]]
    row = (entry >> np.uint64(TERM_BITS)).astype(np.int64)
    unique = [np.bincount(row[c > 0], minlength=n_rows) for c in count]
    length, missing = [t.length for t in texts], [t.is_missing for t in texts]
    if len(fields) > 1:
        unique.append(np.bincount(row, minlength=n_rows))
        length.append(np.sum(length, axis=0))
        missing.append(np.all(missing, axis=0))
    is_known, term = queries.terms_in(entry & np.uint64((1 << TERM_BITS) - 1))
    entries = np.bincount(row[is_known], minlength=n_rows)
    terms = np.stack([term, *(c[is_known] for c in count)], axis=1).astype(np.uint32)
    facts = np.stack([*missing, *length, *unique], axis=1).astype(np.uint32)
    columns = [block["doc_id"].to_arrow(), _lists(facts), _lists(terms, sizes=entries)]
    statistics = Collection.of(
        np.stack(missing, axis=1), np.stack(length, axis=1), terms[:, 0], terms[:, 1:],
        vocabulary=len(queries.vocabulary),
    )  # fmt: skip
    table = pa.table(columns, schema=STAGED)
    sizes = np.bincount(part_of, minlength=parts)
    starts = np.cumsum(sizes) - sizes
    found = np.flatnonzero(sizes).tolist()
    return {part: table.slice(starts[part], sizes[part]) for part in found}, statistics


def _keys(texts: list[Tokens]) -> Terms:
    """Every token as one integer: its row, its term and the number of its field."""
    out = np.empty(sum(len(t.term) for t in texts), np.uint64)
    at = 0
    for code, tokens in enumerate(texts):
        own = out[at : at + len(tokens.term)]
        np.left_shift(tokens.term, np.uint64(1), out=own)
        own |= np.uint64(code)
        rows = np.arange(len(tokens.length), dtype=np.uint64) << np.uint64(TERM_BITS + 1)
        own |= np.repeat(rows, tokens.length)
        at += len(own)
    return out


def _lists(matrix: Counts, *, sizes: Longs | None = None) -> pa.Array:
    """Rows of a matrix `[M, C]` as lists: one row each, or `sizes [N]` rows each."""
    each = np.ones(len(matrix), np.int64) if sizes is None else sizes
    offsets = np.concatenate([[0], np.cumsum(each)]) * matrix.shape[1]
    flat = pa.array(matrix.ravel())
    return pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), flat)
