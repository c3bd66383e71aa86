"""Harvested examination: the formulas by hand, and planted curves found again."""

from functools import partial

import numpy as np
import pytest

from tests.diagnose.logs import K, chunk_of, counted, log, planted
from ultr.diagnose.bootstrap import FEW_QUERIES, curve, resample
from ultr.diagnose.counts import pair_index
from ultr.diagnose.harvest import ESTIMATES, all_pairs, pivot
from ultr.diagnose.likelihood import fit_pairs
from ultr.diagnose.swaps import add_up, find_swaps, within_context


@pytest.fixture(scope="module")
def counts():
    return counted(log(0))


@pytest.mark.parametrize("name", ESTIMATES)
def test_every_estimator_finds_planted_examination(counts, name):
    found = ESTIMATES[name](counts.swaps.sum(0)[None], positions=K)[0]
    assert found[0] == 1
    assert np.abs(found / planted() - 1).max() < 0.2
    ctr = counts.by_position[:, 1] / counts.by_position[:, 0]
    assert np.abs(ctr / ctr[0] / planted() - 1).max() > 0.3  # the logger's relevance is in there


@pytest.mark.parametrize("seed", range(3))
def test_intervals_cover_planted_examination(seed):
    counts = counted(log(seed + 10))
    found = curve(counts.swaps, partial(all_pairs, positions=K), replicates=100, seed=seed)
    inside = (found.low <= planted()) & (planted() <= found.high)
    assert inside.sum() >= K - 1
    assert (found.high - found.low)[1:].min() > 0


def exact(theta, n):
    """Exposures without noise: a document of relevance r, n[k] times at rank k, clicked n·θ·r."""
    rng = np.random.default_rng(1)
    relevance = rng.uniform(0.1, 0.9, len(n))
    # A logger that knows relevance shows good documents on top more often.
    shown = np.where(relevance[:, None] > 0.5, n, n[:, ::-1])
    return shown, shown * theta * relevance[:, None]


def test_the_weights_of_both_sides_are_equal_and_harmonic():
    theta = np.array([1.0, 0.5])
    n = np.tile([100.0, 10.0], (40, 1))
    shown, clicks = exact(theta, n)
    h = shown.prod(1) / shown.sum(1)
    rate = clicks / shown
    harmonic = np.stack([h, h * rate[:, 0], h * rate[:, 1]], axis=-1).sum(0)
    for estimate in ESTIMATES.values():
        assert estimate(harmonic[None, None], positions=2)[0, 1] == pytest.approx(0.5, abs=1e-6)
    # Each side by its own impressions: raw clicks, and the logger's opinion comes back.
    raw = np.stack([h, clicks[:, 0], clicks[:, 1]], axis=-1).sum(0)
    assert abs(pivot(raw[None, None], positions=2)[0, 1] - 0.5) > 0.1


def test_the_program_weights_both_sides_harmonically():
    # A good document mostly at rank 1, a bad one mostly at rank 2; examination is 1 and 0.5.
    rows = [(0, 1, 90, 81), (0, 2, 20, 9), (1, 1, 20, 4), (1, 2, 90, 9)]
    document, position, n, clicks = np.array(rows).T
    chunk = chunk_of(np.zeros(4, int), document[:, None], clicks[:, None],
                     position=position[:, None])._replace(impressions=n)  # fmt: skip
    sums = counted(chunk, positions=2).swaps.sum(0)
    h = 90 * 20 / 110
    assert sums[0] == pytest.approx([2 * h, h * (0.9 + 0.2), h * (0.45 + 0.1)])
    assert pivot(sums[None], positions=2)[0, 1] == pytest.approx(0.5)
    assert clicks[1::2].sum() / clicks[::2].sum() < 0.25  # what raw clicks would say


def test_pairs_are_indexed_by_the_unordered_pair():
    a, b = np.triu_indices(12, 1)
    index = pair_index(a + 1, b + 1)
    assert sorted(index.tolist()) == list(range(66))
    assert pair_index(np.array([2]), np.array([6])) != pair_index(np.array([3]), np.array([4]))


def test_the_likelihood_is_at_its_maximum():
    rng = np.random.default_rng(3)
    upper, lower = np.triu_indices(5, 1)
    weight = rng.uniform(50, 200, (2, 10))
    clicks = weight[..., None] * rng.uniform(0.05, 0.6, (2, 10, 2))
    a = fit_pairs(clicks, weight, upper=upper, lower=lower, nodes=5)

    def best(a):
        """The likelihood at its best r, found on a fine grid for each pair."""
        top = np.maximum(a[:, upper], a[:, lower])
        b = np.log(np.linspace(1e-3, 0.999, 20_000))[:, None, None] - top
        total = 0.0
        for side, node in enumerate((upper, lower)):
            p = np.exp(a[:, node] + b)
            c = clicks[..., side]
            total = total + c * np.log(p) + (weight - c) * np.log1p(-p)
        return total.max(0).sum(1)

    for k in range(1, 5):
        for step in (-0.02, 0.02):
            moved = a.copy()
            moved[:, k] += step
            assert (best(moved) < best(a)).all()


def test_ranks_that_nothing_connects_are_unknown():
    sums = np.zeros((1, 6, 3))
    sums[0, 0] = (100, 20, 10)  # ranks 1 and 2
    sums[0, 5] = (100, 20, 10)  # ranks 3 and 4
    found = all_pairs(sums, positions=4)[0]
    assert found[1] == pytest.approx(0.5, abs=1e-6)
    assert np.isnan(found[2:]).all()


def test_a_rank_without_clicks_ends_at_zero_and_a_certain_click_at_one():
    assert all_pairs(np.array([[[50.0, 20.0, 0.0]]]), positions=2)[0, 1] < 1e-6
    assert all_pairs(np.array([[[50.0, 50.0, 50.0]]]), positions=2)[0, 1] == pytest.approx(1)


def test_the_bootstrap_resamples_queries():
    sums = np.random.default_rng(0).normal(5, 1, (400, 2))
    draws = resample(sums, replicates=4000, seed=0)
    assert draws.mean(0) == pytest.approx(sums.sum(0), rel=0.01)
    assert draws.std(0) == pytest.approx(np.sqrt((sums**2).sum(0)), rel=0.05)
    assert (draws == resample(sums, replicates=4000, seed=0)).all()


def test_few_queries_give_no_interval():
    sums = np.ones((FEW_QUERIES - 1, 1, 3)) * (10, 4, 2)
    found = curve(sums, partial(pivot, positions=2), replicates=50, seed=0)
    assert found.propensity[1] == 0.5
    assert np.isnan(found.low).all()


def test_swaps_are_those_of_a_double_loop():
    rng = np.random.default_rng(5)
    chunk = chunk_of(
        rng.integers(0, 4, 300), rng.integers(0, 4, (300, 3)), rng.integers(0, 2, (300, 3)),
        context=rng.integers(0, 2, (300, 1)), position=rng.integers(1, 5, (300, 3)),
    )  # fmt: skip
    seen = {}
    for q, d, k, c, _, n, clicks in zip(*(v.tolist() for v in chunk), strict=True):
        at = seen.setdefault((q, d), {}).setdefault((c, k), [0, 0])
        at[0] += n
        at[1] += clicks
    expected = sorted(
        (q, *a, *b, *nodes[a], *nodes[b])
        for (q, _), nodes in seen.items() for a in nodes for b in nodes
        if a < b and a[0] == b[0]
    )  # fmt: skip
    s = within_context(find_swaps(add_up(chunk)))
    mask = (1 << 15) - 1
    found = sorted(zip(
        *(v.tolist() for v in (
            s.query, s.node_a >> 15, s.node_a & mask, s.node_b >> 15, s.node_b & mask,
            s.n_a, s.clicks_a, s.n_b, s.clicks_b,
        )), strict=True,
    ))  # fmt: skip
    assert found == expected
