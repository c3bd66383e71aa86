"""Texts as the terms they are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import polars_hash as plh
from numpy.typing import NDArray

from ultr.commit import Commit
from ultr.parquet import iter_batches, open_parquet

Longs = NDArray[np.int64]
Terms = NDArray[np.uint64]

TERM_BITS = 49
"""Of the 64-bit hash of a token: with them two of a billion distinct tokens hardly ever agree,
and a document's number within a block and a field fit beside them into one integer."""

BLOCK_ROWS = 1 << (64 - TERM_BITS - 1)
_BLOCK_BYTES = 16 << 20
_BYTES_PER_ROW = 1 << 10

# Between tokens stands one space; anything else is made so. \x01 is what Baidu's log has there.
_UNEVEN = r"^ | $|  |[^\S ]|\x01"
_GAP = r"[\s\x01]+"


@dataclass(frozen=True)
class Tokens:
    """Texts of N rows, as T tokens.

    Args:
        term: `[T]` `TERM_BITS`-bit hashes, row after row.
        length: `[N]` tokens of each row, 0 where it is missing.
        is_missing: `[N]` whether there is no text at all.
    """

    term: Terms
    length: Longs
    is_missing: NDArray[np.bool_]


def tokenise(texts: pl.Series) -> Tokens:
    """Cut texts at white space, in lower case.

    Example:
        >>> tokenise(pl.Series(["Red  shoes", None, ""])).length.tolist()
        [2, 0, 0]
    """
    low = texts.str.to_lowercase()
    if low.str.contains(_UNEVEN).any():
        low = low.str.replace_all(_GAP, " ").str.strip_chars(" ")
    filled = pl.DataFrame({"text": low}).select(pl.when(pl.col("text") != "").then("text"))
    words = filled.to_series().str.split(" ")
    flat = words.explode(empty_as_null=False, keep_nulls=False)
    # XXH3, not Polars' own hash: the features of two versions are the same.
    hashed = pl.DataFrame({"token": flat}).select(plh.col("token").nchash.xxh3_64())
    term = hashed.to_series().to_numpy() >> np.uint64(64 - TERM_BITS)
    length = words.list.len().fill_null(0).cast(pl.Int64).to_numpy()
    return Tokens(term, length, texts.is_null().to_numpy())


def text_blocks(change: Commit, table: str, columns: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    """The rows of `queries` or `documents` that have a text, some at a time.

    They come source after source by name and in the order of each source, whatever the order in
    which sources were read; a row may stand in several sources, and its first one counts.

    Args:
        change: the commit.
        table: `queries` or `documents`.
        columns: the id, then the columns of text.
    """
    files = change.manifest.tables.get(table, [])
    for file in sorted(files, key=lambda f: (f.keys.get("source", ""), f.path)):
        yield from _file_blocks(change.root / file.path, columns)


def _file_blocks(path: Path, columns: tuple[str, ...]) -> Iterator[pl.DataFrame]:
    with open_parquet(path) as file:
        for batch in iter_batches(file, BLOCK_ROWS, columns=columns):
            frame = pl.DataFrame(pl.from_arrow(batch))
            kept = frame.filter(pl.any_horizontal(pl.col(columns[1:]).is_not_null()))
            size = int(
                kept.select(pl.sum_horizontal(pl.col(columns[1:]).str.len_bytes().sum())).item()
                or 0
            )
            parts = max(1, -(-size // _BLOCK_BYTES))
            if kept.height:
                yield from kept.iter_slices(max(1, -(-kept.height // parts)))


def runs(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Where a new value begins in a sorted array."""
    first = np.ones(len(values), bool)
    first[1:] = values[1:] != values[:-1]
    return first
