"""Weighted quantiles of numbers that come bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from ultr.train import quantiles
from ultr.train.quantiles import Quantiles


@pytest.fixture
def numbers():
    rng = np.random.default_rng(0)
    return rng.normal(size=5000).astype(np.float32), rng.integers(1, 9, 5000).astype(np.float64)


def found(values, weights, *, pieces, levels=8):
    out = Quantiles()
    for v, w in zip(np.array_split(values, pieces), np.array_split(weights, pieces), strict=True):
        out.add(v, w)
    return out.edges(levels)


def test_they_part_the_weight_evenly(numbers):
    values, weights = numbers
    edges = found(values, weights, pieces=1)
    shares = np.bincount(np.searchsorted(edges, values), weights) / weights.sum()
    np.testing.assert_allclose(shares, 1 / 8, atol=1e-3)
    repeated = np.repeat(values, weights.astype(int))
    np.testing.assert_allclose(edges, np.quantile(repeated, np.arange(1, 8) / 8), atol=2e-3)


def test_pieces_change_nothing_while_all_are_kept(numbers):
    np.testing.assert_array_equal(found(*numbers, pieces=1), found(*numbers, pieces=7))


def test_few_are_kept_of_many(numbers, monkeypatch):
    monkeypatch.setattr(quantiles, "MOST", 500)
    values, weights = numbers
    edges = found(values, weights, pieces=20)
    shares = np.bincount(np.searchsorted(edges, values), weights) / weights.sum()
    np.testing.assert_allclose(shares, 1 / 8, atol=20 / 500)
    assert not np.array_equal(edges, found(values, weights, pieces=1))
    out = Quantiles()
    for _ in range(9):
        out.add(values[:400], weights[:400])
    assert len(out._values) <= 500 + 400
