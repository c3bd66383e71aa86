"""Every ranker trains, leaves a run that opens to the same scores, and compares whole queries."""

from __future__ import annotations

import numpy as np
import pytest
from flax import nnx

import ultr
from ultr.errors import DataError
from ultr.train import TrainConfig

EXAMINATION = np.array([1.0, 0.7, 0.5, 0.35, 0.2])
QUICK = {"documents_per_batch": 128, "is_refitted": False, "weight_decay": 1.0}
SPECS = {
    "dcn": ultr.DCN(hidden=(8,)),
    "setrank": ultr.SetRank(width=8),
    "setrank in lists": ultr.SetRank(width=8, context="list"),
}


class Own(nnx.Module):
    def __init__(self, n_features, *, rngs):
        self.layer = nnx.Linear(n_features, 1, rngs=rngs)

    def __call__(self, features, query, where):
        del query, where
        return self.layer(features)[:, 0]


@pytest.fixture(scope="module")
def log(planted):
    return planted(EXAMINATION)


def correlation(run, log):
    data, truth, _ = log
    scores = run.score(data.features, data.doc_query)
    return np.corrcoef(scores, data.features @ truth)[0, 1]


@pytest.mark.parametrize("name", SPECS)
def test_it_finds_the_planted_relevance_and_examination(name, log, tmp_path):
    run = ultr.fit(log[0], run=tmp_path / "run", ranker=SPECS[name], **QUICK)
    assert correlation(run, log) > 0.95
    found = run.propensities["propensity"].to_numpy()
    assert np.sqrt(np.mean((found - EXAMINATION) ** 2)) < 0.07
    again = ultr.open_run(run.root)
    assert again.compares is SPECS[name].compares
    both = [r.score(log[0].features, log[0].doc_query) for r in (run, again)]
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize("name", ["setrank", "setrank in lists"])
def test_scores_do_not_depend_on_how_documents_come(name, log, tmp_path, monkeypatch):
    """In any order, and in chunks of any number of whole queries."""
    data = log[0]
    run = ultr.fit(data, run=tmp_path / "run", ranker=SPECS[name], evaluations=1, **QUICK)
    whole = run.score(data.features, data.doc_query)
    order = np.random.default_rng(0).permutation(data.n_documents)
    monkeypatch.setattr("ultr.train.run._COMPARED", 20)
    parts = run.score(data.features[order], data.doc_query[order])
    np.testing.assert_allclose(parts, whole[order], rtol=1e-4, atol=1e-5)


def test_lists_are_scored_as_they_were_trained(log, tmp_path):
    """By `context="list"` a document's score depends on the list that shows it."""
    data = log[0]
    run = ultr.fit(data, run=tmp_path / "run", ranker=SPECS["setrank in lists"], evaluations=1,
                   **QUICK)  # fmt: skip
    f, _ = run.list_logits(data)
    shown = data.document[3]
    np.testing.assert_allclose(f[3], run.score(data.features[shown]), rtol=1e-4, atol=1e-5)


def test_a_ranker_of_one_s_own_is_trained_and_given_again_to_open(log, tmp_path):
    run = ultr.fit(log[0], run=tmp_path / "run", ranker=Own, ranker_rate=0.03, **QUICK)
    assert correlation(run, log) > 0.98
    with pytest.raises(DataError, match="test_rankers:Own"):
        ultr.open_run(run.root)
    again = ultr.open_run(run.root, ranker=Own)
    np.testing.assert_array_equal(*(r.score(log[0].features) for r in (run, again)))


def test_one_way_to_say_a_ranker():
    plain = TrainConfig(hidden=(8,))
    assert TrainConfig(ranker=ultr.MLP((8,))) == plain
    assert TrainConfig(ranker={"kind": "mlp", "hidden": [8]}) == plain
    own = TrainConfig(ranker=ultr.SetRank(blocks=2))
    assert own.to_json()["ranker"]["blocks"] == 2
    assert TrainConfig(ranker=own.to_json()["ranker"]) == own
    assert TrainConfig(ranker="dcn", hidden=(8,)).ranker_spec() == ultr.DCN(hidden=(8,))
    assert hash(TrainConfig(ranker={"kind": "setrank"})) == hash(TrainConfig(ranker="setrank"))
