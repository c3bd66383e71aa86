import json
import os
import subprocess
import sys
import textwrap

import pytest

from ultr.errors import DataError, UsageError
from ultr.jobs.stages import STATE, SUMMARY, Stage, file_marks, run_stages


class Chain:
    """Two stages over files: `first` copies a to b, `second` copies b to c."""

    def __init__(self, root):
        self.root, self.ran, self.fail, self.config = root, [], None, {}
        (root / "a").write_text("1")

    def stages(self):
        return [self._copy("first", "a", "b"), self._copy("second", "b", "c")]

    def _copy(self, name, source, target):
        def text(file):
            path = self.root / file
            return path.read_text() if path.exists() else None

        def work():
            self.ran.append(name)
            if self.fail is not None and name == "second":
                raise self.fail
            (self.root / target).write_text(text(source))
            return {"bytes": len(text(source))}

        return Stage(
            name,
            self.config,
            inputs=lambda: text(source),
            outputs=lambda: text(target),
            run=work,
        )

    def __call__(self):
        self.ran.clear()
        return run_stages(self.stages(), work=self.root / "work", about={"job": "test"})


@pytest.fixture
def chain(tmp_path):
    return Chain(tmp_path)


def statuses(summary):
    return [s["status"] for s in summary["stages"]]


def test_a_second_run_skips_what_is_finished_and_keeps_its_counts(chain):
    assert statuses(chain()) == ["done", "done"]
    again = chain()
    assert statuses(again) == ["skipped", "skipped"]
    assert chain.ran == []
    assert again["stages"][0]["result"] == {"bytes": 1}


def test_changed_inputs_run_the_stage_and_what_depends_on_it(chain):
    chain()
    (chain.root / "a").write_text("22")
    assert statuses(chain()) == ["done", "done"]
    assert (chain.root / "c").read_text() == "22"


def test_changed_settings_run_the_stage_again(chain):
    chain()
    chain.config = {"seed": 2}
    assert statuses(chain()) == ["done", "done"]


def test_lost_outputs_run_the_stage_again(chain):
    chain()
    (chain.root / "c").unlink()
    assert statuses(chain()) == ["skipped", "done"]


def test_an_upstream_result_that_did_not_change_leaves_the_rest_alone(chain):
    chain()
    (chain.root / "b").unlink()
    assert statuses(chain()) == ["done", "skipped"]


@pytest.mark.parametrize(("error", "code"), [(DataError, 1), (UsageError, 2)])
def test_a_failed_stage_ends_the_job_and_the_next_run_starts_there(chain, error, code):
    chain.fail = error("a rule", got="that", hint="this")
    summary = chain()
    assert (summary["ok"], summary["exit_code"]) == (False, code)
    assert statuses(summary) == ["done", "failed"]
    assert "a rule" in summary["error"]
    assert json.loads((chain.root / "work" / SUMMARY).read_text()) == summary
    chain.fail = None
    assert statuses(chain()) == ["skipped", "done"]


def test_an_error_nobody_foresaw_is_in_the_summary_and_is_raised(chain):
    chain.fail = ZeroDivisionError("oops")
    with pytest.raises(ZeroDivisionError):
        chain()
    summary = json.loads((chain.root / "work" / SUMMARY).read_text())
    assert (summary["ok"], summary["exit_code"]) == (False, 1)
    assert "oops" in summary["error"]


def test_half_a_result_does_not_pass_for_the_old_one(chain):
    chain()
    (chain.root / "a").write_text("2")
    chain.fail = DataError("a rule", got="that", hint="this")
    chain()
    (chain.root / "a").write_text("1")
    chain.fail = None
    assert statuses(chain()) == ["done", "done"]


@pytest.mark.parametrize("content", ["{", "[]", "3", '{"first": 3}', '{"first": {"mark": ""}}'])
def test_a_broken_state_says_what_to_do(chain, content):
    chain()
    state = chain.root / "work" / STATE
    state.write_text(content)
    with pytest.raises(DataError, match="delete"):
        chain()


def test_missing_inputs_are_told(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        file_marks([tmp_path / "nowhere"])


def test_one_job_at_a_time(chain):
    def second():
        chain()
        return {}

    outer = [Stage("outer", {}, inputs=list, outputs=list, run=second)]
    summary = run_stages(outer, work=chain.root / "work", about={})
    assert not summary["ok"]
    assert "another one runs" in summary["error"]


def test_a_killed_job_goes_on_at_the_stage_that_did_not_end(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from ultr.jobs.stages import Stage, run_stages
        root, kill = Path(sys.argv[1]), sys.argv[2] == "kill"
        def work(name):
            with (root / "ran").open("a") as out:
                out.write(name + " ")
            if name == "two" and kill:
                os._exit(9)
            return {}
        names = ("one", "two", "three")
        stages = [Stage(n, {}, inputs=list, outputs=list, run=lambda n=n: work(n)) for n in names]
        print(run_stages(stages, work=root / "work", about={})["ok"])
        """)
    )
    call = [sys.executable, str(script), str(tmp_path)]
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    summary = tmp_path / "work" / SUMMARY
    summary.parent.mkdir()
    summary.write_text('{"ok": true}')  # of an earlier run
    assert subprocess.run([*call, "kill"], env=environment, check=False).returncode == 9
    left = json.loads(summary.read_text())
    assert (left["ok"], left["exit_code"]) == (False, None)
    assert "did not end" in left["error"]
    done = subprocess.run([*call, "go"], env=environment, check=True, capture_output=True)
    assert done.stdout.strip() == b"True"
    assert (tmp_path / "ran").read_text().split() == ["one", "two", "two", "three"]
