"""A training that was stopped goes on, and ends where one that was not stopped ends."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import sys
import threading

import jax
import numpy as np
import pytest

import ultr
from tests.train.outcome import outcome
from ultr.errors import DataError, StoppedError, UsageError
from ultr.train.folder import FOLDER
from ultr.train.source import InMemory, Segment

EXAMINATION = np.array([1.0, 0.7, 0.5, 0.35, 0.2])
QUICK = {
    "ranker": "linear", "ranker_rate": 0.03, "documents_per_batch": 128, "evaluations": 5,
    "min_steps": 20, "checkpoint_seconds": 0.0,
}  # fmt: skip
PHASES = {"documents_per_batch": 128, "evaluations": 3, "hidden": (4,), "strength": 0.5}
PHASES["checkpoint_seconds"] = 0.05


@pytest.fixture(scope="module")
def data(planted):
    return planted(EXAMINATION, queries=40)[0]


@pytest.fixture(scope="module")
def undisturbed(data, tmp_path_factory):
    root = tmp_path_factory.mktemp("runs") / "quick"
    ultr.fit(data, run=root, **QUICK)
    return root


class Killed(BaseException):
    """Stands in for SIGKILL where a process of its own would take too long."""


def fit_killed(data, root, *, after, **settings):
    """Train, and die at a line of measurements."""
    seen = []

    def die(line):
        seen.append(line)
        if len(seen) == after:
            raise Killed

    with pytest.raises(Killed):
        ultr.fit(data, run=root, resume=True, on_epoch=die, **settings)


def halves(monkeypatch):
    """Every epoch in two segments, the second with what the first leaves."""

    def segments(self, *, epoch, first=0):
        (whole,) = InMemory.segments(self, epoch=epoch)
        middle = len(whole.plan.list) // 2
        for part in (slice(middle), slice(middle, None))[first:]:
            plan = jax.tree.map(lambda a, part=part: a[part], whole.plan)
            yield Segment(whole.arrays, plan, whole.query[part])

    split = type("Halves", (InMemory,), {"segments": segments})
    monkeypatch.setattr("ultr.train.stream.InMemory", split)


@pytest.mark.parametrize("checkpoint_seconds", [0.0, 1e9])
def test_stopped_twice_it_ends_as_if_it_was_not(data, undisturbed, tmp_path, checkpoint_seconds):
    settings = QUICK | {"checkpoint_seconds": checkpoint_seconds}
    for after in (2, 1):
        fit_killed(data, tmp_path / "run", after=after, **settings)
    ultr.fit(data, run=tmp_path / "run", resume=True)
    expected = outcome(undisturbed)
    expected["config"]["settings"]["checkpoint_seconds"] = checkpoint_seconds
    assert outcome(tmp_path / "run") == expected


def test_finished_trainings_are_not_repeated(data, tmp_path):
    ultr.fit(data, run=tmp_path / "plain", **PHASES)
    for after in (4, 5):  # in the second training; then in the third
        fit_killed(data, tmp_path / "run", after=after, **PHASES)
    lines = []
    ultr.fit(data, run=tmp_path / "run", resume=True, on_epoch=lines.append)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "plain")
    total = len((tmp_path / "plain" / "metrics.jsonl").read_text().splitlines())
    assert 0 < len(lines) <= total - 6  # of the third training alone
    assert len({line["weight_decay"] for line in lines}) == 1
    assert {line["phase"] for line in lines} == {"refit"}


def test_stopped_within_an_epoch(data, tmp_path, monkeypatch):
    """A signal at any segment: a checkpoint there, a message, and the same end."""
    halves(monkeypatch)
    settings = QUICK | {"evaluations": 3, "checkpoint_seconds": 1e9}
    ultr.fit(data, run=tmp_path / "plain", **settings)
    expected, plain = outcome(tmp_path / "plain"), ultr.train.loop.run_epoch
    for at in (1, 4, 5):
        seen = []

        def run_epoch(*arguments, at=at, seen=seen):
            seen.append(1)
            if len(seen) == at:
                os.kill(os.getpid(), signal.SIGTERM)
            return plain(*arguments)

        root = tmp_path / f"run-{at}"
        with monkeypatch.context() as patch:
            patch.setattr("ultr.train.loop.run_epoch", run_epoch)
            with pytest.raises(StoppedError, match=r"SIGTERM at epoch(.|\n)*--resume") as error:
                ultr.fit(data, run=root, **settings)
        assert error.value.exit_code == 143
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert len(seen) == at
        ultr.fit(data, run=root, resume=True)
        assert outcome(root) == expected


def test_training_in_another_thread_leaves_signals_alone(data, tmp_path):
    before, done = signal.getsignal(signal.SIGINT), []

    def work():
        ultr.fit(data, run=tmp_path / "run", **QUICK | {"evaluations": 1})
        done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [before]


def newest(root):
    return max(p for p in (root / FOLDER).glob("*/0*") if p.is_dir())


class TestDamage:
    @pytest.fixture
    def stopped(self, data, tmp_path):
        fit_killed(data, tmp_path / "run", after=3, **QUICK)
        return tmp_path / "run"

    @pytest.mark.parametrize("damage", ["array", "notes", "seal", "half written"])
    def test_the_checkpoint_before_is_taken(self, data, undisturbed, stopped, damage):
        at = newest(stopped)
        assert len(list(at.parent.iterdir())) == 2
        if damage == "array":
            path = next(p for p in (at / "kept").rglob("d/*") if p.is_file())
            path.write_bytes(path.read_bytes()[:-7])
        elif damage == "notes":
            (at / "kept" / "notes.json").write_text("{}")
        elif damage == "seal":
            (at / "seal.json").unlink()
        else:
            at.rename(at.with_suffix(".new"))
        ultr.fit(data, run=stopped, resume=True)
        assert outcome(stopped) == outcome(undisturbed)

    def test_no_whole_checkpoint_is_told_and_nothing_changes(self, data, stopped):
        for at in (stopped / FOLDER).glob("*/0*"):
            shutil.rmtree(at / "kept" / "arrays")
        before = {p: p.read_bytes() for p in stopped.rglob("*") if p.is_file()}
        with pytest.raises(DataError, match=r"whole(.|\n)*--overwrite"):
            ultr.fit(data, run=stopped, resume=True)
        assert {p: p.read_bytes() for p in stopped.rglob("*") if p.is_file()} == before

    def test_lost_measurements_are_told(self, data, stopped):
        (stopped / "metrics.jsonl").write_text("")
        with pytest.raises(DataError, match=r"metrics\.jsonl"):
            ultr.fit(data, run=stopped, resume=True)

    def test_it_is_not_overwritten_unasked(self, data, stopped):
        before = newest(stopped)
        with pytest.raises(UsageError, match=r"can go on(.|\n)*--resume"):
            ultr.fit(data, run=stopped, **QUICK)
        assert newest(stopped) == before

    def test_it_is_overwritten_when_asked(self, data, stopped):
        run = ultr.fit(data, run=stopped, overwrite=True, **QUICK | {"evaluations": 1})
        assert len((run.root / "metrics.jsonl").read_text().splitlines()) == 1

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"patience": 9}, "patience was 6, is 9"),
            ({"lake": {"version": 2}}, "lake version was 1, is 2"),
            ({"ranker": "table"}, "ranker was 'linear', is 'table'"),
            ({"features": 4}, "n_features was 5, is 4"),
        ],
    )
    def test_another_setting_or_lake_is_refused_by_name(self, data, stopped, change, words):
        settings = {k: v for k, v in change.items() if k in QUICK or k == "patience"}
        if "lake" in change:
            data = dataclasses.replace(data, lake=change["lake"])
        if "features" in change:
            transform = dataclasses.replace(
                data.transform, names=tuple("abcd"), mean=(0.0,) * 4, scale=(1.0,) * 4
            )
            data = dataclasses.replace(data, features=data.features[:, :4], transform=transform)
        before = newest(stopped)
        with pytest.raises(UsageError, match=words):
            ultr.fit(data, run=stopped, resume=True, **settings)
        assert newest(stopped) == before

    def test_two_processes_do_not_train_into_one_folder(self, data, stopped):
        with (
            ultr.train.keeper.alone(stopped),
            pytest.raises(DataError, match="one process at a time"),
        ):
            ultr.fit(data, run=stopped, resume=True)


def test_a_run_that_ends_while_another_one_begins_is_not_lost(
    data, undisturbed, tmp_path, monkeypatch
):
    @contextlib.contextmanager
    def late(root):
        """The lock is had after another process has let go of it."""
        shutil.copytree(undisturbed, root, dirs_exist_ok=True)
        yield

    monkeypatch.setattr(sys.modules["ultr.train.fit"], "alone", late)
    with pytest.raises(UsageError, match="finished run is not overwritten"):
        ultr.fit(data, run=tmp_path / "run", **QUICK)
    assert outcome(tmp_path / "run") == outcome(undisturbed)


def test_a_finished_run_is_left_as_it_is(data, undisturbed):
    before = {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in undisturbed.glob("*.*")}
    run = ultr.fit(data, run=undisturbed, resume=True)
    assert run.summary == json.loads((undisturbed / "summary.json").read_text())
    assert {p: (p.read_bytes(), p.stat().st_mtime_ns) for p in undisturbed.glob("*.*")} == before


def test_resume_of_a_new_folder_begins(data, undisturbed, tmp_path):
    ultr.fit(data, run=tmp_path / "run", resume=True, **QUICK)
    assert outcome(tmp_path / "run") == outcome(undisturbed)


def test_a_finished_run_keeps_one_checkpoint_of_each_training(undisturbed):
    assert len(list((undisturbed / FOLDER).glob("*/*"))) == 1
