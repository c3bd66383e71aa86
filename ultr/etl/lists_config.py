"""How `ultr lists` collapses sessions."""

from __future__ import annotations

from dataclasses import dataclass

from ultr.errors import UsageError
from ultr.etl.collapse import Period
from ultr.etl.context import parse_context

MAX_BUCKETS = 4096


@dataclass(frozen=True)
class ListsConfig:
    """How sessions are collapsed.

    Args:
        context: display columns that are part of a list (`device`, `height_px:bins=8`); more
            context, less collapse.
        period: `day` or `week` (UTC), `source`, `all`; `auto` is day where the log has times.
        buckets: a power of two; None chooses it from the size.
        memory_gib: what DuckDB may hold before it spills to the lake's disk.
    """

    context: tuple[str, ...] = ()
    period: Period = "auto"
    buckets: int | None = None
    memory_gib: float = 1.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            UsageError: buckets that are no power of two, too little memory, or a wrong context.
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
