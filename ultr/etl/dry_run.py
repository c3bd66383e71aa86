"""Reading without writing: what an ingest would find, with examples of what it would reject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from ultr.errors import DataError
from ultr.etl.counts import Counts, check_format
from ultr.etl.privacy import Privacy
from ultr.logs.chunk import Chunk

EXAMPLES = 3
"""Rejects shown for each reason."""


@dataclass
class DryRun:
    """What was found.

    Args:
        total: of the files that could be read.
        examples: reason -> the first lines rejected for it, as `source:line: text`.
        bad_files: source -> why it cannot be read at all.
    """

    total: Counts = field(default_factory=Counts)
    examples: dict[str, list[str]] = field(default_factory=dict)
    bad_files: dict[str, str] = field(default_factory=dict)

    def read(
        self,
        files: Iterable[tuple[str, Path]],
        reader: Callable[[Path], Iterator[Chunk]],
        *,
        privacy: Privacy,
        form: str,
    ) -> None:
        """Read files, each with the name of its source."""
        for name, path in files:
            counts = Counts()
            try:
                counts.begin(path)
                for chunk in map(privacy.applied, reader(path)):
                    counts.add(chunk)
                    self.keep(chunk.rejects.with_columns(source=pl.lit(name)))
                check_format(path, counts, form=form)
            except DataError as error:
                self.bad_files[name] = str(error)
            else:
                self.total.merge(counts)

    def keep(self, rejects: pl.DataFrame) -> None:
        """Keep the first rejects (`source, line, reason, text`) of each reason."""
        for reason in rejects["reason"].unique(maintain_order=True):
            kept = self.examples.setdefault(reason, [])
            rows = rejects.filter(rejects["reason"] == reason).head(EXAMPLES - len(kept))
            for name, line, text in rows.select("source", "line", "text").rows():
                kept.append(f"{name}:{line}: {text[:200]}")
