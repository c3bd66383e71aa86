"""Counts of bytes are those of Python's own."""

from __future__ import annotations

import numpy as np
import pytest

from ultr.logs.letters import count, counts_between, places


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 1000])
def test_counts_and_places(length):
    rng = np.random.default_rng(length)
    data = bytes(rng.choice(np.frombuffer(b"a b", np.uint8), length))
    assert count(data, b" ") == data.count(b" ")
    assert places(data, b" ").tolist() == [i for i, c in enumerate(data) if c == 32]
    begin = rng.integers(0, length + 1, 200)
    end = begin + rng.integers(0, length + 1, 200) % (length + 1 - begin)
    expected = [data[a:b].count(b" ") for a, b in zip(begin, end, strict=True)]
    assert counts_between(data, b" ", begin, end).tolist() == expected
