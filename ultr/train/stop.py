"""Ctrl-C and SIGTERM: training goes on to a place where its state can be kept."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from ultr.errors import StoppedError


class Stop:
    """Whether someone asked training to stop.

    Args:
        signal: that came, 0 for none.
    """

    def __init__(self) -> None:
        self.signal = 0

    def raise_if_asked(self, *, at: str, hint: str) -> None:
        """End training where a signal came.

        Raises:
            StoppedError: it did.
        """
        if self.signal:
            raise StoppedError(
                "training was stopped and can go on where it was",
                got=f"{signal.Signals(self.signal).name} at {at}",
                hint=hint,
                exit_code=128 + self.signal,
            )


@contextlib.contextmanager
def stoppable() -> Iterator[Stop]:
    """Take Ctrl-C and SIGTERM as a wish; a second one stops at once, by KeyboardInterrupt.

    Only the main thread can: in others nothing changes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        if stop.signal:
            raise KeyboardInterrupt
        stop.signal = number

    before = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # None: set by something that is not Python, which cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
