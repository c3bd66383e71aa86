"""Bias context: what else than the position decides whether a document is looked at.

`ultr lists --context` keeps it as a text per document (`device=mobile|height_px=3`); training reads
a code per column.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ultr.errors import DataError
from ultr.lake import Lake
from ultr.schema import SESSIONS

if TYPE_CHECKING:
    from ultr.data.lists import Lists

Ints = NDArray[np.int32]


@dataclass(frozen=True)
class BiasColumn:
    """A column of the bias context.

    Args:
        name: of the display column.
        levels: its values, the most often shown first; an empty text is a missing value.
        is_per_document: whether documents of one list may differ in it. Propensities are relative
            to its first level; those of a column of the whole list, to each level for itself.
    """

    name: str
    levels: tuple[str, ...]
    is_per_document: bool


@dataclass(frozen=True)
class Contexts:
    """The distinct contexts of a lake.

    Args:
        columns: what they are made of.
        texts: `[T]` as they stand in the lists.
        codes: `[T, C]` the level of each column.
    """

    columns: tuple[BiasColumn, ...]
    texts: pa.Array
    codes: Ints

    def codes_of(self, column: pa.ChunkedArray, where: NDArray[np.bool_]) -> Ints:
        """`[L, K, C]` levels of a list column of texts; 0 where masked."""
        out = np.zeros((*where.shape, len(self.columns)), np.int32)
        if self.columns:
            texts = column.combine_chunks().flatten()
            out[where] = self.codes[pc.index_in(texts, value_set=self.texts).to_numpy()]
        return out


def read_contexts(lake: Lake) -> Contexts:
    """The contexts of all lists of a lake, their levels in the order of how often they are shown.

    One order for all buckets, so that each can be loaded by itself.
    """
    found: list[tuple[pa.Array, NDArray[np.float64]]] = []
    names = lake.manifest.meta.get("lists", {}).get("context") or []
    for bucket in sorted({f.keys["bucket"] for f in lake.files("lists")}) if names else []:
        table = lake.read("lists", columns=["context", "n"], bucket=bucket)
        lists = table["context"].combine_chunks()
        length = pc.list_value_length(lists).fill_null(0).to_numpy()
        encoded = lists.flatten().dictionary_encode()
        shown = np.bincount(
            encoded.indices.to_numpy(), np.repeat(table["n"].to_numpy(), length),
            minlength=len(encoded.dictionary),
        )  # fmt: skip
        found.append((encoded.dictionary, shown.astype(np.float64)))
    if not found:
        return Contexts((), pa.array([], pa.string()), np.zeros((0, 0), np.int32))
    texts = pa.concat_arrays([t.cast(pa.string()) for t, _ in found])
    distinct = pc.unique(texts)
    at = pc.index_in(texts, value_set=distinct).to_numpy()
    every = np.concatenate([n for _, n in found])
    return _columns(distinct, np.bincount(at, every, len(distinct)).astype(np.float64))


def choose_columns(bias: Sequence[BiasColumn], names: Sequence[str]) -> tuple[BiasColumn, ...]:
    """The columns of these names.

    Raises:
        DataError: a column that is not there.
    """
    known = {column.name: column for column in bias}
    missing = [name for name in names if name not in known]
    if missing:
        raise DataError(
            "a bias column must be part of the lists",
            got=f"{', '.join(missing)}; the lists have {', '.join(known) or 'none'}",
            hint=f"run: ultr lists --context {','.join((*known, *missing))}, or leave it out",
        )
    return tuple(known[name] for name in names)


def translated(data: Lists, bias: Sequence[BiasColumn]) -> Ints:
    """`[L, K, C]` the levels of lists by the numbers of other columns, −1 where those lack one.

    Raises:
        DataError: a column that the lists do not have.
    """
    chosen = data.with_bias([column.name for column in bias], merge=False)
    out = chosen.context.copy()
    for c, (own, other) in enumerate(zip(chosen.bias, bias, strict=True)):
        number = {level: i for i, level in enumerate(other.levels)}
        out[:, :, c] = np.array([number.get(level, -1) for level in own.levels])[out[:, :, c]]
    return np.where(data.where[:, :, None], out, 0)


def _columns(texts: pa.Array, shown: NDArray[np.float64]) -> Contexts:
    parsed = [dict(part.split("=", 1) for part in t.split("|")) for t in texts.to_pylist()]
    columns, codes = [], np.zeros((len(parsed), 0), np.int32)
    for name in parsed[0] if parsed else ():
        values, own = np.unique([unquote(p[name]) for p in parsed], return_inverse=True)
        order = np.argsort(-np.bincount(own, shown), kind="stable")
        levels = tuple(values[order].tolist())
        is_list = pa.types.is_list(SESSIONS.column(name).type)
        columns.append(BiasColumn(name, levels, is_per_document=is_list))
        codes = np.column_stack([codes, np.argsort(order)[own].astype(np.int32)])
    return Contexts(tuple(columns), texts, codes)
