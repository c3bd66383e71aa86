"""What a collection of documents is like: the statistics that lexical formulas need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ultr.etl.lexical_tokens import Longs

Counts = NDArray[np.uint32]


@dataclass(frozen=True)
class Collection:
    """Statistics by field, with several fields the last is the whole document; V query terms.

    Whole numbers: collections are added and taken from each other in any order.

    Args:
        documents: `[fields]` documents that have the field.
        tokens: `[fields]` tokens in all of them.
        df: `[V, fields]` documents with the term.
        cf: `[V, fields]` occurrences of the term.
    """

    documents: Longs
    tokens: Longs
    df: Longs
    cf: Longs

    @classmethod
    def none(cls, *, fields: int, terms: int) -> Collection:
        """No documents."""
        sizes = ((fields,), (fields,), (terms, fields), (terms, fields))
        return cls(*(np.zeros(size, np.int64) for size in sizes))

    @classmethod
    def of(
        cls, is_missing: NDArray[np.bool_], length: NDArray[np.integer[Any]], term: Counts,
        count: Counts, *, vocabulary: int,
    ) -> Collection:  # fmt: skip
        """Count D documents.

        Args:
            is_missing: `[D, fields]` whether there is no such text.
            length: `[D, fields]` tokens.
            term: `[E]` index into the vocabulary, once per document.
            count: `[E, text fields]` its occurrences.
            vocabulary: V.
        """
        has = [term[count[:, i] > 0] for i in range(count.shape[1])]
        df = [np.bincount(t, minlength=vocabulary) for t in has]
        # As doubles: exact below 2^53 occurrences.
        cf = [np.bincount(term, c, vocabulary).astype(np.int64) for c in count.T]
        if len(df) > 1:
            df.append(np.bincount(term, minlength=vocabulary))
            cf.append(np.sum(cf, axis=0))
        documents, tokens = (~is_missing).sum(axis=0), length.sum(axis=0, dtype=np.int64)
        return cls(documents, tokens, np.stack(df, axis=1), np.stack(cf, axis=1))

    def add(self, other: Collection) -> None:
        """Add in place: the statistics of a large vocabulary are not copied for each block."""
        for own, more in zip(self._arrays, other._arrays, strict=True):
            np.add(own, more, out=own)

    def take_away(self, other: Collection) -> None:
        """The reverse of `add`."""
        for own, less in zip(self._arrays, other._arrays, strict=True):
            np.subtract(own, less, out=own)

    @property
    def _arrays(self) -> tuple[Longs, ...]:
        return self.documents, self.tokens, self.df, self.cf

    def to_json(self, fields: tuple[str, ...]) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            name: {
                "documents": int(self.documents[i]),
                "tokens": int(self.tokens[i]),
                "mean_length": float(self.tokens[i] / max(self.documents[i], 1)),
            }
            for i, name in enumerate(fields)
        }
