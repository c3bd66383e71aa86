"""Kill a command at a random moment, run it again, and compare the lake with an undisturbed one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import ultr
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.lists import ListsConfig, build_lists
from ultr.lake import LOCK, MANIFEST
from ultr.schema import TABLES

YANDEX = IngestConfig(format="yandex")
MAIN = "import sys; from ultr.cli import main; main(sys.argv[1:])"


def write_logs(folder: Path, *, files: int, sessions: int) -> list[Path]:
    """Yandex logs whose pages repeat, with a reject in each."""
    folder.mkdir()
    paths = []
    for number in range(files):
        rng, path = random.Random(number), folder / f"{number}.tsv"
        pages = []
        for s in range(sessions):
            query, first = rng.randrange(200), rng.randrange(3)
            urls = "\t".join(f"u{query}x{(first + i) % 12}" for i in range(10))
            pages.append(f"{number}-{s}\t0\tQ\t{query}\t0\t{urls}\n")
            if rng.random() < 0.5:
                pages.append(f"{number}-{s}\t3\tC\tu{query}x{first}\n")
        path.write_text("".join(pages) + "junk\n")
        paths.append(path)
    return paths


def contents(lake: Path) -> dict[str, object]:
    """Every row of every table, sorted, and what is known of the sources."""
    opened = ultr.open_lake(lake)
    rows = {
        name: sorted(map(repr, opened.sql(f"from {name}").fetchall()))
        for name in TABLES
        if opened.files(name)
    }
    return {**rows, "sources": opened.manifest.sources, "ids": opened.manifest.ids}


def rerun(command: str, lake: Path, logs: Sequence[Path]) -> None:
    """Run a command in this process."""
    if command == "ingest":
        ingest(logs, lake=lake, config=YANDEX, quiet=True)
    else:
        build_lists(lake, config=ListsConfig(buckets=4), quiet=True)


def killed(command: str, lake: Path, logs: Sequence[Path], *, after_s: float) -> bool:
    """Start a command, kill it so long after it took the lake's lock; False if it had ended."""
    arguments = {
        "ingest": ["ingest", *map(str, logs), "--format", "yandex"],
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
    command: str, lake: Path, logs: Sequence[Path], *, after_s: float, expected: dict[str, object]
) -> bool:
    """Kill, look, run again, compare; returns whether the kill came before the end.

    Raises:
        AssertionError: a reader saw half a commit, or the lake differs from the undisturbed one.
    """
    before = contents(lake) if (lake / MANIFEST).exists() else None
    was_killed = killed(command, lake, logs, after_s=after_s)
    if (lake / MANIFEST).exists():
        between = contents(lake)
        assert between in (before, expected, {"sources": {}, "ids": {}}), "half a commit is visible"
    rerun(command, lake, logs)
    assert contents(lake) == expected
    counted = {f.path for files in ultr.open_lake(lake).manifest.tables.values() for f in files}
    kept = counted | set(ultr.open_lake(lake).manifest.superseded)
    on_disk = {p.relative_to(lake).as_posix() for p in lake.rglob("*.parquet")}
    assert on_disk == kept, "files of the killed job are left"
    return was_killed
