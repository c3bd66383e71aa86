"""Work done ahead in a thread comes in order, with its errors, and ends when it is not wanted."""

from __future__ import annotations

import threading

import pytest

from ultr.ahead import ahead


@pytest.mark.parametrize("depth", [1, 3])
def test_items_come_in_order(depth):
    assert list(ahead((n for n in range(50)), depth=depth)) == list(range(50))


def test_it_is_another_thread_and_only_so_far_ahead():
    made, threads = [], set()
    third = threading.Event()

    def items():
        for n in range(10):
            threads.add(threading.current_thread())
            made.append(n)
            if n == 2:
                third.set()
            yield n

    got = ahead(items(), depth=2)
    assert next(got) == 0
    assert third.wait(5)
    assert threading.current_thread() not in threads
    # One is given, two are ready, and the next may be on its way into the hands of the thread.
    assert len(made) <= 4
    got.close()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise ValueError("no")

    got = ahead(items())
    assert next(got) == 1
    with pytest.raises(ValueError, match="no"):
        next(got)


def test_the_generator_is_closed_when_the_consumer_stops():
    closed = threading.Event()

    def items():
        try:
            while True:
                yield 0
        finally:
            closed.set()

    got = ahead(items())
    next(got)
    got.close()
    assert closed.is_set()
