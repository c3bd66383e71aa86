"""The nightly job: a folder of raw logs in, a checked lake and an evaluated run out.

ingest -> judgments -> features -> lists -> checks -> train -> evaluate; judgments, features and
evaluate only where the TOML has such a table. Files that the lake already holds are not read again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ultr.config import from_mapping, read_toml
from ultr.errors import DataError, UsageError
from ultr.jobs.nightly_config import NightlyConfig, Plan, plan
from ultr.jobs.stages import Stage, file_marks, fingerprint, run_stages
from ultr.lake import open_lake
from ultr.manifest import MANIFEST


def run_file(config: Path, *, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Run the job that a TOML file describes; see `ultr.jobs.run_job`."""
    values = read_toml(config)
    for key, value in changes.items():
        _assign(values, key, value)
    return run(from_mapping(NightlyConfig, values, where=config.name), where=config.name)


def run(config: NightlyConfig, *, where: str = "nightly") -> dict[str, Any]:
    """Run the job.

    Args:
        config: what to run on.
        where: what the configuration came from, for error messages.

    Returns:
        The summary, also written to `work/summary.json`; the train stage's result has `run`.

    Raises:
        UsageError: the configuration does not fit.
        DataError: another job runs on the same work folder.
    """
    typed = plan(config, where)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    about = {"job": "nightly", "started_at": started, "lake": str(config.lake)}
    return run_stages(stages(typed), work=config.work, about=about)


def stages(typed: Plan) -> list[Stage]:
    """The job's stages, in order."""
    optional = [
        _judgments(typed) if typed.judgments else None,
        _features(typed) if typed.features else None,
    ]
    found = [_ingest(typed), *optional, _lists(typed), _checks(typed), _train(typed)]
    found.append(_evaluate(typed) if typed.evaluate else None)
    return [stage for stage in found if stage is not None]


def _ingest(typed: Plan) -> Stage:
    job = typed.job
    # A corrected mapping means other rows from the same logs; another salt is told as an error.
    named = [p for p in (typed.ingest.mapping, typed.ingest.hash_users) if p is not None]

    def work() -> Mapping[str, Any]:
        from ultr.etl.ingest import ingest  # noqa: PLC0415

        return ingest(_logs(job), lake=job.lake, config=typed.ingest)

    return Stage(
        "ingest",
        dataclasses.asdict(typed.ingest),
        inputs=lambda: file_marks([*_logs(job), *named]),
        outputs=lambda: _tables(job, "sessions", "rejects"),
        run=work,
    )


def _features(typed: Plan) -> Stage:
    job, given = typed.job, typed.features
    assert given is not None  # noqa: S101  asked for by `stages` only where there is one

    def work() -> Mapping[str, Any]:
        from ultr.etl.features import add_features  # noqa: PLC0415

        return add_features(job.lake, config=given)

    return Stage(
        "features",
        dataclasses.asdict(given),
        inputs=lambda: [
            file_marks([given.source] if given.source else []),
            _tables(job, "sessions", "judgments", "queries", "documents"),
        ],
        outputs=lambda: _tables(job, "features"),
        run=work,
    )


def _judgments(typed: Plan) -> Stage:
    job, given = typed.job, typed.judgments
    assert given is not None  # noqa: S101  as above

    def work() -> Mapping[str, Any]:
        from ultr.etl.judgments import add_judgments  # noqa: PLC0415

        return add_judgments(job.lake, source=given.source, format=given.format)

    return Stage(
        "judgments",
        dataclasses.asdict(given),
        inputs=lambda: [file_marks([given.source]), _tables(job, "sessions")],
        outputs=lambda: _tables(job, "judgments"),
        run=work,
    )


def _lists(typed: Plan) -> Stage:
    job = typed.job

    def work() -> Mapping[str, Any]:
        from ultr.etl.lists import build_lists  # noqa: PLC0415

        return build_lists(job.lake, config=typed.lists)

    return Stage(
        "lists",
        dataclasses.asdict(typed.lists),
        inputs=lambda: _tables(job, "sessions", "features", "judgments"),
        outputs=lambda: _tables(job, "lists", "candidates", "exposures"),
        run=work,
    )


def _checks(typed: Plan) -> Stage:
    job = typed.job

    def work() -> Mapping[str, Any]:
        from ultr.sql import run_checks  # noqa: PLC0415

        rows = run_checks(open_lake(job.lake))
        failed = {name: n for name, n in rows.items() if n}
        if failed:
            raise DataError(
                "the lake must pass its data checks before a ranker is trained on it",
                got=", ".join(f"{name}: {n} rows" for name, n in failed.items()),
                hint=f"look at them with: ultr sql --lake {job.lake} --name {next(iter(failed))}",
            )
        return {"checks": len(rows)}

    return Stage(
        "checks",
        {},
        inputs=lambda: _tables(job, "sessions", "lists", "candidates", "exposures"),
        outputs=list,
        run=work,
    )


def _train(typed: Plan) -> Stage:
    job = typed.job
    config = dataclasses.asdict(typed.train)
    files = [typed.train.propensities] if typed.train.propensities else []

    def work() -> Mapping[str, Any]:
        from ultr.train import is_finished, train_lake  # noqa: PLC0415

        run = _run_folder(typed)
        # The folder is this job's own and named after its inputs: what is there is a stopped try,
        # or a finished one that was changed since.
        again = is_finished(run)
        result = train_lake(
            lake=job.lake, run=run, config=typed.train, overwrite=again, resume=not again
        )
        return {"run": str(run), **result}

    return Stage(
        "train",
        config,
        inputs=lambda: [_tables(job, "lists", "candidates"), file_marks(files)],
        outputs=lambda: _run_marks(typed),
        run=work,
    )


def _evaluate(typed: Plan) -> Stage:
    job, given = typed.job, typed.evaluate
    assert given is not None  # noqa: S101  as above

    def work() -> Mapping[str, Any]:
        from ultr.eval.evaluate import evaluate  # noqa: PLC0415

        run = _run_folder(typed)
        return evaluate(run, lake=job.lake, config=given)

    return Stage(
        "evaluate",
        dataclasses.asdict(given),
        inputs=lambda: [_run_marks(typed), _tables(job, "lists", "judgments")],
        outputs=list,
        run=work,
    )


def _logs(job: NightlyConfig) -> list[Path]:
    found = sorted(p for p in job.logs.glob(job.pattern) if p.is_file())
    if not found:
        raise DataError(
            "the job needs raw log files",
            got=f"none that match {job.pattern!r} in {job.logs}",
            hint="check `logs` and `pattern` in the job's TOML",
        )
    return found


def _tables(job: NightlyConfig, *names: str) -> list[str]:
    """The files of tables: every commit gives new ones new names, so the names tell a change."""
    if not (job.lake / MANIFEST).exists():
        return []
    lake = open_lake(job.lake)
    return sorted(f.path for name in names for f in lake.files(name))


def _run_folder(typed: Plan) -> Path:
    """One folder per configuration and lake, so that a run that is being served never changes."""
    made_from = [dataclasses.asdict(typed.train), _tables(typed.job, "lists", "candidates")]
    return typed.job.work / "runs" / fingerprint(made_from)


_OF_EVALUATION = ("residuals.parquet", "per_query.parquet")
"""What `ultr evaluate` may leave in a run's folder: no output of training."""


def _run_marks(typed: Plan) -> list[list[Any]]:
    run = _run_folder(typed)
    made = (p for p in run.rglob("*") if p.is_file() and p.name not in _OF_EVALUATION)
    return file_marks(sorted(made))


def _assign(values: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key (`train.seed`) in nested tables."""
    *tables, last = key.split(".")
    for table in tables:
        inner = values.setdefault(table, {})
        if not isinstance(inner, dict):
            raise UsageError(
                "--set with a dot goes into a table",
                got=f"{key}, and {table} is not one",
                hint=f"give {table} by itself",
            )
        values = inner
    values[last] = value
