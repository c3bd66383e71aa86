"""Lean frames say the same, and take no more memory than they are told to."""

from __future__ import annotations

import polars as pl
import pytest

from ultr.logs.lean import lean

FRAME = pl.DataFrame(
    {
        "varies": [1, 2, 3, 1],
        "source": ["a"] * 4,
        "ends": ["x", "y", "z", "x"],
        "some": ["x", None, "x", "x"],
        "none": pl.Series([None] * 4, dtype=pl.String),
        "lists": pl.Series([None] * 4, dtype=pl.List(pl.Int64)),
    }
)


@pytest.mark.parametrize("rows", [0, 1, 4])
def test_the_rows_are_the_same(rows):
    found, _ = lean(FRAME.head(rows))
    assert found.equals(FRAME.head(rows))
    assert found.schema == FRAME.schema
    order = list(range(rows))[::-1]
    assert found[order].equals(FRAME.head(rows)[order])


def test_a_column_of_one_value_is_no_memory():
    once, thousand = (lean(FRAME.select("source", "none", "lists")[[0] * n])[1] for n in (1, 1000))
    assert once == thousand == 0


@pytest.mark.parametrize("length", [1, 40])
def test_texts_are_counted_with_what_polars_keeps_beside_them(length):
    texts = pl.DataFrame({"text": [f"{i:0{length}}" for i in range(10)]})
    assert lean(texts)[1] == 10 * (16 + length)


def held_bytes(texts):
    """All that views of texts keep in memory beside themselves."""
    return sum(b.size for b in texts.to_arrow(compat_level=pl.CompatLevel.newest()).buffers()[2:])


@pytest.mark.parametrize("share", [2, 50, 1000])
def test_letters_of_rows_that_were_filtered_out_are_let_go_of(share):
    texts = pl.DataFrame({"text": [f"{i:040}" for i in range(4000)]})
    few = texts.filter(pl.int_range(pl.len()) % share == 0)
    assert held_bytes(few["text"]) == 4000 * 40  # as Polars leaves them
    found, size = lean(few)
    assert found.equals(few)
    assert held_bytes(found["text"]) == few.height * 40
    assert size == few.height * (16 + 40)
