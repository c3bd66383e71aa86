"""How `ultr lists` collapses sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ultr.errors import UsageError
from ultr.etl.context import parse_context
from ultr.etl.filters import Filters
from ultr.etl.periods import Period

MAX_BUCKETS = 4096


@dataclass(frozen=True)
class ListsConfig:
    """How sessions are collapsed.

    Args:
        context: display columns that are part of a list (`device`, `height_px:bins=8`); more
            context, less collapse.
        period: `day` or `week` (UTC), `source`, `all`; `auto` is day where the log has times.
        buckets: a power of two; None keeps the number, or chooses it from the size.
        memory_gib: what DuckDB may hold before it spills to the lake's disk.
        filters: which pages are left out, and what counts as a click.
        lists_per_query: a query with more distinct lists than this is split over buckets.
        rebuild: build everything again, not only what changed.
        refit_edges: choose the bins of continuous context columns again.
    """

    context: tuple[str, ...] = ()
    period: Period = "auto"
    buckets: int | None = None
    memory_gib: float = 1.0
    filters: Filters = field(default_factory=Filters)
    lists_per_query: int = 1 << 17
    rebuild: bool = False
    refit_edges: bool = False

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: buckets that are no power of two, too little memory, a wrong context, or a
                bound below one list.
        """
        parse_context(self.context)
        b = self.buckets
        if b is not None and (not 1 <= b <= MAX_BUCKETS or b & (b - 1)):
            raise UsageError(
                f"buckets is a power of two from 1 to {MAX_BUCKETS}",
                got=str(b),
                hint="leave it out to have it chosen from the size",
            )
        if self.period not in ("auto", "day", "week", "source", "all"):
            raise UsageError(
                "period is auto, day, week, source or all", got=repr(self.period), hint="choose one"
            )
        if not self.memory_gib >= 0.125:
            raise UsageError(
                "memory_gib is at least 0.125", got=str(self.memory_gib), hint="give it more"
            )
        if self.lists_per_query < 1:
            raise UsageError(
                "lists_per_query is at least 1", got=str(self.lists_per_query), hint="give it more"
            )

    def settings(self) -> dict[str, Any]:
        """What the content of lists depends on, besides period and buckets.

        Returns:
            Setting -> value, as JSON has it.
        """
        return {
            "context": list(self.context),
            "lists_per_query": self.lists_per_query,
            "max_pages_per_user": self.filters.max_pages_per_user,
            "drop_click_all": self.filters.drop_click_all,
            "drop_repeats": self.filters.drop_repeats,
            "click_when": self.filters.click_when,
        }
