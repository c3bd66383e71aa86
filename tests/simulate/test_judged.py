"""The generated judged set: its definition, number by number."""

import numpy as np
import pytest

from ultr.errors import UsageError
from ultr.simulate import Synthetic
from ultr.simulate.judged import from_letor, synthetic


def make(seed=0, **sizes):
    return synthetic(np.random.default_rng(seed), Synthetic(**sizes))


def test_sizes():
    j = make(queries=300, docs=40, features=5)
    assert j.logged == 300
    assert len(j.sizes) == 300 + 90
    assert (j.sizes.min(), j.sizes.max()) == (20, 60)
    assert j.features.shape == (j.sizes.sum(), 5)
    assert j.features.dtype == np.float32
    assert len(j.doc_key.unique()) == len(j.grade)
    deviation = np.sqrt((41**2 - 1) / 12 / 390)
    assert abs(j.sizes.mean() - 40) < 5 * deviation


def test_an_odd_mean_is_the_mean_too():
    sizes = make(queries=2000, docs=5, features=1).sizes
    assert (sizes.min(), sizes.max()) == (3, 7)


def test_features_are_clipped_normals_with_a_query_part():
    j = make(queries=400, docs=40, features=6)
    x = j.features * 3
    assert np.abs(j.features).max() == 1
    # Var = 1 + .5²; clipping at 3 takes a little: E[min(|x|, 3)²] by quadrature.
    grid = np.linspace(-10, 10, 20_001)
    density = np.exp(-(grid**2) / 2.5) / np.sqrt(2.5 * np.pi)
    expected = (np.clip(grid, -3, 3) ** 2 * density).sum() * (grid[1] - grid[0])
    assert abs((x**2).mean() - expected) < 0.03
    means = np.add.reduceat(x, j.offsets[:-1]) / j.sizes[:, None]
    assert abs(means.var() - (0.25 + np.mean(1 / j.sizes))) < 0.03


def test_grades_are_the_cut_network_when_nothing_is_clipped():
    """Replay the generator's own draws: σ = 0 leaves the network of x alone."""
    config = Synthetic(queries=30, docs=10, features=7, sigma=0)
    j = synthetic(np.random.default_rng(5), config)
    rng = np.random.default_rng(5)
    rng.integers(5, 15, 39, endpoint=True)
    first = rng.standard_normal((7, 32), np.float32) / np.sqrt(7)
    second = rng.standard_normal(32, np.float32) / np.sqrt(32)
    x = j.features.astype(np.float64) * 3
    s = 3 * np.tanh(x @ first) @ second
    sums = np.add.reduceat(s, j.offsets[:-1]) / j.sizes
    s -= np.repeat(sums, j.sizes)
    clipped = np.add.reduceat(np.abs(x).max(1) >= 3, j.offsets[:-1]) > 0
    near_a_cut = np.abs(s[:, None] - [0.5, 1.2, 2, 2.8]).min(1) < 1e-3
    sure = ~np.repeat(clipped, j.sizes) & ~near_a_cut
    expected = (s > 0.5).astype(int) + (s > 1.2) + (s > 2) + (s > 2.8)
    assert sure.sum() > 100
    np.testing.assert_array_equal(j.grade[sure], expected[sure])


def test_noise_changes_grades_only():
    clean, noisy = (make(queries=30, docs=10, features=7, sigma=s) for s in (0.0, 1.0))
    np.testing.assert_array_equal(clean.features, noisy.features)
    assert (clean.grade != noisy.grade).any()


@pytest.mark.parametrize(
    "text", ["queries=0", "docs=1", "features=0", "sigma=-1", "docs=2.5", "q=1", "queries"]
)
def test_bad_sizes(text):
    with pytest.raises(UsageError):
        Synthetic.parse(text)


def test_parse():
    assert Synthetic.parse("queries=5,docs=4,features=3,sigma=0") == Synthetic(5, 4, 3, 0.0)
    assert Synthetic.parse("docs=8") == Synthetic(docs=8)


def test_letor_keys(letor):
    j = from_letor([letor])
    assert j.query_key.to_pylist() == [7, 9]
    assert j.doc_key.to_pylist() == ["a", "b", "c", "a", "d"]
    assert (j.logged, j.y_max, j.offsets.tolist()) == (2, 2, [0, 3, 5])


def test_keys_that_are_not_all_canonical_numbers_stay_text(letor):
    letor.write_text("1 qid:01 1:1\n0 qid:2 1:1\n")
    assert from_letor([letor]).query_key.to_pylist() == ["01", "2"]
