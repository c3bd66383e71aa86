"""The setting of the paper, schedules, and batches of sessions drawn at random."""

from __future__ import annotations

from dataclasses import replace

import jax
import numpy as np
import pytest
from click.testing import CliRunner

import ultr
from ultr.cli.train import command
from ultr.errors import UsageError
from ultr.train import TrainConfig, with_preset
from ultr.train.drawn import DrawnSessions
from ultr.train.start import _schedule, start
from ultr.train.step import gather
from ultr.train.step import update as eager

update = jax.jit(eager, static_argnums=0)

EXAMINATION = np.array([1.0, 0.7, 0.5, 0.35, 0.2])


@pytest.fixture(scope="module")
def log(planted):
    return planted(EXAMINATION)


@pytest.fixture(scope="module")
def paper():
    return TrainConfig(**with_preset({"preset": "sigir2018"}))


def test_the_preset_is_the_setting_of_the_paper(paper):
    assert paper.evaluations * paper.evaluation_steps == 10_000
    assert (paper.sessions_per_batch, paper.clip_norm, paper.correction) == (256, 5.0, "weights")
    model, state = start(
        n_features=7, n_documents=0, config=paper, decay=0.0,
        log_propensity=jax.numpy.zeros(10), is_frozen=False,
    )  # fmt: skip
    shapes = [p.shape for p in jax.tree.leaves(state.params.ranker) if p.ndim == 2]
    assert sorted(shapes) == sorted([(7, 512), (512, 256), (256, 128), (128, 1)])
    shapes = [p.shape for p in jax.tree.leaves(state.params.propensity) if p.ndim == 2]
    assert sorted(shapes) == sorted([(10, 8), (8, 4), (4, 1)])
    assert model.sum_decay == 0.0
    assert all(leaf.min() >= 0 for leaf in jax.tree.leaves(state.optimizer))  # Adagrad's sums


def test_what_is_given_beside_a_preset_wins(log, tmp_path):
    assert with_preset({"preset": "sigir2018", "hidden": [4]})["hidden"] == [4]
    with pytest.raises(UsageError, match="choose from: sigir2018"):
        with_preset({"preset": "sigir2019"})
    run = ultr.fit(
        log[0], run=tmp_path / "run", preset="sigir2018", hidden=(16,), evaluations=4,
        sessions_per_batch=64,
    )  # fmt: skip
    assert run.summary["sessions"] == 64 * 250
    found = run.propensities["propensity"].to_numpy()
    assert np.sqrt(np.mean((found - EXAMINATION) ** 2)) < 0.12
    assert np.corrcoef(run.score(log[0].features), log[0].features @ log[1])[0, 1] > 0.9


def drawn_batches(data, **settings):
    config = TrainConfig(sessions_per_batch=400, evaluation_steps=50, **settings)
    source = DrawnSessions(data, spec=config.ranker_spec(), config=config)
    (segment,) = source.segments(epoch=1)
    plans = [jax.tree.map(lambda a, i=i: a[i], segment.plan) for i in range(50)]
    return segment, [gather(segment.arrays, plan) for plan in plans]


def test_sessions_are_drawn_in_proportion_and_with_their_documents(log):
    """The expected clicks of a batch are those of the log; each list shows its own documents."""
    data = log[0].select(log[0].clicks.sum(axis=1) > 0)
    segment, batches = drawn_batches(data)
    seen = np.zeros(5)
    for batch, lists in zip(batches, np.asarray(segment.plan.list), strict=True):
        rows = np.asarray(batch.inputs)[np.asarray(batch.document)]
        np.testing.assert_array_equal(rows, data.features[data.document[lists]])
        np.testing.assert_array_equal(batch.position, data.position[lists])
        seen += np.asarray(batch.clicks).sum(axis=0)
    share = data.clicks.sum(axis=0) / data.clicks.sum()
    np.testing.assert_allclose(seen / seen.sum(), share, atol=0.01)


def test_a_row_of_equal_sessions_gives_single_sessions(log):
    data = log[0]
    pattern = (np.arange(5) == np.arange(data.n_lists)[:, None] % 5).astype(np.float32)
    n = 1 + np.arange(data.n_lists) % 7
    _, batches = drawn_batches(replace(data, clicks=pattern * n[:, None]))
    assert all(set(np.unique(b.clicks)) == {0.0, 1.0} for b in batches)
    assert all((np.asarray(b.clicks).sum(axis=1) == 1).all() for b in batches)


def test_a_batch_of_sessions_is_divided_by_its_own_weights(log):
    """Twice the same sessions: the same step."""
    config = TrainConfig(sessions_per_batch=8, evaluation_steps=1, method="naive")
    source = DrawnSessions(log[0], spec=config.ranker_spec(), config=config)
    (segment,) = source.segments(epoch=1)
    batch = gather(segment.arrays, jax.tree.map(lambda a: a[0], segment.plan))
    model, state = start(
        n_features=5, n_documents=0, config=config, decay=0.0,
        log_propensity=jax.numpy.zeros(5), is_frozen=True,
    )  # fmt: skip
    state = state._replace(sums=jax.numpy.asarray([1e6, 1e6, 1.0]))
    once, _ = update(model, state, batch)
    twice, _ = update(model, state, batch._replace(clicks=2 * batch.clicks))
    for a, b in zip(*(jax.tree.leaves(s.params) for s in (once, twice)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_lists_are_cut(log):
    cut = log[0].top(3)
    assert cut.where.shape[1] == 3
    assert cut.max_position == 3
    np.testing.assert_array_equal(cut.clicks.sum(axis=0), log[0].clicks.sum(axis=0)[:3])
    assert set(np.unique(cut.document)) == set(range(cut.n_documents))


def test_the_rate_rises_and_falls():
    plain = {"ranker_rate": 0.1, "schedule_steps": 100}
    cosine = _schedule(TrainConfig(schedule="cosine", warmup_steps=10, **plain))
    np.testing.assert_allclose([cosine(s) for s in (0, 5, 10, 55, 100)], [0, 0.05, 0.1, 0.05, 0],
                               atol=1e-7)  # fmt: skip
    linear = _schedule(TrainConfig(schedule="linear", **plain))
    np.testing.assert_allclose(
        [linear(s) for s in (0, 25, 100, 200)], [0.1, 0.075, 0, 0], atol=1e-7
    )
    assert _schedule(TrainConfig(**plain)) == 0.1
    warm = _schedule(TrainConfig(warmup_steps=10, **plain))
    np.testing.assert_allclose([warm(s) for s in (5, 10, 500)], [0.05, 0.1, 0.1], rtol=1e-6)
    with pytest.raises(UsageError, match="warmup_steps must be less than"):
        TrainConfig(warmup_steps=100, **plain)


def test_each_tower_has_its_own_bound(log):
    """A bound on the propensity model's gradient does not touch the ranker's step."""

    def step(**settings):
        config = TrainConfig(sessions_per_batch=64, evaluation_steps=1, optimizer="adagrad",
                             **settings)  # fmt: skip
        source = DrawnSessions(log[0], spec=config.ranker_spec(), config=config)
        (segment,) = source.segments(epoch=1)
        batch = gather(segment.arrays, jax.tree.map(lambda a: a[0], segment.plan))
        model, state = start(
            n_features=5, n_documents=0, config=config, decay=0.0,
            log_propensity=jax.numpy.zeros(5), is_frozen=False,
        )  # fmt: skip
        return update(model, state, batch)[0].params

    free, bound = step(), step(propensity_clip_norm=1e-3)
    same = jax.tree.map(lambda a, b: bool(np.allclose(a, b)), free, bound)
    assert all(jax.tree.leaves(same.ranker))
    assert not any(jax.tree.leaves(same.propensity))
    assert max(abs(leaf).max() for leaf in jax.tree.leaves(bound.propensity)) < 1e-3


def test_a_monotone_curve_never_rises_whatever_the_log_says(planted, tmp_path):
    data, _, _ = planted(np.array([1.0, 0.4, 0.7, 0.7, 0.2]))
    run = ultr.fit(data, run=tmp_path / "run", ranker="linear", ranker_rate=0.03,
                   documents_per_batch=128, is_monotone=True)  # fmt: skip
    found = run.propensities["propensity"].to_numpy()
    assert (np.diff(found) <= 0).all()
    assert found[1] > 0.5  # between the 0.4 and the 0.7 that the log says
    assert found[-1] == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("by_file", [False, True])
def test_the_command_takes_a_preset_and_what_differs(by_file, tmp_path, monkeypatch):
    seen = []

    def train_lake(*, config, **_):
        seen.append(config)
        basis = {"state": "swaps", "impressions": 1000.0, "separation": None}
        return {"propensities": {"1": 1.0}, "identification": basis}

    monkeypatch.setattr("ultr.train.train_lake", train_lake)
    (tmp_path / "train.toml").write_text('preset = "sigir2018"\nseed = 4\n')
    chosen = (
        ["--config", str(tmp_path / "train.toml")]
        if by_file
        else ["--preset", "sigir2018", "--set", "seed=4"]
    )
    called = ["--lake", "lake", "--run", "run", *chosen, "--set", "hidden=[8]"]
    done = CliRunner().invoke(command, called)
    assert done.exit_code == 0, done.output
    assert seen == [TrainConfig(**with_preset({"preset": "sigir2018", "seed": 4, "hidden": (8,)}))]
