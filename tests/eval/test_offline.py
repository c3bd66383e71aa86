"""Evaluation without labels on a small lake: what is reported, refused and left out."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ultr.cli.evaluate import _short
from ultr.data import load_lists
from ultr.errors import DataError
from ultr.eval.evaluate import evaluate
from ultr.eval.offline import Curve
from ultr.eval.residuals import logged_rank, residuals


@pytest.fixture
def result(lake, feature_run):
    return evaluate(feature_run, lake=lake, queries="all")


def test_the_logged_pages_are_worth_their_clicks(result, lake):
    data = load_lists(lake)
    per_session = data.clicks.sum() / data.weight.sum()
    assert result["pages_clicks_logged"] == pytest.approx(per_session)
    assert result["pages_support"] == 1
    for what in ("logged", "snips", "dr", "lift"):
        for metric in ("clicks", "dcg"):
            value, low, high = (
                result[f"pages_{metric}_{what}{end}"] for end in ("", "_low", "_high")
            )
            assert low <= value <= high


def test_the_lift_of_pages_is_that_of_the_formula(result, lake, feature_run):
    """By hand: γ = C/E of each pair, times θ at the new and at the old place."""
    data = load_lists(lake)
    theta = np.array([0, 1, 0.5, 0.5])
    f, _ = feature_run.list_logits(data)
    c, e, moved = np.zeros(data.n_documents), np.zeros(data.n_documents), 0.0
    for row in range(data.n_lists):
        for at, d in enumerate(data.document[row]):
            c[d] += data.clicks[row, at]
            e[d] += data.weight[row] * theta[data.position[row, at]]
    for row in range(data.n_lists):
        order = np.argsort(-f[row], kind="stable")
        for place, at in enumerate(order, 1):
            d = data.document[row, at]
            moved += data.weight[row] * theta[place] * c[d] / e[d]
    assert result["pages_clicks_snips"] == pytest.approx(moved / data.weight.sum(), rel=1e-5)


def test_candidates_that_the_log_never_showed_lower_the_support(result):
    assert 0.5 <= result["candidates_support"] < 1  # two of five documents are never shown


def test_without_support_there_is_no_number_but_a_reason(lake, feature_run, monkeypatch):
    monkeypatch.setattr("ultr.eval.offline.MIN_SUPPORT", 0.99)
    got = evaluate(feature_run, lake=lake, queries="all")
    assert "less than 99%" in got["candidates_refused"]
    assert not any(name.startswith("candidates_clicks") for name in got)
    assert "pages_clicks_dr" in got


def test_a_method_without_examination_needs_propensities(lake, feature_run, tmp_path):
    feature_run.config["settings"] = {"method": "naive"}
    got = evaluate(feature_run, lake=lake, queries="all")
    assert "--propensities" in got["no_new_ranking_values"]
    given = tmp_path / "p.parquet"
    pq.write_table(pa.table({"position": [1, 2, 3], "propensity": [1.0, 0.5, 0.5]}), given)
    with_file = evaluate(feature_run, lake=lake, queries="all", propensities=given)
    del feature_run.config["settings"]
    own = evaluate(feature_run, lake=lake, queries="all")
    assert with_file["pages_clicks_dr"] == pytest.approx(own["pages_clicks_dr"])


def test_propensities_must_cover_the_log(lake, feature_run, tmp_path):
    given = tmp_path / "p.parquet"
    pq.write_table(pa.table({"position": [1, 2], "propensity": [1.0, 0.5]}), given)
    with pytest.raises(DataError, match="every position"):
        evaluate(feature_run, lake=lake, queries="all", propensities=given)


def test_calibrated_probabilities_are_no_worse_than_a_constant(result, lake):
    data = load_lists(lake)
    rate = data.clicks.sum() / (data.where.sum(axis=1) * data.weight).sum()
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    assert result["click_nll_calibrated"] < entropy + 0.25
    assert 1 < result["perplexity_calibrated@1"] < 3


def test_a_curve_of_contexts_is_their_mean():
    curve = Curve.of(np.array([1, 2, 1, 2]), np.array([1.0, 0.5, 1.0, 0.3]))
    assert curve(np.array([0, 1, 2, 7])).tolist() == [0, 1, 0.4, 0]


def test_residuals_are_written_beside_the_run_and_sum_to_nothing(lake, feature_run, tmp_path):
    feature_run.root = tmp_path / "run"
    feature_run.root.mkdir()
    evaluate(feature_run, lake=lake, queries="all")
    table = pq.read_table(feature_run.root / "residuals.parquet")
    assert table.column_names == ["rank", "decile", "impressions", "clicks", "expected"]
    assert set(table["rank"].to_pylist()) == {1, 2, 3}
    data = load_lists(lake)
    assert sum(table["clicks"].to_pylist()) == data.clicks.sum()
    assert sum(table["expected"].to_pylist()) == pytest.approx(data.clicks.sum())
    assert sum(table["impressions"].to_pylist()) == (data.where.sum(axis=1) * data.weight).sum()


def test_a_model_that_is_right_leaves_flat_residuals(lake):
    """Scores that reproduce each list's own clicks leave nothing."""
    data = load_lists(lake)
    f = np.log(np.maximum(data.clicks, 1e-9)).astype(np.float32)
    table = residuals(f, np.zeros_like(f), data)
    rest = table["clicks"].to_numpy() - table["expected"].to_numpy()
    assert np.abs(rest).max() < 1e-3


def test_without_features_the_logged_rank_is_the_mean_position(lake):
    from dataclasses import replace

    data = load_lists(lake)
    bare = replace(data, features=data.features[:, :0], transform=None)
    shown = np.unique(data.document[data.where])
    assert set(logged_rank(bare)[shown].tolist()) <= {1.0, 2.0, 3.0}


def test_people_see_an_interval_beside_its_value(result):
    short = _short(result)
    assert not any(name.endswith(("_low", "_high")) for name in short)
    assert " to " in short["pages_clicks_dr"]
    assert len(short["perplexity_calibrated by rank"].split()) == 3
    assert short["ndcg@10"] == result["ndcg@10"]


def test_what_the_curve_rests_on_is_told_beside_the_values(lake, feature_run, monkeypatch):
    table = feature_run.propensities.replace_schema_metadata({"identification": "features only"})
    monkeypatch.setattr(type(feature_run), "propensities", table)
    assert "propensities_rest_on" not in evaluate(feature_run, lake=lake, queries="all")
    feature_run.config["settings"] = {"method": "dla"}
    got = evaluate(feature_run, lake=lake, queries="all")
    assert got["propensities_rest_on"] == "features only"
