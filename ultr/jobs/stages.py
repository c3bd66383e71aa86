"""Run stages in order, remember which are finished, and skip those on the next run.

A stage is finished for a fingerprint of its configuration and inputs, as long as its outputs are
still what it left. The state is replaced in one rename after each stage, so a job killed at any
moment starts again at the stage that did not end.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ultr.errors import DataError, UltrError

STATE = "state.json"
SUMMARY = "summary.json"


@dataclass(frozen=True)
class Stage:
    """One step of a job.

    Args:
        name: what it is called in the state and in the summary.
        config: everything that changes what it does; JSON.
        inputs: describes what it reads, as JSON that changes when the input does.
        outputs: describes what it leaves, in the same way.
        run: does it; returns counts for the summary.
    """

    name: str
    config: Mapping[str, Any]
    inputs: Callable[[], Any]
    outputs: Callable[[], Any]
    run: Callable[[], Mapping[str, Any]]


def run_stages(stages: Sequence[Stage], *, work: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Run what is not finished yet, and write `summary.json` whatever happens.

    Args:
        stages: in order; a stage that fails ends the job.
        work: the job's folder for its state and summary.
        about: more entries for the summary.

    Returns:
        The summary: `about`, `ok`, `exit_code`, `seconds`, `stages` (name, status `done`,
        `skipped` or `failed`, seconds, result) and `error` when a stage failed.

    Raises:
        DataError: the job already runs on this folder.
    """
    work.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with _alone(work):
        state = _read_state(work / STATE)
        report: list[dict[str, Any]] = []
        summary = {**about, "ok": True, "exit_code": 0, "stages": report}
        # What a killed job leaves must not be the summary of an earlier, good one.
        unfinished = {"ok": False, "exit_code": None, "error": "the job did not end, or still runs"}
        write_json(work / SUMMARY, summary | unfinished)
        try:
            for stage in stages:
                _run_stage(stage, state=state, work=work, report=report)
        except UltrError as error:
            summary |= {"ok": False, "exit_code": error.exit_code, "error": str(error)}
        except BaseException:
            summary |= {"ok": False, "exit_code": 1, "error": traceback.format_exc()}
            raise
        finally:
            summary["seconds"] = round(time.monotonic() - start, 3)
            write_json(work / SUMMARY, summary)
    return summary


def file_marks(paths: Sequence[Path]) -> list[list[Any]]:
    """Path, size and modification time of files: what tells a changed input.

    Raises:
        DataError: a file that cannot be read.
    """
    try:
        stats = [(p, p.stat()) for p in paths]
    except OSError as error:
        raise DataError(
            "every input of the job must be readable",
            got=f"{error.filename}: {error.strerror}",
            hint="check the paths in the job's TOML",
        ) from error
    return [[str(p), s.st_size, s.st_mtime_ns] for p, s in stats]


def fingerprint(value: Any) -> str:
    """A short digest of JSON."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file in one step."""
    temporary = path.with_name(path.name + ".new")
    temporary.write_text(json.dumps(value, indent=1, default=str) + "\n", encoding="utf-8")
    temporary.replace(path)


def _run_stage(
    stage: Stage, *, state: dict[str, Any], work: Path, report: list[dict[str, Any]]
) -> None:
    start = time.monotonic()
    entry: dict[str, Any] = {"stage": stage.name, "status": "failed", "seconds": 0.0}
    report.append(entry)
    try:
        mark = fingerprint([stage.config, stage.inputs()])
        before = state.get(stage.name)
        if before and before["mark"] == mark and before["outputs"] == fingerprint(stage.outputs()):
            entry |= {"status": "skipped", "result": before["result"]}
            return
        # Forgotten before it starts: half of a new result must not pass for the old one.
        state.pop(stage.name, None)
        write_json(work / STATE, state)
        result = dict(stage.run())
        outputs = fingerprint(stage.outputs())
        state[stage.name] = {"mark": mark, "outputs": outputs, "result": result}
        write_json(work / STATE, state)
        entry |= {"status": "done", "result": result}
    finally:
        entry["seconds"] = round(time.monotonic() - start, 3)


def _read_state(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        # As written below: another JSON value would fail somewhere in the middle of the job.
        for stage in state.values():
            _ = stage["mark"], stage["outputs"], stage["result"]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, LookupError, TypeError) as error:
        raise DataError(
            "the job's state must be JSON as the job wrote it",
            got=f"{path}: {type(error).__name__}: {error}",
            hint=f"delete {path} to run every stage again",
        ) from error
    return state


@contextlib.contextmanager
def _alone(work: Path) -> Iterator[None]:
    with (work / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(
                "a job runs once at a time on its work folder",
                got=f"another one runs on {work}",
                hint="wait for it to end, or give this one another work folder",
            ) from error
        yield
