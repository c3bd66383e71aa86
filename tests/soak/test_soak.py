"""`make soak`: the full counts of faults and mutated files, with a results file.

Stopped and started again, it goes on with the next file. `SOAK_FILES` and `SOAK_KILLS` set other
counts than the full ones, and the results say which were reached.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import random
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

import ultr
from tests.faults.kills import contents, rerun, survive
from tests.faults.logs import write_logs
from tests.faults.train_kills import EVERY_PHASE, kill_often, write_data
from tests.soak.fuzz import READERS, fuzz
from tests.train.outcome import outcome

FILES = int(os.environ.get("SOAK_FILES", "100000"))
KILLS = int(os.environ.get("SOAK_KILLS", "50"))
ROOT = Path(__file__).parents[2]
STATE = ROOT / "build" / "soak"
RESULTS = ROOT / "tests" / "benchmarks" / "results" / "soak.json"

pytestmark = pytest.mark.soak


def note(part, name, result):
    """Put one result into the results file, beside those of other runs."""
    told = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    told |= {"command": "make soak", "machine": f"{os.cpu_count()} cores, {platform.machine()}",
             "date": datetime.now(UTC).date().isoformat()}  # fmt: skip
    told.setdefault(part, {})[name] = result
    RESULTS.write_text(json.dumps(told, indent=1, sort_keys=True) + "\n")


@pytest.mark.parametrize(
    ("command", "form"),
    [("ingest", "yandex"), ("lists", "yandex"), ("ingest", "ubi"), ("ingest", "baidu")],
)
def test_killed_at_random_moments(tmp_path, command, form):
    logs = write_logs(tmp_path / "logs", files=3, sessions=5000, form=form)
    plain = tmp_path / "plain"
    rerun("ingest", plain, logs, form=form)
    if command == "lists":
        rerun("lists", plain, logs)
    expected, rng, started, before_end = contents(plain), random.Random(0), 0, 0
    while before_end < KILLS:  # a command that had ended was not killed
        started += 1
        assert started <= 10 * KILLS, "the command ends too soon to be killed"
        lake, after_s = tmp_path / f"lake-{started}", rng.uniform(0, 0.4)
        if command == "lists":
            rerun("ingest", lake, logs)
        elif rng.random() < 0.5:  # a second night
            rerun("ingest", lake, logs[:1], form=form)
        before_end += survive(command, lake, logs, after_s=after_s, expected=expected, form=form)
        shutil.rmtree(lake)
    name = command if form == "yandex" else f"{command} {form}"
    note("kills", name, {"kills": before_end, "started": started, "lakes_that_differ": 0})


def test_trainings_killed_at_random_moments(tmp_path, planted):
    data, _, _ = planted([1.0, 0.7, 0.5], queries=40, sessions=80)
    file = write_data(tmp_path / "data.pickle", data)
    ultr.fit(data, run=tmp_path / "plain", **EVERY_PHASE)
    expected, rng, kills, runs = outcome(tmp_path / "plain"), random.Random(0), 0, 0
    while kills < KILLS:
        root = tmp_path / f"run-{runs}"
        kills += kill_often(file, root, rng=rng, kills=min(10, KILLS - kills))
        ultr.fit(data, run=root, resume=True)
        assert outcome(root) == expected
        runs += 1
        assert runs <= KILLS, "training ends too soon to be killed"
    note("kills", "train", {"kills": kills, "runs": runs, "runs_that_differ": 0})


@pytest.mark.parametrize("reader", READERS)
def test_mutated_files(reader):
    result = fuzz(reader, files=FILES, state=STATE)
    note("mutated_files", reader, result)
    assert "failure" not in result, result["failure"]


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="needs the extra `soak`")
def test_guided(reader):
    command = [sys.executable, "-m", "tests.soak.guided", reader, f"-runs={FILES}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    note("guided_files", reader, {"files": FILES, "exit_code": done.returncode})
    assert done.returncode == 0, done.stderr[-3000:]
