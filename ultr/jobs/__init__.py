"""Batch jobs: restartable, with an exit code and a machine-readable summary.

A job is a module here with `run_file(config: Path, *, changes) -> dict`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ultr.errors import UsageError

JOBS = {"nightly": "ingest -> features -> judgments -> lists -> train -> evaluate on a folder"}
"""Every job and its one line; the module is `ultr.jobs.<name>`."""


def run_job(name: str, config: Path, *, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Run the job `name` with a TOML file.

    Args:
        name: one of `JOBS`.
        config: the TOML file.
        changes: dotted key -> value, over what the file says (`{"train.seed": 2}`).

    Returns:
        The job's summary: `ok`, `exit_code`, `stages`, `error` and more; also in a file.

    Raises:
        UsageError: no such job, or a configuration that does not fit.
    """
    if name not in JOBS:
        raise UsageError("a job is one of the list", got=repr(name), hint=", ".join(JOBS))
    module = importlib.import_module(f"ultr.jobs.{name}")
    summary: dict[str, Any] = module.run_file(config, changes=changes or {})
    return summary
