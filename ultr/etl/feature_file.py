"""Features that a user brings: a table with keys, or LETOR / SVMlight lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ultr.commit import Commit
from ultr.errors import DataError
from ultr.etl.feature_checks import refuse_outcomes
from ultr.etl.feature_groups import FILE, Group
from ultr.etl.feature_rows import Block, write_rows
from ultr.etl.feature_values import Seen, names_of, values_of
from ultr.etl.grouping import hash_pairs
from ultr.etl.keyed import KEY_COLUMNS, open_keyed, pair_ids, text_keys
from ultr.etl.shares import among, repeats
from ultr.letor import read_letor
from ultr.transform import STANDARDISE

LETOR_KINDS = (".txt", ".letor", ".svm", ".svmlight", ".libsvm", ".dat")
_BLOCK = 1 << 16


@dataclass(frozen=True)
class FileFeatures:
    """What a file gave.

    Args:
        group: names and counts.
        pairs: `query_id, doc_id` of its rows.
    """

    group: Group
    pairs: pl.DataFrame


@dataclass(frozen=True)
class _Source:
    """A file's blocks, with keys, and the columns that are features."""

    columns: tuple[str, ...]
    blocks: Iterator[pl.DataFrame]


def copy_features(change: Commit, source: Path, *, allow_missing: bool) -> FileFeatures:
    """Write a file's features as the group `file`.

    Raises:
        DataError: an unreadable file, missing columns, keys that break the lake's id rule, values
            that are not finite, lists of different lengths, or pairs that come twice.
    """
    is_letor = source.suffix.lower() in LETOR_KINDS
    opened = _open_letor(source) if is_letor else _open_table(source)
    seen, pairs = Seen(), list[NDArray[np.int64]]()

    def blocks() -> Iterator[Block]:
        for block in opened.blocks:
            keys = text_keys(block)
            ids = pair_ids(keys, change.manifest.ids, path=source)
            values = values_of(block, opened.columns, seen, path=source)
            seen.add(values, keys)
            # Copied: a column taken from a file's batch keeps all values of the batch in memory.
            pairs.append(np.stack([column.to_numpy() for column in ids], axis=1))
            yield Block(ids["query_id"].to_arrow(), ids["doc_id"].to_arrow(), values)

    rows = write_rows(change, blocks(), group=FILE)
    seen.check(source, allow_missing=allow_missing)
    found = pl.DataFrame(np.concatenate(pairs), schema=["query_id", "doc_id"], orient="row")
    _check_unique(found, source)
    facts = {"rows": rows, "missing_values": seen.missing, "source": str(source)}
    names = names_of(opened.columns, seen.sizes)
    return FileFeatures(Group(FILE, names, (STANDARDISE,) * len(names), facts=facts), found)


def _open_table(source: Path) -> _Source:
    file = open_keyed(source)
    names = tuple(c for c in file.columns if c not in KEY_COLUMNS)
    if not names:
        raise DataError(
            "besides its keys, a file has columns that are features or lists of features",
            got=f"{source} has no other column",
            hint="add the values",
        )
    refuse_outcomes(names, where=str(source))
    return _Source(names, file.blocks())


def _open_letor(source: Path) -> _Source:
    """Grades are left out: they go through `ultr judgments --format letor`."""
    letor = read_letor(source)

    def blocks() -> Iterator[pl.DataFrame]:
        for at in range(0, len(letor.doc), _BLOCK):
            part = slice(at, at + _BLOCK)
            keys = {"query_id": letor.qid[part].astype(str), "doc_id": letor.doc[part].astype(str)}
            values = np.ascontiguousarray(letor.features[part])
            yield pl.DataFrame(keys).with_columns(pl.Series("features", values))

    return _Source(("features",), blocks())


def _check_unique(pairs: pl.DataFrame, path: Path) -> None:
    # Hashes first, which take a tenth of the memory: a pair comes twice only if its hash does.
    hashed = hash_pairs(pairs["query_id"].to_numpy(), pairs["doc_id"].to_numpy())
    ordered = np.sort(hashed)
    twice = ordered[repeats(ordered)]
    some = pairs.with_row_index("row").filter(pl.Series(among(hashed, twice)))
    first = some.select(pl.struct("query_id", "doc_id").is_first_distinct()).to_series()
    if not first.all():
        again = some["row"].filter(~first)
        raise DataError(
            "a (query, document) pair comes once",
            got=f"{path}: {len(again):,} repeated pairs, the first in row {again[0] + 1:,}",
            hint="keep one row per pair",
        )
