"""Work one step ahead in a thread: what is made next overlaps with what is done now."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")


def ahead(items: Generator[T], *, depth: int = 1) -> Generator[T]:
    """Give `items` as they come from a thread that makes up to `depth` more meanwhile.

    Its errors are raised here, after the items before them. When the consumer stops early, the
    generator is closed, and no thread stays behind.

    Example:
        >>> list(ahead(n * n for n in range(4)))
        [0, 1, 4, 9]
    """
    made: queue.SimpleQueue[tuple[T] | BaseException | None] = queue.SimpleQueue()
    slots, is_over = threading.Semaphore(depth), threading.Event()

    def make() -> None:
        try:
            for item in items:
                made.put((item,))
                del item  # the consumer alone decides how long it stays in memory
                slots.acquire()
                if is_over.is_set():
                    break
            made.put(None)
        except BaseException as error:  # noqa: BLE001  raised again on the other side
            made.put(error)
        finally:
            items.close()

    thread = threading.Thread(target=make, name="ultr-ahead", daemon=True)
    thread.start()
    try:
        while (got := made.get()) is not None:
            if isinstance(got, BaseException):
                raise got
            slots.release()
            yield got[0]
    finally:
        is_over.set()
        slots.release()
        thread.join()
