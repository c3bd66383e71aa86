"""A command killed at any moment and run again gives the lake of an undisturbed run."""

from __future__ import annotations

import pytest

from tests.faults.kills import contents, rerun, survive
from tests.faults.logs import write_logs


@pytest.mark.parametrize(
    ("command", "after_s"), [("ingest", 0.02), ("ingest", 0.1), ("lists", 0.1)]
)
def test_killed_and_run_again(tmp_path, command, after_s):
    logs = write_logs(tmp_path / "logs", files=3, sessions=3000)
    plain, lake = tmp_path / "plain", tmp_path / "lake"
    rerun("ingest", plain, logs)
    if command == "lists":
        rerun("ingest", lake, logs)
        rerun("lists", plain, logs)
    survive(command, lake, logs, after_s=after_s, expected=contents(plain))


@pytest.mark.parametrize(("form", "after_s"), [("ubi", 0.1), ("ubi", 0.35), ("baidu", 0.1)])
def test_a_second_night_killed_and_run_again(tmp_path, form, after_s):
    logs = write_logs(tmp_path / "logs", files=3, sessions=1500, form=form)
    plain, lake = tmp_path / "plain", tmp_path / "lake"
    rerun("ingest", plain, logs, form=form)
    rerun("ingest", lake, logs[:1], form=form)
    survive("ingest", lake, logs, after_s=after_s, expected=contents(plain), form=form)
