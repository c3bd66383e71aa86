"""Items come in order, errors after the items before them, and no thread stays behind."""

import threading

import pytest

from ultr.logs.ahead import ahead


def threads():
    return {t.name for t in threading.enumerate()}


def test_all_items_in_order():
    assert list(ahead(i for i in range(100))) == list(range(100))
    assert "ultr-ahead" not in threads()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        raise KeyError("x")

    found = ahead(items())
    assert next(found) == 1
    with pytest.raises(KeyError):
        next(found)
    assert "ultr-ahead" not in threads()


def test_who_stops_early_stops_the_work():
    begun = []
    found = ahead(begun.append(i) or i for i in range(1000))
    assert next(found) == 0
    found.close()
    assert len(begun) < 10
    assert "ultr-ahead" not in threads()
