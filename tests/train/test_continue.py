"""A run is continued on new periods only, from its own states, and the curve is kept by period."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import ultr
from tests.train.test_resume import Killed, outcome
from ultr.cli import main
from ultr.data import load_lists
from ultr.errors import DataError, UsageError
from ultr.train import TrainConfig, train_lake
from ultr.train.checkpoint import Saved
from ultr.train.lake_lists import LakeLists
from ultr.train.start import start
from ultr.train.warm import warm_start

QUICK = TrainConfig(
    ranker="linear", documents_per_batch=64, min_steps=30, evaluations=8, ranker_rate=0.03
)
RHO = np.array([1, 0.7, 0.5, 0.4, 0.3, 0.25])


@pytest.fixture(scope="module")
def first(days, tmp_path_factory):
    """A lake of one day and a run on it."""
    root = tmp_path_factory.mktemp("first")
    days(root / "lake", {"name": "d1"})
    train_lake(lake=root / "lake", run=root / "run", config=QUICK)
    return root


@pytest.fixture
def later(first, days, tmp_path):
    """The same lake with a second day of more bias and deeper pages."""
    shutil.copytree(first / "lake", tmp_path / "lake")
    return days(tmp_path / "lake", {"name": "d2", "eta": 2.0, "positions": 6})


def continued(lake, root, first, **changes):
    settings = {"config": QUICK, "continue_from": first / "run"} | changes
    return train_lake(lake=lake, run=root, **settings)


def test_lists_of_some_periods(later):
    everything = load_lists(later)
    names = everything.lake["periods"]
    parts = [load_lists(later, periods=[name]) for name in names]
    assert [p.lake["periods"] for p in parts] == [[n] for n in names]
    assert sum(p.sessions.sum() for p in parts) == everything.sessions.sum() == 8000
    np.testing.assert_allclose(sum(p.clicks.sum() for p in parts), everything.clicks.sum())
    with pytest.raises(DataError, match="none of d9"):
        load_lists(later, periods=["d9"])


def test_the_curve_follows_and_the_history_is_kept(first, later, tmp_path):
    before = {p: p.read_bytes() for p in (first / "run").rglob("*") if p.is_file()}
    summary = continued(later, tmp_path / "run", first)
    both, (one,) = (load_lists(p / "lake").lake["periods"] for p in (tmp_path, first))
    (new,) = set(both) - {one}
    read = load_lists(later, periods=[new]).split("train", by="query")
    assert summary["sessions"] == read.sessions.sum()
    run = ultr.open_run(tmp_path / "run")
    assert run.propensities.column_names == ["position", "propensity"]
    np.testing.assert_allclose(run.propensities["propensity"], RHO**2, atol=0.08)
    history = pq.read_table(tmp_path / "run" / "propensities_by_period.parquet")
    assert history.column_names == ["period", "position", "propensity"]
    old = ultr.open_run(first / "run").propensities["propensity"].to_pylist()
    assert history["propensity"].to_pylist() == old + run.propensities["propensity"].to_pylist()
    assert history["period"].unique().to_pylist() == [one, new]
    assert run.config["continued_from"] == str(first / "run")
    assert {p: p.read_bytes() for p in (first / "run").rglob("*") if p.is_file()} == before
    with pytest.raises(DataError, match="has not read"):
        continued(later, tmp_path / "third", tmp_path)


def test_above_memory_limit_only_new_periods_are_read_too(first, later, tmp_path, monkeypatch):
    monkeypatch.setattr(LakeLists, "fits_in_memory", False)
    summary = continued(later, tmp_path / "run", first)
    (new,) = set(load_lists(later).lake["periods"]) - set(
        load_lists(first / "lake").lake["periods"]
    )
    read = load_lists(later, periods=[new]).split("train", by="query")
    assert summary["sessions"] == read.sessions.sum()
    run = ultr.open_run(tmp_path / "run")
    np.testing.assert_allclose(run.propensities["propensity"], RHO**2, atol=0.08)
    assert run.transform == ultr.open_run(first / "run").transform
    history = pq.read_table(tmp_path / "run" / "propensities_by_period.parquet")
    assert history["period"].unique().to_pylist()[1:] == [new]


def test_it_begins_where_the_earlier_run_ended(first, days, tmp_path):
    """On more of the same log there is little to learn, also where nothing is done for long."""
    shutil.copytree(first / "lake", tmp_path / "lake")
    lake = days(tmp_path / "lake", {"name": "d2", "sessions": 1000})
    lines = []
    short = TrainConfig(
        ranker="linear", documents_per_batch=64, min_steps=1, evaluations=1, ranker_rate=1e-5,
        propensity_rate=1e-5,
    )  # fmt: skip
    continued(lake, tmp_path / "run", first, config=short, on_epoch=lines.append)
    run, old = (ultr.open_run(p / "run") for p in (tmp_path, first))
    np.testing.assert_allclose(
        run.propensities["propensity"], old.propensities["propensity"], atol=1e-2
    )
    x = np.random.default_rng(0).normal(size=(50, 3))
    np.testing.assert_allclose(run.score(x), old.score(x), atol=2e-2)
    assert run.transform == old.transform


def test_a_continued_training_that_was_killed_is_resumed(first, later, tmp_path):
    often = replace(QUICK, evaluations=3, checkpoint_seconds=0.0)
    continued(later, tmp_path / "plain", first, config=often)

    def die(line):
        if line["epoch"] > 1:
            raise Killed

    with pytest.raises(Killed):
        continued(later, tmp_path / "run", first, config=often, on_epoch=die)
    train_lake(lake=later, run=tmp_path / "run", config=often, resume=True)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "plain")


@pytest.fixture(scope="module")
def by_device(days, tmp_path_factory):
    """A lake with a bias column, a run on it, and then a day with a level that is new."""
    root = tmp_path_factory.mktemp("device")
    seen = {"context": ("device",)}
    days(root / "lake", {"name": "d1", "devices": ["phone", "phone", "desktop"]}, **seen)
    train_lake(lake=root / "lake", run=root / "run", config=QUICK)
    day = {"name": "d2", "eta": 2.0, "positions": 6, "devices": ["phone", "tv"]}
    days(root / "lake", day, **seen)
    return root


def test_a_new_level_of_a_bias_column_begins_as_the_most_frequent_one(by_device, tmp_path):
    still = replace(QUICK, min_steps=1, evaluations=1, ranker_rate=1e-5, propensity_rate=1e-5)
    summary = continued(by_device / "lake", tmp_path / "run", by_device, config=still)
    assert summary["new_levels"] == {"device": ["tv"]}
    old, run = (ultr.open_run(p / "run") for p in (by_device, tmp_path))
    assert run.config["bias"][0]["levels"] == ["phone", "desktop", "tv"]
    curve = {
        device: run.propensities.filter(pc.field("device") == device)["propensity"].to_pylist()
        for device in ("phone", "desktop", "tv")
    }
    assert len(curve["tv"]) == 6
    np.testing.assert_allclose(curve["tv"], curve["phone"], atol=0.01)
    np.testing.assert_allclose(curve["phone"][4:], curve["phone"][4], atol=0.01)
    known = old.propensities.filter(pc.field("device") == "desktop")["propensity"].to_pylist()
    np.testing.assert_allclose(curve["desktop"][:5], known, atol=0.01)


def test_a_new_level_learns(by_device, tmp_path):
    continued(by_device / "lake", tmp_path / "run", by_device)
    found = ultr.open_run(tmp_path / "run").propensities
    tv = found.filter(pc.field("device") == "tv")["propensity"].to_numpy()
    np.testing.assert_allclose(tv, RHO**2, atol=0.12)


def remembering(first, root, *, sessions):
    """A copy of the first run that read so many sessions of its day."""
    shutil.copytree(first / "run", root / "run")
    config = json.loads((root / "run" / "config.json").read_text())
    (counts,) = config["lake"]["lists"]["by_period"].values()
    counts["sessions"] = sessions
    (root / "run" / "config.json").write_text(json.dumps(config))
    return root


def test_a_day_that_has_grown_is_read_again(first, tmp_path):
    old = remembering(first, tmp_path / "old", sessions=3000)
    summary = continued(first / "lake", tmp_path / "run", old)
    (day,) = load_lists(first / "lake").lake["periods"]
    assert summary["read_again"] == {day: 1000}
    history = pq.read_table(tmp_path / "run" / "propensities_by_period.parquet")
    assert history["position"].to_pylist() == [1, 2, 3, 4, 5]
    curve = ultr.open_run(tmp_path / "run").propensities["propensity"].to_pylist()
    assert history["propensity"].to_pylist() == curve


def test_a_few_late_sessions_wait_and_are_told(first, later, tmp_path):
    old = remembering(first, tmp_path / "old", sessions=3990)
    with pytest.raises(DataError, match="no others, and 10 late sessions"):
        continued(first / "lake", tmp_path / "run", old)
    summary = continued(later, tmp_path / "run", old, config=replace(QUICK, evaluations=1))
    (day,) = load_lists(first / "lake").lake["periods"]
    assert summary["left_out"] == {day: 10}
    assert "read_again" not in summary


def test_given_propensities_stay_known_where_new_pages_are_shorter(first, days, tmp_path):
    given = tmp_path / "given.parquet"
    pq.write_table(pa.table({"position": np.arange(1, 7), "propensity": RHO}), given)
    ipw = replace(QUICK, method="ipw", propensities=given, min_steps=1, evaluations=1)
    train_lake(lake=first / "lake", run=tmp_path / "old" / "run", config=ipw)
    shutil.copytree(first / "lake", tmp_path / "lake")
    lake = days(tmp_path / "lake", {"name": "d2", "positions": 3, "sessions": 1000})
    continued(lake, tmp_path / "run", tmp_path / "old", config=ipw)
    found = ultr.open_run(tmp_path / "run").propensities
    np.testing.assert_allclose(found["propensity"], RHO[:5], rtol=1e-6)


def test_deeper_pages_begin_at_the_last_known_position():
    def begin(n):
        return start(
            n_features=3, n_documents=1, config=QUICK, decay=0.1, log_propensity=jnp.zeros(n),
            is_frozen=False,
        )[1]  # fmt: skip

    from ultr.train.arrays import named
    from ultr.train.course import Kept

    old = begin(2)
    old.params.propensity["logits"][...] = jnp.array([0.0, -0.7])
    memory = old.optimizer.propensity
    kept = Kept(old, old.params, np.ones(1))
    arrays = {k: np.asarray(v) for k, v in named(kept).items()}
    new = warm_start(begin(4), Saved(arrays, {}), is_frozen=False)
    found = np.asarray(new.params.propensity["logits"][...])
    np.testing.assert_allclose(found, [0.0, -0.7, -0.7, -0.7], rtol=1e-6)
    assert len(memory) == len(new.optimizer.propensity)
    given = warm_start(begin(4), Saved(arrays, {}), is_frozen=True)
    assert not np.asarray(given.params.propensity["logits"][...]).any()


class TestErrors:
    def test_into_its_own_folder(self, first, later, tmp_path):
        shutil.copytree(first / "run", tmp_path / "run")
        before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
        for lake in (first / "lake", later):
            with pytest.raises(UsageError, match="into another folder"):
                continued(lake, tmp_path / "run", tmp_path, overwrite=True)
        assert {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()} == before

    def test_another_model(self, first, later, tmp_path):
        with pytest.raises(UsageError, match="ranker was 'linear', is 'mlp'"):
            continued(later, tmp_path / "run", first, config=TrainConfig())
        assert not (tmp_path / "run").exists()

    def test_nothing_new(self, first, tmp_path):
        with pytest.raises(DataError, match="has not read"):
            continued(first / "lake", tmp_path / "run", first)
        assert not (tmp_path / "run").exists()

    def test_a_run_without_its_last_states(self, first, later, tmp_path):
        shutil.copytree(first / "run", tmp_path / "old" / "run")
        shutil.rmtree(tmp_path / "old" / "run" / "training")
        with pytest.raises(DataError, match="last states"):
            continued(later, tmp_path / "run", tmp_path / "old")

    def test_a_table_of_pairs(self, first, later, tmp_path):
        table = TrainConfig(ranker="table", evaluations=1)
        train_lake(lake=first / "lake", run=tmp_path / "run", config=table)
        with pytest.raises(DataError, match="ranks by features"):
            continued(later, tmp_path / "new", tmp_path, config=table)

    def test_one_position_only(self, days, tmp_path):
        lake = days(tmp_path / "lake", {"positions": 1})
        with pytest.raises(DataError, match="more than one position"):
            train_lake(lake=lake, run=tmp_path / "run", config=QUICK)
        assert not (tmp_path / "run").exists()


def test_the_command_line(first, later, tmp_path, capsys):
    where = ["train", "--lake", str(later), "--run", str(tmp_path / "run")]
    main([*where, "--continue", str(first / "run"), "--set", "evaluations=2", "--json"])
    done = capsys.readouterr()
    summary = json.loads(done.out)
    assert summary["propensities"].keys() == {"1", "2", "3", "4", "5", "6"}
    assert done.err.startswith("propensities: identified by swaps")
    main([*where, "--resume", "--json"])
    again = capsys.readouterr()
    assert json.loads(again.out) == summary
    assert "finished already: nothing was changed" in again.err
    with pytest.raises(SystemExit) as stop:
        main([*where, "--resume", "--set", "seed=3"])
    assert stop.value.code == 2
    assert "seed was 0, is 3" in capsys.readouterr().err
