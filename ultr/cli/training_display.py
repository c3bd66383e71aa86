"""Training as people see it: a live table on a terminal, plain lines in a job log."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from ultr.progress import tell

Line = dict[str, Any]


class Display(NamedTuple):
    """What a training tells.

    Attributes:
        epoch: takes a line of measurements.
        stage: takes what is being done before there are such.
    """

    epoch: Callable[[Line], None]
    stage: Callable[[str], None]


_COLUMNS = ("training", "epoch", "held-out NLL", "best", "ranker loss", "effective clicks",
            "sessions/s", "documents/s")  # fmt: skip


@contextlib.contextmanager
def training_display(*, quiet: bool) -> Iterator[Display]:
    """Show stages and measurements on standard error.

    Args:
        quiet: show nothing.

    Yields:
        Functions to call with them.
    """
    if quiet:
        yield Display(lambda _: None, lambda _: None)
    elif sys.stderr.isatty():
        with _table() as display:
            yield display
    else:
        yield Display(_plain, lambda stage: tell(f"{stage} …"))


@contextlib.contextmanager
def _table() -> Iterator[Display]:
    """One row for each training, the last of which changes; before the first one, the stage."""
    from rich.console import Console
    from rich.live import Live
    from rich.spinner import Spinner
    from rich.table import Table

    rows: dict[str, list[str]] = {}
    best: dict[str, float] = {}

    def table() -> Table:
        out = Table(*_COLUMNS, box=None)
        for row in rows.values():
            out.add_row(*row)
        return out

    with Live("", console=Console(stderr=True), refresh_per_second=4) as live:

        def show(line: Line) -> None:
            name, nll = training_name(line), line["click_nll_listwise"]
            best[name] = min(nll, best.get(name, nll))
            rows[name] = [
                name, str(line["epoch"]), f"{nll:.5f}", f"{best[name]:.5f}",
                f"{line['rank_loss']:.5f}", f"{line['effective_sample_size']:,.0f}",
                f"{line['sessions_per_second']:,.0f}", f"{line['documents_per_second']:,.0f}",
            ]  # fmt: skip
            live.update(table(), refresh=True)

        def stage(text: str) -> None:
            live.update(Spinner("dots", f"{text} …"), refresh=True)

        try:
            yield Display(show, stage)
        finally:
            live.update(table() if rows else "")  # what was being done is over


def training_name(line: Line) -> str:
    """What tells the trainings of one run apart."""
    return f"{line['phase']}, decay {line['weight_decay']:g}"


def _plain(line: Line) -> None:
    tell(
        f"{training_name(line)}: epoch {line['epoch']:>3}  "
        f"held-out click NLL {line['click_nll_listwise']:.5f}  "
        f"ranker loss {line['rank_loss']:.5f}  "
        f"{line['sessions_per_second']:>12,.0f} sessions/s  "
        f"{line['documents_per_second']:>12,.0f} documents/s"
    )
