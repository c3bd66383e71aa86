"""Settings of a diagnosis, and the thresholds behind its words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ultr.errors import UsageError


@dataclass(frozen=True)
class DiagnoseConfig:
    """How a log is diagnosed; equal settings on an equal lake give equal results.

    Args:
        is_randomised: take pages for uniformly shuffled, whatever the log looks like.
        weak_impressions: swapped impressions below which an edge between two ranks is weak. With
            one click per ten impressions, 1,000 tell a ratio of examination to within ±15%.
        replicates: bootstrap samples of the queries.
        max_positions: curves stop there; the position graph does not.
        windows: time windows that drift is looked for in; periods are merged to so many.
        sample_rows: documents whose features are read.
        overlap_auc: AUC from which features count as telling two ranks apart.
        memory_gib: what DuckDB may hold while it reads sessions.
        seed: of the bootstrap.
    """

    is_randomised: bool = False
    weak_impressions: int = 1000
    replicates: int = 200
    max_positions: int = 50
    windows: int = 12
    sample_rows: int = 30_000
    overlap_auc: float = 0.95
    memory_gib: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UsageError: a number out of range.
        """
        _at_least("weak_impressions", self.weak_impressions, 1)
        _at_least("replicates", self.replicates, 20)
        _at_least("max_positions", self.max_positions, 2)
        _at_least("windows", self.windows, 1)
        _at_least("sample_rows", self.sample_rows, 100)
        _at_least("memory_gib", self.memory_gib, 0.1)
        _at_least("seed", self.seed, 0)
        if not 0.5 < self.overlap_auc <= 1:
            raise UsageError(
                "an AUC above which features tell ranks apart is in (0.5, 1]",
                got=str(self.overlap_auc),
                hint="for example 0.95",
            )


def _at_least(name: str, value: Any, least: float) -> None:
    if not value >= least:
        raise UsageError(
            f"{name} of a diagnosis is at least {least}",
            got=str(value),
            hint=f"leave it out, or give {least} or more",
        )
