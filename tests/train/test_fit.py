"""Training finds a planted bias, keeps its laws, and leaves a run that can be opened again."""

from __future__ import annotations

import dataclasses
import json
import math
import shutil
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ultr
from ultr.errors import DataError, UsageError
from ultr.eval.held_out import click_metrics
from ultr.eval.propensity import propensity_rmse
from ultr.train import Identification, TrainConfig
from ultr.train.device import on_device
from ultr.train.phases import effective_clicks
from ultr.train.start import start
from ultr.train.step import gather, logits, update

EXAMINATION = np.array([1.0, 0.7, 0.5, 0.35, 0.2])
QUICK = {"ranker": "linear", "ranker_rate": 0.03, "documents_per_batch": 128}


@pytest.fixture(scope="module")
def log(planted):
    return planted(EXAMINATION)


@pytest.fixture(scope="module")
def run(log, tmp_path_factory):
    return ultr.fit(log[0], run=tmp_path_factory.mktemp("runs") / "dla", **QUICK)


def rmse(run):
    found = run.propensities["propensity"].to_numpy()
    return np.sqrt(np.mean((found - EXAMINATION) ** 2))


def correlation(run, log):
    data, truth, _ = log
    return np.corrcoef(run.score(data.features), data.features @ truth)[0, 1]


def test_dla_finds_the_planted_examination_and_relevance(run, log):
    assert rmse(run) < 0.04
    assert correlation(run, log) > 0.98


def test_the_weights_form_finds_it_too(log, tmp_path):
    run = ultr.fit(log[0], run=tmp_path / "run", correction="weights", **QUICK)
    assert rmse(run) < 0.06


def shifted(data, by, lists=slice(None)):
    """The same pages with their positions `by` lower, in some of the lists."""
    position = data.position.copy()
    position[lists] += by
    return dataclasses.replace(data, position=position)


def test_only_positions_of_the_log_have_propensities(log, tmp_path):
    data = shifted(log[0], 10)
    run = ultr.fit(data, run=tmp_path / "run", **QUICK)
    found = run.propensities
    assert found["position"].to_pylist() == [11, 12, 13, 14, 15]
    np.testing.assert_allclose(found["propensity"], EXAMINATION, atol=0.08)
    assert list(run.summary["propensities"]) == ["11", "12", "13", "14", "15"]
    truth = [0.5] * 10 + (0.4 * EXAMINATION).tolist()
    error = propensity_rmse(found["propensity"], truth, position=found["position"].to_numpy())
    assert error == pytest.approx(rmse(run))
    again = ultr.fit(
        data, run=tmp_path / "ipw", method="ipw", propensities=run.root / "propensities.parquet",
        **QUICK | {"evaluations": 1},
    )  # fmt: skip
    np.testing.assert_allclose(again.propensities["propensity"], found["propensity"], rtol=1e-5)


def test_sessions_of_positions_that_training_never_saw_are_left_out(run, log):
    data = log[0]
    plain = click_metrics(run, data, split="test")
    is_test = data.query_split[data.list_query] == 2
    lower = np.flatnonzero(is_test)[:3]
    got = click_metrics(run, shifted(data, 5, lower), split="test")
    assert got["n_sessions_of_unknown_positions"] == data.sessions[lower].sum()
    assert got["n_sessions"] + data.sessions[lower].sum() == plain["n_sessions"]
    assert "n_sessions_of_unknown_positions" not in plain
    with pytest.raises(DataError, match="never saw"):
        click_metrics(run, shifted(data, 5), split="test")


def test_without_position_bias_dla_equals_naive(planted, tmp_path):
    data, _, _ = planted(np.ones(5))
    dla = ultr.fit(data, run=tmp_path / "dla", **QUICK)
    naive = ultr.fit(data, run=tmp_path / "naive", method="naive", **QUICK)
    np.testing.assert_allclose(dla.propensities["propensity"], 1.0, atol=0.06)
    scores = [r.score(data.features) for r in (dla, naive)]
    assert np.corrcoef(*scores)[0, 1] > 0.99


def test_by_default_the_ranker_is_refitted_with_propensities_that_were_learned_jointly(
    log, tmp_path
):
    run = ultr.fit(log[0], run=tmp_path / "run", documents_per_batch=128)
    assert rmse(run) < 0.05
    assert correlation(run, log) > 0.97
    lines = [json.loads(line) for line in (run.root / "metrics.jsonl").read_text().splitlines()]
    assert {line["phase"] for line in lines} == {"joint", "refit", "refit corrected more"}


def test_the_ranker_is_corrected_as_far_as_the_clicks_bear_it(log, tmp_path):
    """And the curve that the run tells is whole, whatever share of it the ranker was given."""
    data, short = log[0], {"documents_per_batch": 128, "evaluations": 3, "weight_decay": 3.0}
    run = ultr.fit(data, run=tmp_path / "run", **short)
    found = np.log(run.propensities["propensity"].to_numpy())
    clicked = data.split("train", by="query")
    n = effective_clicks(clicked, found, max_weight=100.0)
    least = n / (n + 4000)
    shares = (least, (least + 1) / 2)
    assert run.summary["strength"] in [pytest.approx(s, rel=1e-3) for s in shares]
    none = ultr.fit(data, run=tmp_path / "none", strength=0.0, **short)
    np.testing.assert_allclose(
        none.propensities["propensity"], run.propensities["propensity"], rtol=1e-6
    )
    naive = ultr.fit(data, run=tmp_path / "naive", method="naive", **short)
    scores = [r.score(data.features) for r in (none, naive)]
    # A softmax leaves the mean of all scores to chance.
    np.testing.assert_allclose(*(f - f.mean() for f in scores), atol=1e-3)
    lists = data.select(np.arange(data.n_lists) < 5)
    g = run.list_logits(lists)[1]
    np.testing.assert_allclose(
        g - g[:, :1], run.summary["strength"] * (found - found[0])[lists.position - 1]
        - run.summary["strength"] * (found - found[0])[lists.position[:, :1] - 1], atol=1e-5,
    )  # fmt: skip
    assert np.ptp(none.list_logits(lists)[1]) == 0


@pytest.mark.parametrize("state", ["swaps", "features only"])
def test_many_clicks_and_swaps_correct_in_full(planted, tmp_path, monkeypatch, state):
    """And almost where the curve rests on features alone."""
    monkeypatch.setattr(
        sys.modules["ultr.train.fit"], "identify", lambda *_, **__: Identification(state, 1e3, None)
    )
    data, _, _ = planted(EXAMINATION, sessions=4000)
    run = ultr.fit(data, run=tmp_path / "run", documents_per_batch=128, evaluations=1)
    found = np.log(run.propensities["propensity"].to_numpy())
    n = effective_clicks(data.split("train", by="query"), found, max_weight=100.0)
    assert n > 30_000
    expected = 1.0 if state == "swaps" else n / (n + 1000)
    assert run.summary["strength"] == pytest.approx(expected, rel=1e-3)


def test_effective_clicks_are_all_of_them_when_weights_are_equal(log):
    data = log[0]
    clicks = data.clicks.sum()
    even = effective_clicks(data, np.zeros(5), max_weight=100.0)
    np.testing.assert_allclose(even, clicks, rtol=1e-5)
    w = 1 / EXAMINATION
    by_position = data.clicks.sum(axis=0)
    expected = (by_position * w).sum() ** 2 / (by_position * w**2).sum()
    spread = effective_clicks(data, np.log(EXAMINATION), max_weight=100.0)
    np.testing.assert_allclose(spread, expected, rtol=1e-5)


def test_ipw_uses_what_it_is_given(log, tmp_path):
    path = tmp_path / "given.parquet"
    pq.write_table(pa.table({"position": range(1, 6), "propensity": EXAMINATION * 0.5}), path)
    run = ultr.fit(log[0], run=tmp_path / "run", method="ipw", propensities=path, **QUICK)
    np.testing.assert_allclose(run.propensities["propensity"], EXAMINATION, rtol=1e-5)
    assert correlation(run, log) > 0.98


def test_a_run_opens_to_the_same_scores_and_knows_itself(run, log):
    again = ultr.open_run(run.root)
    np.testing.assert_array_equal(again.score(log[0].features), run.score(log[0].features))
    lines = [json.loads(line) for line in (run.root / "metrics.jsonl").read_text().splitlines()]
    (best,) = [line for line in lines if line["epoch"] == run.summary["best_epoch"]]
    assert best["click_nll_listwise"] == run.summary["click_nll_listwise"]
    eligible = [line for line in lines if line["total_steps"] >= TrainConfig().first_step]
    assert best["click_nll_listwise"] == min(line["click_nll_listwise"] for line in eligible)


def test_the_same_seed_gives_the_same_run(log, tmp_path):
    settings = QUICK | {"evaluations": 3}
    first, second = (ultr.fit(log[0], run=tmp_path / n, **settings) for n in "ab")
    np.testing.assert_array_equal(first.score(log[0].features), second.score(log[0].features))


def test_the_table_ranker_needs_no_features(log, tmp_path):
    data = log[0]
    settings = QUICK | {"ranker": "table"}
    run = ultr.fit(data, run=tmp_path / "run", **settings)
    query = data.query_id[data.doc_query]
    scores = run.score_candidates(query, data.doc_id, None)
    assert np.corrcoef(scores, np.log(log[2]))[0, 1] > 0.6
    assert rmse(run) < 0.05
    unseen = run.score_candidates(np.array([10**9]), np.array([5]), None)
    assert unseen.tolist() == [0.0]


def test_the_table_ranker_opens_again_where_some_documents_are_never_shown(log, tmp_path):
    data = log[0]
    shown = data.list_query < len(data.query_id) - 20  # the lake's last candidates are in no list
    lists = {
        name: getattr(data, name)[shown]
        for name in (
            "document", "position", "where", "clicks", "weight", "sessions", "list_query",
            "session_split",
        )
    }  # fmt: skip
    run = ultr.fit(replace(data, **lists), run=tmp_path / "run", ranker="table", evaluations=1)
    query = data.query_id[data.doc_query]
    scores = ultr.open_run(run.root).score_candidates(query, data.doc_id, None)
    assert (scores[-20 * 8 :] == 0).all()
    assert (scores[: 20 * 8] != 0).any()


def test_the_table_ranker_keeps_the_state_that_explains_held_out_sessions_best(planted, tmp_path):
    """It overfits a small log within a few passes: waiting longer would keep a worse state."""
    data, _, _ = planted(EXAMINATION, sessions=8)
    run = ultr.fit(data, run=tmp_path / "run", ranker="table", documents_per_batch=128)
    lines = [json.loads(line) for line in (run.root / "metrics.jsonl").read_text().splitlines()]
    assert run.summary["click_nll_listwise"] == min(x["click_nll_listwise"] for x in lines)


def one_batch(data, **settings):
    config = TrainConfig(**settings)
    spec = config.ranker_spec()
    model, state = start(
        n_features=data.n_features, n_documents=data.n_documents, config=config, decay=0.1,
        log_propensity=jnp.zeros(5), is_frozen=False,
    )  # fmt: skip
    from ultr.data import batch_shape, epoch_plan

    plan = epoch_plan(data, batch_shape(data, documents=200), seed=0, epoch=1)
    batch = gather(on_device(data, spec, "session"), jax.tree.map(lambda a: a[0], plan))
    return model, state, batch


def test_the_second_step_uses_the_first_step_s_state(log):
    """An optimizer made anew at each step would give ±rate whatever the gradient."""
    model, state, batch = one_batch(log[0])
    first, _ = update(model, state, batch)
    kept, _ = update(model, first, batch)
    anew, _ = update(model, first._replace(optimizer=state.optimizer), batch)
    assert not np.allclose(*(s.params.propensity["logits"][...] for s in (kept, anew)), atol=1e-5)
    assert int(kept.step) == 2


def test_a_batch_without_clicks_changes_nothing(log):
    model, state, batch = one_batch(log[0])
    state, _ = update(model, state, batch)
    after, _ = update(model, state, batch._replace(clicks=jnp.zeros_like(batch.clicks)))
    assert jax.tree.all(jax.tree.map(lambda a, b: bool(jnp.array_equal(a, b)), state, after))


def test_logits_of_a_batch_are_those_of_its_documents(log):
    model, state, batch = one_batch(log[0])
    f, _, _ = logits(model.graphs, state.params, batch)
    from flax import nnx

    ranker = nnx.merge(model.graphs.ranker, state.params.ranker)
    expected = ranker(batch.inputs[batch.document], None, None)
    np.testing.assert_allclose(
        np.where(batch.where, f, 0), np.where(batch.where, expected, 0), rtol=1e-5, atol=1e-6
    )


class TestErrors:
    def test_a_finished_run_is_not_overwritten(self, run, log):
        before = (run.root / "summary.json").read_bytes()
        with pytest.raises(UsageError, match="not overwritten"):
            ultr.fit(log[0], run=run.root, **QUICK)
        assert (run.root / "summary.json").read_bytes() == before

    def test_a_foreign_folder_is_refused(self, log, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        with pytest.raises(UsageError, match="new or empty folder"):
            ultr.fit(log[0], run=tmp_path, **QUICK)
        assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]

    @pytest.mark.parametrize("data", ["lake", None])
    def test_lists_are_loaded_first(self, tmp_path, data):
        with pytest.raises(UsageError, match="load_lists"):
            ultr.fit(data, run=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_no_clicks(self, planted, tmp_path):
        data, _, _ = planted(np.zeros(5))
        with pytest.raises(DataError, match="training needs clicks"):
            ultr.fit(data, run=tmp_path / "run")
        assert not (tmp_path / "run").exists()

    def test_features_are_needed_by_rankers_on_features(self, log, tmp_path):
        data = replace(log[0], features=np.zeros((log[0].n_documents, 0)), transform=None)
        with pytest.raises(DataError, match="--ranker table"):
            ultr.fit(data, run=tmp_path / "run")

    def test_a_number_of_features_that_is_not_the_run_s(self, run):
        with pytest.raises(DataError, match="fitted on 5 features"):
            run.score(np.zeros((2, 4)))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({"relative_propensity": [1, 0.5]}, "every position of the log"),
            ({"relative_propensity": [1, 0.5, 0.4, 0, 0.1]}, "above 0"),
            ({"examination": [1]}, "must be readable"),
        ],
    )
    def test_propensities(self, log, tmp_path, content, message):
        path = tmp_path / "truth.json"
        path.write_text(json.dumps(content))
        with pytest.raises(DataError, match=message):
            ultr.fit(log[0], run=tmp_path / "run", method="ipw", propensities=path)

    def test_ipw_and_propensities_go_together(self):
        with pytest.raises(UsageError, match="ipw needs them"):
            TrainConfig(method="ipw")

    def test_a_loss_that_is_no_number_names_the_step(self, log, tmp_path):
        with pytest.raises(DataError, match=r"step \d+ of epoch \d+"):
            ultr.fit(log[0], run=tmp_path / "run", ranker_rate=1e30, documents_per_batch=128)

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("transform.json", "{}", "transform.json: KeyError"),
            ("transform.json", None, "transform.json: FileNotFoundError"),
            ("config.json", "{}", "config.json: KeyError"),
            ("config.json", '{"settings": {"ranker": "oak"}}', "config.json: UsageError"),
            ("summary.json", "[]", "summary.json: TypeError"),
            ("summary.json", "{", "summary.json: JSONDecodeError"),
            ("checkpoint/_METADATA", "{}", "1 files (.|\n)*checkpoint/_METADATA"),
            ("checkpoint.json", None, "checkpoint.json"),
        ],
    )
    def test_a_damaged_file_of_a_run_is_named(self, run, tmp_path, name, content, words):
        shutil.copytree(run.root, tmp_path / "run")
        path = tmp_path / "run" / name
        if content is None:
            path.unlink()
        else:
            path.write_text(content)
        with pytest.raises(DataError, match=words):
            ultr.open_run(tmp_path / "run")

    def test_lost_propensities_are_told(self, run, tmp_path):
        shutil.copytree(run.root, tmp_path / "run")
        (tmp_path / "run" / "propensities.parquet").write_bytes(b"")
        with pytest.raises(DataError, match=r"propensities\.parquet"):
            _ = ultr.open_run(tmp_path / "run").propensities

    @pytest.mark.parametrize(
        "features", [np.zeros(5), np.zeros((1, 2, 5)), [1.0] * 5, [["x"] * 5], [[1.0], [1.0, 2.0]]]
    )
    def test_features_are_a_matrix(self, run, features):
        with pytest.raises(DataError, match=r"\[N, F\]"):
            run.score(features)

    def test_features_may_be_lists_of_whole_numbers(self, run):
        rows = [[1, 2, 3, 4, 5], [0, 0, 0, 0, 0]]
        assert run.score(rows).tolist() == run.score(np.array(rows, np.float32)).tolist()
        with pytest.raises(DataError, match="query is"):
            run.score(rows, np.zeros(3, int))

    @pytest.mark.parametrize("below", ["", "run"])
    def test_a_run_needs_a_folder(self, log, tmp_path, below):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(UsageError, match="needs a folder"):
            ultr.fit(log[0], run=tmp_path / "file" / below, **QUICK)
        assert (tmp_path / "file").read_text() == "mine"

    @pytest.mark.parametrize(
        ("name", "values"),
        [
            ("seed", [-1, 2**32]),
            ("hidden", [(0,), (64, -4)]),
            ("weight_decay", [-1.0, math.nan, math.inf]),
            ("max_weight", [math.nan, math.inf, 0.5]),
            ("clip_norm", [0.0, math.nan, math.inf]),
            ("averaging", [math.nan, 1.0, -0.1]),
            ("min_steps", [-1]),
            ("strength", [-0.1, 1.5, math.nan]),
            ("propensity_rate", [0.0, 1e6, math.nan]),
            ("ranker_rate", [-1.0, math.nan, math.inf]),
            ("documents_per_batch", [0]),
        ],
    )
    def test_settings_out_of_range(self, name, values):
        for value in values:
            with pytest.raises(UsageError, match=f"{name} must be"):
                TrainConfig(**{name: value})

    @pytest.mark.parametrize("damage", ["no summary", "checkpoint cut short", "nothing"])
    def test_a_damaged_run(self, log, tmp_path, damage):
        root = tmp_path / "run"
        if damage != "nothing":
            ultr.fit(log[0], run=root, **QUICK | {"evaluations": 1})
        if damage == "no summary":
            (root / "summary.json").unlink()
        if damage == "checkpoint cut short":
            shutil.rmtree(next((root / "checkpoint").glob("d")))
        with pytest.raises(DataError, match=r"ultr train finished|must be whole"):
            ultr.open_run(root)
