"""Kill a command at a random moment, run it again, and compare the lake with an undisturbed one."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import ultr
from ultr.commit import LOCK
from ultr.etl.ingest import ingest
from ultr.etl.ingest_config import Format, IngestConfig
from ultr.etl.lists import ListsConfig, build_lists
from ultr.manifest import MANIFEST
from ultr.schema import TABLES

MAIN = "import sys; from ultr.cli import main; main(sys.argv[1:])"


def contents(lake: Path) -> dict[str, object]:
    """Every row of every table, sorted, and what is known of the sources."""
    opened = ultr.open_lake(lake)
    rows = {
        name: sorted(map(repr, opened.sql(f"from {name}").fetchall()))
        for name in TABLES
        if opened.files(name)
    }
    return {**rows, "sources": opened.manifest.sources, "ids": opened.manifest.ids}


def rerun(command: str, lake: Path, logs: Sequence[Path], *, form: Format = "yandex") -> None:
    """Run a command in this process."""
    if command == "ingest":
        ingest(logs, lake=lake, config=IngestConfig(format=form), quiet=True)
    else:
        build_lists(lake, config=ListsConfig(buckets=4), quiet=True)


def killed(command: str, lake: Path, logs: Sequence[Path], *, after_s: float, form: Format) -> bool:
    """Start a command, kill it so long after it took the lake's lock; False if it had ended."""
    arguments = {
        "ingest": ["ingest", *map(str, logs), "--format", form],
        "lists": ["lists", "--buckets", "4"],
    }[command]
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, *arguments, "--lake", str(lake), "--json"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    lock = lake / LOCK
    while process.poll() is None and not (lock.exists() and command in lock.read_text()):
        time.sleep(0.001)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def survive(
    command: str,
    lake: Path,
    logs: Sequence[Path],
    *,
    after_s: float,
    expected: dict[str, object],
    form: Format = "yandex",
) -> bool:
    """Kill, look, run again, compare; returns whether the kill came before the end.

    Raises:
        AssertionError: a reader saw half a commit, or the lake differs from the undisturbed one.
    """
    before = contents(lake) if (lake / MANIFEST).exists() else None
    was_killed = killed(command, lake, logs, after_s=after_s, form=form)
    if (lake / MANIFEST).exists():
        between = contents(lake)
        assert between in (before, expected, {"sources": {}, "ids": {}}), "half a commit is visible"
    rerun(command, lake, logs, form=form)
    assert contents(lake) == expected
    counted = {f.path for files in ultr.open_lake(lake).manifest.tables.values() for f in files}
    kept = counted | set(ultr.open_lake(lake).manifest.superseded)
    on_disk = {p.relative_to(lake).as_posix() for p in lake.rglob("*.parquet")}
    assert on_disk == kept, "files of the killed job are left"
    return was_killed
