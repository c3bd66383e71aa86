"""What a collection of documents is like: the statistics that lexical formulas need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ultr.etl.lexical_corpus import Documents
from ultr.etl.lexical_tokens import Longs


@dataclass(frozen=True)
class Collection:
    """Statistics over distinct documents, by field; V terms of queries.

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


def collect(parts: Iterable[Documents], *, fields: int, vocabulary: int) -> Collection:
    """Count over all parts; whole numbers, so their order does not matter."""
    documents, tokens = np.zeros(fields, np.int64), np.zeros(fields, np.int64)
    df, cf = (np.zeros((vocabulary, fields), np.int64) for _ in range(2))
    for part in parts:
        documents += (~part.is_missing).sum(axis=0)
        tokens += part.length.sum(axis=0)
        for i in range(fields):
            count = part.count[:, i]
            df[:, i] += np.bincount(part.term[count > 0], minlength=vocabulary)
            # As doubles: exact below 2^53 occurrences.
            sums = np.bincount(part.term, weights=count, minlength=vocabulary)
            cf[:, i] += sums.astype(np.int64)
    return Collection(documents, tokens, df, cf)
