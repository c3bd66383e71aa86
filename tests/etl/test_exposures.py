"""Exposures are summed exactly, whichever way the numbers allow."""

import numpy as np
import pytest

from ultr.etl.exposures import Exposures, add_up


def entries(n, *, most, contexts, dwell):
    rng = np.random.default_rng(0)
    shown = rng.integers(0, most, n)
    times = rng.integers(0, 2, n) if dwell else np.zeros(n, np.int64)
    pair = rng.integers(0, 20, n)
    return pair, Exposures(
        period=rng.integers(0, 3, n).astype(np.int32),
        query=pair // 4,
        document=pair * 1000,
        position=rng.integers(1, 4, n).astype(np.int16),
        context=rng.integers(0, contexts, n).astype(np.int32),
        impressions=shown,
        clicks=shown // 2,
        dwell_ms=times * 7,
        times=times,
    )


def expected(found, pair):
    keys = np.stack([found.period, pair, found.position, found.context])
    cells, number = np.unique(keys, axis=1, return_inverse=True)
    sums = [np.zeros(cells.shape[1], np.int64) for _ in found[5:]]
    for total, values in zip(sums, found[5:], strict=True):
        np.add.at(total, number.ravel(), values)
    period, of, position, context = cells
    return [period, of // 4, of * 1000, position, context, *sums]


@pytest.mark.parametrize("dwell", [False, True])
@pytest.mark.parametrize("contexts", [1, 5])
@pytest.mark.parametrize("most", [1, 2, 1000, 2**40], ids="up to {}".format)
def test_counts_by_period_pair_position_and_context(most, contexts, dwell):
    pair, found = entries(3000, most=most, contexts=contexts, dwell=dwell)
    for column, wanted in zip(add_up(found, pair=pair), expected(found, pair), strict=True):
        np.testing.assert_array_equal(column, wanted)


def test_none():
    pair, found = entries(0, most=2, contexts=1, dwell=False)
    assert len(add_up(found, pair=pair).query) == 0
