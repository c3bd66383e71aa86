"""Counts of bytes are those of Python's own."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from ultr.logs import letters
from ultr.logs.letters import count, counts_within, has, places, replaced, replaced_within

WORDS = pl.Series(["a b", None, "", "b\x01é -b", "x" * 300 + " ", "a"], dtype=pl.String)


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 1000])
def test_counts_and_places(length, monkeypatch):
    monkeypatch.setattr(letters, "_SLICE_BYTES", 128)
    rng = np.random.default_rng(length)
    data = bytes(rng.choice(np.frombuffer(b"a b", np.uint8), length))
    assert count(data, b" ") == data.count(b" ")
    assert places(data, b" ").tolist() == [i for i, c in enumerate(data) if c == 32]
    pieces = [
        p.decode() for p in np.array_split(np.frombuffer(data, "S1"), 7) for p in [b"".join(p)]
    ]
    expected = [p.count(" ") + p.count("b") for p in pieces]
    assert counts_within(pl.Series(pieces, dtype=pl.String), b" b").tolist() == expected


@pytest.mark.parametrize("cut", [slice(None), slice(1, 5), slice(3, 3)])
def test_of_a_column_each_text_is_looked_at_by_itself(cut, monkeypatch):
    monkeypatch.setattr(letters, "_SLICE_BYTES", 128)
    column = WORDS[cut]
    expected = [sum((text or "").count(c) for c in " b") for text in column]
    assert counts_within(column, b" b").tolist() == expected
    assert has(column, b"\x01") == any("\x01" in (text or "") for text in column)
    assert not has(column, b"z")
    text = pa.array(column.to_list(), pa.large_string())
    spaced = replaced_within(text.slice(1), b"\x01", b" ")
    spaced.validate(full=True)
    assert spaced.to_pylist() == [t and t.replace("\x01", " ") for t in column.to_list()[1:]]


@pytest.mark.parametrize(("letter", "by"), [(b"\x01", b" "), (b"z", b"\x00"), (b"a", b"a")])
@pytest.mark.parametrize("length", [0, 1, 128, 1000])
def test_replaced_is_pythons_replace(letter, by, length, monkeypatch):
    monkeypatch.setattr(letters, "_SLICE_BYTES", 128)
    data = bytes(np.random.default_rng(length).integers(0, 256, length, np.uint8))
    assert replaced(data, letter, by) == data.replace(letter, by)
