"""A judged set: queries, their documents, features and grades; read from files or generated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ultr.letor import read_letor_files
from ultr.simulate.config import Synthetic

HIDDEN = 32
CUTS = (0.5, 1.2, 2.0, 2.8)
TEST_SHARE = 0.3

_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class JudgedSet:
    """Documents of all queries, query after query.

    Args:
        features: [N, F] raw values.
        grade: [N].
        offsets: [Q + 1] the row where each query begins, and N.
        query_key: [Q] int64 where all keys are whole numbers, else text.
        doc_key: [N] likewise.
        logged: the first so many queries are logged, the others only judged.
        y_max: highest grade.
    """

    features: Floats
    grade: npt.NDArray[np.int16]
    offsets: Ints
    query_key: pa.Array
    doc_key: pa.Array
    logged: int
    y_max: int

    @property
    def sizes(self) -> Ints:
        """[Q] documents of each query."""
        return np.diff(self.offsets)


def from_letor(paths: Sequence[Path]) -> JudgedSet:
    """All queries of the files, all of them logged.

    Raises:
        DataError: a file that cannot be read.
    """
    letor = read_letor_files(paths)
    offsets = letor.offsets
    return JudgedSet(
        features=letor.features,
        grade=letor.grade,
        offsets=offsets,
        query_key=_keys(letor.qid[offsets[:-1]].tolist()),
        doc_key=_keys(letor.doc.tolist()),
        logged=len(offsets) - 1,
        y_max=int(letor.grade.max()),
    )


def synthetic(rng: np.random.Generator, config: Synthetic) -> JudgedSet:
    """Documents x = N(0, I) + .5·u_query whose relevance is a small network of x plus noise.

    s = 3·tanh(xW₁)·w₂ + σ·N(0, 1), with W₁ [F, 32] and w₂ [32] scaled by 1/√fan-in. Grades 0–4
    cut s, centred by query, at .5, 1.2, 2 and 2.8. Features are x clipped to [−3, 3], over 3.
    """
    queries = config.queries + round(TEST_SHARE * config.queries)
    low, high = config.docs - config.docs // 2, config.docs + config.docs // 2
    sizes = rng.integers(low, high, queries, endpoint=True)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    width = config.features
    first = rng.standard_normal((width, HIDDEN), np.float32) / np.float32(np.sqrt(width))
    second = rng.standard_normal(HIDDEN, np.float32) / np.float32(np.sqrt(HIDDEN))
    centre = np.float32(0.5) * rng.standard_normal((queries, width), np.float32)
    x = rng.standard_normal((int(offsets[-1]), width), np.float32)
    x += np.repeat(centre, sizes, axis=0)
    noise = rng.standard_normal(len(x))
    s = 3.0 * (np.tanh(x @ first) @ second).astype(np.float64) + config.sigma * noise
    s -= np.repeat(np.add.reduceat(s, offsets[:-1]) / sizes, sizes)
    return JudgedSet(
        features=np.clip(x, -3, 3, out=x) / np.float32(3),
        grade=np.digitize(s, CUTS).astype(np.int16),
        offsets=offsets,
        query_key=pa.array(np.arange(1, queries + 1)),
        doc_key=pa.array(np.arange(1, len(x) + 1)),
        logged=config.queries,
        y_max=len(CUTS),
    )


def _keys(texts: list[str]) -> Any:
    """Whole numbers in canonical form as int64, for the lake's `integer` rule; else the text."""
    if all(map(_INTEGER.fullmatch, texts)):
        return pa.array(list(map(int, texts)), pa.int64())
    return pa.array(texts, pa.string())
