"""Sets of hashes, in memory or on disk: what is found must not tell which."""

from __future__ import annotations

import numpy as np
import pytest

from ultr.etl.hash_ranges import RANGES, HashRanges, aligned


def some(rng: np.random.Generator, size: int) -> np.ndarray:
    """Hashes over the whole range, the ends of ranges among them; some twice."""
    found = rng.integers(0, 2**64, size, dtype=np.uint64)
    edges = np.arange(0, RANGES, 17, dtype=np.uint64) << np.uint64(56)
    return rng.permutation(np.concatenate([found, found[: size // 3], edges, edges - np.uint64(1)]))


@pytest.mark.parametrize("held", [1, 100, 10**6])
def test_ranges_hold_what_came_in_order(held: int) -> None:
    rng = np.random.default_rng(held)
    parts = [some(rng, size) for size in (0, 40, 7, 300)]
    hashes = HashRanges(held=held)
    for part in parts:
        hashes.add(part)
    assert hashes.is_spilled == (held < 10**6)
    found = np.concatenate([one for (one,) in aligned(hashes)])
    np.testing.assert_array_equal(found, np.sort(np.concatenate(parts)))


@pytest.mark.parametrize("held", [(1, 10**6), (10**6, 1), (1, 1)])
def test_sets_come_in_the_same_ranges(held: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    values = some(rng, 200)
    sets = [HashRanges(held=n) for n in held]
    sets[0].add(values)
    sets[1].add(values[::2])
    pairs = list(aligned(*sets))
    assert len(pairs) == RANGES
    common = np.concatenate([np.intersect1d(a, b) for a, b in pairs])
    np.testing.assert_array_equal(common, np.unique(values[::2]))


def test_nothing_is_one_empty_range() -> None:
    ((none,),) = aligned(HashRanges())
    assert len(none) == 0
