"""What people see while training goes on."""

from __future__ import annotations

import io
import sys

from ultr.cli.training_display import training_display

LINE = {
    "phase": "joint, mlp", "weight_decay": 1.0, "epoch": 4, "click_nll_listwise": 1.5,
    "rank_loss": 1.25, "effective_sample_size": 1234.0, "sessions_per_second": 5e6,
    "documents_per_second": 2e5,
}  # fmt: skip


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_job_log_gets_a_line_for_each_evaluation(capsys):
    with training_display(quiet=False) as display:
        display.stage("reading lists")
        display.epoch(LINE)
        display.epoch(LINE | {"epoch": 8})
    stage, *lines = capsys.readouterr().err.splitlines()
    assert stage == "reading lists …"
    assert [line.split("epoch")[1].split()[0] for line in lines] == ["4", "8"]
    assert lines[0].startswith("joint, mlp, decay 1: epoch")
    assert "5,000,000 sessions/s" in lines[0]


def test_a_terminal_gets_a_row_for_each_training(monkeypatch):
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr(sys, "stderr", terminal)
    with training_display(quiet=False) as display:
        display.stage("reading lists")
        assert "reading lists" in terminal.getvalue()
        display.epoch(LINE)
        display.epoch(LINE | {"epoch": 8, "click_nll_listwise": 1.75})
        display.epoch(LINE | {"phase": "refit"})
    last = terminal.getvalue().rpartition("training ")[2]
    assert "1.75000" in last
    assert last.count("1.50000") == 3  # the best of the first; the only one of the second, twice
    assert "refit, decay 1" in last


def test_quiet_shows_nothing(capsys):
    with training_display(quiet=True) as display:
        display.stage("reading lists")
        display.epoch(LINE)
    assert capsys.readouterr().err == ""
