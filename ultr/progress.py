"""Progress for people and for job logs: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

PLAIN_INTERVAL_S = 10.0

Advance = Callable[[float], None]
"""Called with the amount of work done since the last call."""


@contextlib.contextmanager
def progress(label: str, *, total: float, unit: str = "", quiet: bool = False) -> Iterator[Advance]:
    """Show how far a loop is, on standard error.

    Args:
        label: what is being done.
        total: the amount of work, in `unit`.
        unit: what is counted ("B" is shown as MB).
        quiet: show nothing.

    Yields:
        A function to call with each piece of work done.
    """
    if quiet:
        yield lambda _: None
    elif sys.stderr.isatty():
        with _bar(label, total) as advance:
            yield advance
    else:
        yield _plain(label, total, unit)


@contextlib.contextmanager
def _bar(label: str, total: float) -> Iterator[Advance]:
    from rich.console import Console  # noqa: PLC0415  rich costs 60 ms that a job log does not need
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=total)
        yield lambda amount: bar.advance(task, amount)


def _plain(label: str, total: float, unit: str) -> Advance:
    done, last = 0.0, time.monotonic()

    def advance(amount: float) -> None:
        nonlocal done, last
        done += amount
        if time.monotonic() - last >= PLAIN_INTERVAL_S:
            last = time.monotonic()
            scale, shown = (1e6, "MB") if unit == "B" else (1.0, unit)
            share = 100 * done / total if total else 100.0
            line = f"{label}: {done / scale:,.0f} of {total / scale:,.0f} {shown} ({share:.0f}%)"
            tell(line)

    return advance


def tell(line: str) -> None:
    """Write a line on standard error; that nobody reads it any more does not end the work."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
