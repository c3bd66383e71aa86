"""Threads for work that NumPy and Arrow do outside Python's lock, a few items at a time."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_PER_GIB = 4


def workers(memory_gib: float) -> int:
    """How many threads: one per core that may be used, fewer where memory is short."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, int(memory_gib * _PER_GIB)))


def map_threads(function: Callable[[T], R], items: Iterable[T], *, threads: int) -> Iterator[R]:
    """`map` in threads, in order; items are drawn here, and no more than `threads` + 1 wait.

    Args:
        function: applied to each item.
        items: drawn lazily, in the calling thread.
        threads: how many.

    Example:
        >>> list(map_threads(abs, [-1, 2], threads=2))
        [1, 2]
    """
    pending: deque[Future[R]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) > threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


@dataclass
class Once(Generic[R]):
    """Something that several threads need, made by the first of them.

    Args:
        make: makes it.
    """

    make: Callable[[], R]
    _made: list[R] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def get(self) -> R:
        """It."""
        with self._lock:
            if not self._made:
                self._made.append(self.make())
            return self._made[0]
