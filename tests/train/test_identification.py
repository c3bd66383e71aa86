"""What a log says about examination: swaps, features that positions share, or nothing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ultr.data import Lists
from ultr.train import identification
from ultr.train.identification import identify, swaps, weakest_link
from ultr.train.overlap import auc

EXAMINATION = np.array([1.0, 0.7, 0.5, 0.35])


def fixed(data: Lists) -> Lists:
    """The first list of each query only."""
    first = np.concatenate([[True], np.diff(data.list_query) > 0])
    return data.select(first)


@pytest.fixture(scope="module")
def log(planted):
    return planted(EXAMINATION)[0]


def test_shuffled_lists_identify_by_swaps(log):
    found = identify(log, by="query", by_features=True)
    assert found.state == "swaps"
    assert found.impressions > 1000
    assert found.separation is None
    assert "weakest link" in found.sentence()


def test_a_fixed_list_per_query_rests_on_features(log):
    found = identify(fixed(log), by="query", by_features=True)
    assert (found.state, found.impressions) == ("features only", 0.0)
    assert 0.5 < found.separation < 0.8
    assert "extrapolated" in found.sentence()


def test_without_features_a_fixed_list_identifies_nothing(log):
    found = identify(fixed(log), by="session", by_features=False)
    assert (found.state, found.separation) == ("none", 1.0)


def test_features_that_tell_the_position_identify_nothing(log):
    data = fixed(log)
    features = data.features.copy()
    features[data.document[data.where], 0] = 5.0 * data.position[data.where]
    apart = identify(dataclasses.replace(data, features=features), by="query", by_features=True)
    assert (apart.state, apart.separation) == ("none", 1.0)
    assert "not identified" in apart.sentence()


def test_only_the_training_split_counts(log):
    is_training = log.query_split[log.list_query] == 0
    first = np.concatenate([[True], np.diff(log.list_query) > 0])
    assert identify(log.select(first | ~is_training), by="query", by_features=True).state != "swaps"
    assert identify(log.select(first | is_training), by="query", by_features=True).state == "swaps"


def test_one_position_has_nothing_to_identify(log):
    data = dataclasses.replace(
        log, where=log.position == 1, position=np.where(log.position == 1, 1, 0)
    )
    assert identify(data, by="query", by_features=False).state == "swaps"


def test_a_rare_position_does_not_decide(log):
    position = log.position.copy()
    position[0, position[0] == 4] = 9  # one page of 480 goes on
    data = dataclasses.replace(log, position=position)
    assert identify(data, by="query", by_features=False).state == "swaps"


@pytest.mark.parametrize("cells", [1, 100, 4_000_000])
def test_swaps_are_harmonic_impressions_in_any_block_size(log, monkeypatch, cells):
    monkeypatch.setattr(identification, "_CELLS", cells)
    position = np.arange(1, 5)
    got = swaps(log, log.sessions, position=position)
    count = np.zeros((log.n_documents, 5))
    for k in range(log.where.shape[1]):
        np.add.at(count, (log.document[:, k], log.position[:, k]), log.sessions * log.where[:, k])
    n, m = count[:, 1:, None], count[:, None, 1:]
    expected = (n * m / np.maximum(n + m, 1)).sum(axis=0) * (1 - np.eye(4))
    np.testing.assert_allclose(got, expected)


def test_the_weakest_link_is_that_of_the_best_way_to_connect():
    rng = np.random.default_rng(0)
    links = rng.integers(0, 9, (6, 6)).astype(float)
    links = links + links.T

    def is_connected(least):
        reached = {0}
        for _ in links:
            reached |= {j for i in reached for j in range(6) if links[i, j] >= least and i != j}
        return len(reached) == 6

    found = weakest_link(links)
    assert is_connected(found)
    assert not is_connected(found + 1)
    apart = np.kron(np.eye(2), np.ones((3, 3)))
    assert weakest_link(apart) == 0.0


def test_auc_counts_pairs():
    rng = np.random.default_rng(1)
    high, low = rng.integers(0, 9, 50).astype(float), rng.integers(0, 7, 40).astype(float)
    difference = high[:, None] - low
    assert auc(high, low) == pytest.approx(((difference > 0) + 0.5 * (difference == 0)).mean())
