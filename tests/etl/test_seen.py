"""Nothing new is ever called old; what is old may be called new when memory is short."""

from __future__ import annotations

import polars as pl
import pytest

from ultr.etl.seen import Seen


def frame(values):
    return pl.DataFrame({"key": pl.Series(values, dtype=pl.String), "title": "t"})


def test_each_row_comes_once():
    seen = Seen()
    assert seen.only_new(frame(["a", "b", "a"]))["key"].to_list() == ["a", "b"]
    assert seen.only_new(frame(["b", "c", "c", "a"]))["key"].to_list() == ["c"]
    assert seen.only_new(frame([])).height == 0


def test_another_text_of_a_key_is_another_row():
    seen = Seen()
    seen.only_new(frame(["a"]))
    assert seen.only_new(frame(["a"]).with_columns(title=pl.lit("u"))).height == 1
    assert seen.only_new(frame(["a"]).with_columns(title=pl.lit(None, pl.String))).height == 1


@pytest.mark.parametrize("slots", [2, 64])
def test_with_few_slots_no_row_is_lost(slots):
    seen, keys = Seen(slots=slots), [str(n * n % 97) for n in range(500)]
    parts = [seen.only_new(frame(keys[i : i + 50])) for i in range(0, 500, 50)]
    assert set(pl.concat(parts)["key"]) == set(keys)
