"""A training killed at any moment and resumed gives the run of an undisturbed one, bit by bit."""

from __future__ import annotations

import ultr
from tests.faults.train_kills import ONE_PHASE, killed, write_data
from tests.train.outcome import outcome


def test_killed_and_resumed(planted, tmp_path):
    data, _, _ = planted([1.0, 0.7, 0.5], queries=40, sessions=80)
    file = write_data(tmp_path / "data.pickle", data)
    ultr.fit(data, run=tmp_path / "plain", **ONE_PHASE)
    for more_lines, after_s in ((2, 0.01), (3, 0.0)):
        assert killed(file, tmp_path / "run", ONE_PHASE, more_lines=more_lines, after_s=after_s)
        assert not (tmp_path / "run" / "summary.json").exists()
    ultr.fit(data, run=tmp_path / "run", resume=True)
    assert outcome(tmp_path / "run") == outcome(tmp_path / "plain")
