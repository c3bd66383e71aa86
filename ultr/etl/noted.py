"""What is noted while pages are read: the contexts that were met, and counts of the log."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ultr.errors import DataError
from ultr.etl.filters import REASONS
from ultr.etl.grouping import mix
from ultr.etl.split import SPLITS

_MOST_WEIGHT = 2.0**40
"""Bound on the log's sum of squared weights, so that sums of `exact_weights` cannot overflow."""


@dataclass
class Contexts:
    """The contexts met so far: text, code and hash; several threads may ask at once."""

    codes: dict[str, int] = field(default_factory=dict)
    hashes: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def encode(self, texts: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.uint64]]:
        """Codes and hashes of texts `[M]`."""
        encoded = texts.dictionary_encode()
        with self._lock:
            code = [self._code(text) for text in encoded.dictionary.to_pylist()]
            known = np.array(self.hashes, np.uint64)
        codes = np.array(code, np.int32)[encoded.indices.to_numpy()]
        return codes, known[codes]

    def _code(self, text: str) -> int:
        if text not in self.codes:
            self.codes[text] = len(self.codes)
            self.hashes.append(_hash(text))
        return self.codes[text]


@dataclass
class Logged:
    """Pages, impressions and clicks of the log: all of them, and those that filters took.

    Args:
        counts: `[P, 1 + filters, 3]` by period.
        weight_sq: sum of squared weights.
    """

    counts: NDArray[np.int64]
    weight_sq: float = 0.0

    @classmethod
    def of(cls, periods: int) -> Logged:
        """Nothing counted yet."""
        return cls(np.zeros((periods, 1 + len(REASONS), 3), np.int64))

    def add(self, other: Logged) -> None:
        """Add what another batch counted.

        Raises:
            DataError: weights that are too large to be summed exactly.
        """
        self.counts += other.counts
        self.weight_sq += other.weight_sq
        self.check()

    def check(self) -> None:
        """Check that sums of `exact_weights` fit into 64 bits.

        Raises:
            DataError: they may not.
        """
        if not self.weight_sq <= _MOST_WEIGHT:
            raise DataError(
                "the squares of the weights of a log may sum up to 2^40",
                got=f"{self.weight_sq:g}",
                hint="scale the weights down, to a mean of 1",
            )


def hash_cells(periods: Sequence[str]) -> NDArray[np.uint64]:
    """A hash for each cell of some periods; the same in every build, as their places are not."""
    period = np.array([_hash(name) for name in periods], np.uint64)
    return mix(period[:, None] + np.arange(len(SPLITS), dtype=np.uint64)).reshape(-1)


def _hash(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
