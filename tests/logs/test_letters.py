"""Counts of bytes are those of Python's own."""

from __future__ import annotations

import numpy as np
import pytest

from ultr.logs import letters
from ultr.logs.letters import count, counts_between, places, replaced


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 1000])
def test_counts_and_places(length, monkeypatch):
    monkeypatch.setattr(letters, "_SLICE_BYTES", 128)
    rng = np.random.default_rng(length)
    data = bytes(rng.choice(np.frombuffer(b"a b", np.uint8), length))
    assert count(data, b" ") == data.count(b" ")
    assert places(data, b" ").tolist() == [i for i, c in enumerate(data) if c == 32]
    begin = rng.integers(0, length + 1, 200)
    end = begin + rng.integers(0, length + 1, 200) % (length + 1 - begin)
    expected = [data[a:b].count(b" ") for a, b in zip(begin, end, strict=True)]
    assert counts_between(data, b" ", begin, end).tolist() == expected


@pytest.mark.parametrize(("letter", "by"), [(b"\x01", b" "), (b"z", b"\x00"), (b"a", b"a")])
@pytest.mark.parametrize("length", [0, 1, 128, 1000])
def test_replaced_is_pythons_replace(letter, by, length, monkeypatch):
    monkeypatch.setattr(letters, "_SLICE_BYTES", 128)
    data = bytes(np.random.default_rng(length).integers(0, 256, length, np.uint8))
    assert replaced(data, letter, by) == data.replace(letter, by)
