"""A few blocks of work at a time, in order: Polars, NumPy and Arrow let other threads run."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

WORKERS = 2


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """`map(work, items)` on `WORKERS` threads, holding no more than one result too many.

    Example:
        >>> list(in_order(len, ["a", "bc"]))
        [1, 2]
    """
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(WORKERS) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


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
