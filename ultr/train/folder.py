"""A run's folder: claimed before anything is written, and compared before it is gone on with."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

from ultr.errors import DataError, UsageError
from ultr.train.keeper import FOLDER
from ultr.train.run_files import RUN_FILES

_FREE = ("checkpoint_seconds",)
"""Settings that change nothing in the result."""


def check_folder(root: Path, *, overwrite: bool, resume: bool) -> None:
    """Check that a training may use a folder, and make it.

    Raises:
        UsageError: it holds a run that would be lost, or something else, or cannot be made.
    """
    if not (overwrite or resume):
        _check_loses_nothing(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a file stands there, or above it, or the disk is not ours
        raise UsageError(
            "--run needs a folder that can be made",
            got=f"{root}: {error.strerror}",
            hint="choose another --run",
        ) from error
    if not _is_own(root):
        raise UsageError(
            "--run needs a new or empty folder",
            got=f"{root} holds something else",
            hint="choose another --run",
        )


def _is_own(root: Path) -> bool:
    """Whether a folder is empty or a run's: other programs have a config.json too."""
    if (root / "config.json").exists():
        with contextlib.suppress(DataError):
            return bool(read_config(root))
        return False
    # A training that was killed before it wrote config.json leaves its lock.
    return {p.name for p in root.iterdir()} <= {FOLDER} and not any((root / FOLDER).glob("[!.]*"))


def _check_loses_nothing(root: Path) -> None:
    if (root / "summary.json").exists():
        raise UsageError(
            "a finished run is not overwritten",
            got=f"{root} holds one",
            hint="choose another --run, or say --overwrite",
        )
    if any((root / FOLDER).glob("*/*/seal.json")):
        raise UsageError(
            "a training that can go on is not overwritten",
            got=f"{root} holds one that was stopped",
            hint="say --resume to go on with it, --overwrite to begin anew, "
            "or choose another --run",
        )


def clear(root: Path) -> None:
    """Take away what an earlier training left."""
    # The mark of a finished run goes first: a job killed from here on leaves an unfinished run.
    (root / "summary.json").unlink(missing_ok=True)
    for part in (root / FOLDER).iterdir():
        if part.is_dir():
            shutil.rmtree(part)
    for name in RUN_FILES:
        if name not in ("config.json", FOLDER):  # config.json says that the folder is a run's
            path = root / name
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def is_begun(root: Path) -> bool:
    """Whether a training was begun in the folder, finished or not."""
    return (root / "config.json").is_file()


def is_finished(root: Path) -> bool:
    """Whether the folder holds a finished run."""
    return (root / "summary.json").is_file()


def read_config(root: Path) -> dict[str, Any]:
    """What `config.json` of a run holds, finished or not.

    Raises:
        DataError: it is gone or damaged.
    """
    path = root / "config.json"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        _ = value["settings"].items(), value["lake"].items()
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            "config.json must be as ultr train wrote it",
            got=f"{path}: {type(error).__name__}: {error}",
            hint="restore it from a backup, or train into another folder",
        ) from error
    return dict(value)


def check_same(root: Path, config: dict[str, Any]) -> None:
    """Check that a training goes on as it was begun.

    Args:
        root: the run's folder.
        config: what `config.json` would hold now.

    Raises:
        UsageError: naming what differs, and how.
    """
    before, now = read_config(root), json.loads(json.dumps(config))
    tables = [c["lake"].get("tables") for c in (before, now)]
    is_same_lake = None not in tables and tables[0] == tables[1]
    before, now = (_flat(c, with_version=not is_same_lake) for c in (before, now))
    differ = [k for k in {**before, **now} if before.get(k) != now.get(k)]
    if differ:
        told = "; ".join(f"{k} was {before.get(k)!r}, is {now.get(k)!r}" for k in differ[:5])
        raise UsageError(
            "--resume goes on with the settings and the lake that the training was begun with",
            got=told + (f"; and {len(differ) - 5} more" if len(differ) > 5 else ""),
            hint="give what it was begun with (settings may be left out), or train into another "
            "--run",
        )


def _flat(config: dict[str, Any], *, with_version: bool) -> dict[str, Any]:
    settings = {k: v for k, v in config["settings"].items() if k not in _FREE}
    rest = {k: v for k, v in config.items() if k not in ("settings", "lake")}
    # A lake may move, and what training does not read may be added to it.
    lake = {"lake version": config["lake"].get("version")} if with_version else {}
    return {**settings, **rest, **lake}


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file in one step."""
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
    temporary.replace(path)
