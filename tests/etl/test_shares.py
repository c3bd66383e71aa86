"""Sets of hashes as sorted arrays are what NumPy's own set functions say."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ultr.etl.shares import merged, sorted_hashes, within


def hashes(seed, size):
    """Some of them equal, and some above 2⁶³."""
    return np.random.default_rng(seed).integers(0, 50, size).astype(np.uint64) << np.uint64(58)


@pytest.mark.parametrize("size", [0, 1, 40])
def test_merged_is_the_union(size):
    a, b = hashes(1, size), hashes(2, 25)
    assert merged(a, b).tolist() == np.union1d(a, b).tolist()
    assert sorted_hashes([pl.Series(a), pl.Series(b)]).tolist() == merged(a, b).tolist()
    assert merged().dtype == sorted_hashes([]).dtype == np.uint64


@pytest.mark.parametrize("size", [0, 30])
def test_within_is_isin(size):
    known, asked = merged(hashes(3, size)), hashes(4, 40)
    assert within(pl.Series(asked), known).tolist() == np.isin(asked, known).tolist()
