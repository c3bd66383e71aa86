"""Files are read in order and ahead; one that breaks does not take the others with it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from ultr.errors import DataError
from ultr.etl.readings import Readings
from ultr.logs.chunk import PAGE_SCHEMA, REJECT_SCHEMA, Chunk

A, B, C = (Path(n) for n in "abc")
BROKEN = DataError("a file must be whole", got="half of one", hint="copy it again")


def chunk(lines):
    return Chunk(PAGE_SCHEMA.to_frame(), REJECT_SCHEMA.to_frame(), lines=lines, used=lines)


def readings(contents, *, unwanted=()):
    """Files by what they yield: the lines of a chunk, or an error."""

    def read(path):
        for item in contents[path]:
            if isinstance(item, Exception):
                raise item
            yield chunk(item)

    return Readings(
        contents,
        mark=lambda path: {"name": path.name},
        is_wanted=lambda path, mark: mark == {"name": path.name} and path not in unwanted,
        read=read,
    )


def lines(reading):
    return [c.lines for c in reading.chunks]


def test_files_come_in_order_each_with_its_mark():
    with readings({A: [1, 2], B: [], C: [3]}) as files:
        for path, expected in ((A, [1, 2]), (B, []), (C, [3])):
            reading = files.open(path)
            assert reading.mark == {"name": path.name}
            assert lines(reading) == expected


def test_a_file_that_is_not_wanted_is_not_read():
    with readings({A: [BROKEN], B: [7]}, unwanted={A}) as files:
        assert files.open(A).chunks is None
        assert lines(files.open(B)) == [7]


def test_an_error_is_that_of_its_own_file():
    with readings({A: [1, BROKEN], B: [7]}) as files:
        chunks = files.open(A).chunks
        assert next(chunks).lines == 1
        with pytest.raises(DataError) as raised:
            next(chunks)
        assert raised.value is BROKEN
        assert lines(files.open(B)) == [7]


def test_what_is_left_of_a_file_is_passed_over():
    made = []

    def endless(path):
        for n in range(10**6 if path == A else 1):
            made.append(path)
            yield chunk(n)

    with Readings([A, B], mark=lambda _: {}, is_wanted=lambda *_: True, read=endless) as files:
        reading = files.open(A)
        next(reading.chunks)
        reading.chunks.close()
        assert lines(files.open(B)) == [0]
    assert made.count(A) < 10


def test_no_thread_stays_when_nobody_asks_any_more():
    before = set(threading.enumerate())
    with readings({A: [1, 2, 3, 4], B: [1]}) as files:
        next(files.open(A).chunks)
    assert set(threading.enumerate()) == before
