"""The demo's folder: claimed before anything is written, and known again by its mark."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ultr.demo.config import METHODS, DemoConfig
from ultr.errors import UsageError

MARK = "demo.json"
_MADE_BY = "ultr demo"


def claim(config: DemoConfig) -> None:
    """Make the folder, or take an earlier demo's parts out of it; other files in it stay.

    Raises:
        UsageError: the folder holds something else, or cannot be written.
    """
    out = config.out
    parts = (config.simulation, config.lake, config.report, *map(config.run, METHODS))
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())) and not _is_demo(out):
            raise UsageError(
                "the demo needs a new or empty folder, or that of an earlier demo",
                got=f"{out} holds something else",
                hint="name another folder: ultr demo --out DIR",
            )
        out.mkdir(parents=True, exist_ok=True)
        # First of all: a demo that was stopped half-way can be run again.
        mark(out, {})
        for part in parts:
            _remove(part)
    except OSError as error:
        raise UsageError(
            "the demo's folder must be writable",
            got=f"{error.filename or out}: {error.strerror}",
            hint="name another folder: ultr demo --out DIR",
        ) from error


def mark(out: Path, result: dict[str, Any]) -> None:
    """Write the demo's mark, which is also where its result is kept for programs."""
    temporary = out / f"{MARK}.new"
    temporary.write_text(json.dumps({"made_by": _MADE_BY, **result}, indent=1) + "\n", "utf-8")
    temporary.replace(out / MARK)


def _is_demo(out: Path) -> bool:
    try:
        found = json.loads((out / MARK).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("made_by") == _MADE_BY


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
