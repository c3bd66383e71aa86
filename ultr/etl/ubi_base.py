"""Where an application starts to count positions: UBI does not say whether at 0 or 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

DEFAULT = 1


@dataclass(frozen=True)
class Bases:
    """The number of the first position.

    Args:
        by_application: as detected; `""` is no application.
        by_source: as the user said for a file, which wins.
    """

    by_application: Mapping[str, int]
    by_source: Mapping[str, int]

    def disagree(self, before: Bases) -> bool:
        """Whether an application that was known before has another base now."""
        old, new = before.by_application, self.by_application
        return any(new.get(name, base) != base for name, base in old.items())


def count_ordinals(counts: dict[str, list[int]], events: pl.DataFrame) -> None:
    """Add how often a chunk's impressions are at 0 and at 1, by application."""
    shown = pl.col("kind") == "impression"
    found = (
        events.lazy()
        .filter(shown)
        .group_by(pl.col("application").fill_null(""))
        .agg((pl.col("log_position") == n).sum().alias(str(n)) for n in (0, 1))
        .collect()
    )
    for name, zeros, ones in found.iter_rows():
        before = counts.get(name, [0, 0])
        counts[name] = [before[0] + zeros, before[1] + ones]


def bases(sources: Mapping[str, Mapping[str, Any]]) -> Bases:
    """Decide from the counts of all sources.

    The first result is shown at least about as often as the second: where 0 is rarer than half of
    1, it is an error in a log that counts from 1.
    """
    zeros, ones, told = Counter[str](), Counter[str](), {}
    for source, entry in sources.items():
        for name, (n_zeros, n_ones) in entry.get("ordinals", {}).items():
            zeros[name] += n_zeros
            ones[name] += n_ones
        if entry.get("ordinal_base") is not None:
            told[source] = int(entry["ordinal_base"])
    found = {n: 0 if zeros[n] and 2 * zeros[n] >= ones[n] else DEFAULT for n in sorted(zeros)}
    return Bases(found, told)


def with_base(events: pl.DataFrame, known: Bases) -> pl.DataFrame:
    """Add `base` to events of one source."""
    told = known.by_source.get(events["source"][0]) if events.height else None
    values = set(known.by_application.values()) if told is None else {told}
    if len(values) <= 1:
        return events.with_columns(base=pl.lit(next(iter(values), DEFAULT), pl.Int8))
    application = pl.col("application").fill_null("")
    base = application.replace_strict(
        dict(known.by_application), default=DEFAULT, return_dtype=pl.Int8
    )
    return events.with_columns(base=base)
