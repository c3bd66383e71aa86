"""What keeps a run's work while it goes on: the lines of `metrics.jsonl`, and checkpoints.

A method runs several trainings one after the other. Each has a numbered folder below `training/`,
and one whose newest checkpoint says that it is finished is not repeated. Lines that were written
after the checkpoint from which training goes on are cut off: they come again.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from ultr.errors import DataError
from ultr.train.checkpoint import Checkpoints, Saved
from ultr.train.stop import Stop

FOLDER = "training"
_METRICS = "metrics.jsonl"

OnEpoch = Callable[[dict[str, Any]], None]
OnStage = Callable[[str], None]


class Keeper:
    """Keeps the work of one run.

    Args:
        root: the run's folder.
        every_s: seconds between two checkpoints, at least.
        on_epoch: receives each line of measurements too.
        stop: whether someone asked to stop.
        earlier: the folder of a finished run to begin from.
    """

    def __init__(
        self, root: Path, *, every_s: float, on_epoch: OnEpoch, stop: Stop, earlier: Path | None
    ) -> None:
        self.root, self.every_s, self.stop = root, every_s, stop
        self.on_epoch, self.earlier = on_epoch, earlier
        (root / FOLDER).mkdir(exist_ok=True)
        self.metrics = Metrics(root / _METRICS)
        self._names: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.metrics.close()

    def training(self, **about: Any) -> Training:
        """The next training; those of one run come in the same order each time.

        Args:
            **about: what it is, one of a kind within the run; stands in each of its lines.
        """
        slug = re.sub(r"[^A-Za-z0-9.]+", "-", " ".join(map(str, about.values())))
        folder = f"{len(self._names):02d}-{slug}"
        self._names.append(folder)
        return Training(self, about=about, folder=folder)

    def drop_after(self, folder: str) -> None:
        """Drop what an earlier try did after this training, which goes on now."""
        for later in (self.root / FOLDER).iterdir():
            if later.is_dir() and later.name > folder:
                shutil.rmtree(later)

    def finish(self) -> None:
        """All trainings are done: the last state of each is enough to continue from."""
        for name in self._names:
            Checkpoints(self.root / FOLDER / name).prune(keep=1)


class Training:
    """Keeps one training.

    Args:
        keeper: of the run.
        about: what it is.
        folder: name of its folder.
    """

    def __init__(self, keeper: Keeper, *, about: dict[str, Any], folder: str) -> None:
        self._keeper, self._about, self._folder = keeper, about, folder
        self._checkpoints = Checkpoints(keeper.root / FOLDER / folder)
        self._saved_at = time.monotonic()

    def load(self) -> Saved | None:
        """Where an earlier try was, or None; lines of measurements of after that are cut off.

        Raises:
            DataError: its checkpoints are damaged, or its lines are gone.
        """
        saved = self._checkpoints.load()
        is_finished = saved is not None and saved.notes["course"]["is_finished"]
        if saved is not None:
            self._keeper.metrics.expect(saved.notes["metrics_bytes"])
        if not is_finished:
            self._keeper.metrics.cut()
            self._keeper.drop_after(self._folder)
        return saved

    def earlier(self) -> Saved | None:
        """The last state of the same training of the run that this one continues."""
        root = self._keeper.earlier
        if root is None:
            return None
        # By name alone: its number may be another where a run tries more settings.
        own = self._folder.partition("-")[2]
        found = [p for p in sorted((root / FOLDER).iterdir()) if p.name.partition("-")[2] == own]
        return Checkpoints(found[0]).load() if found else None

    def record(self, line: dict[str, Any]) -> None:
        """Write one line of measurements."""
        line = {**self._about, **line}
        self._keeper.metrics.write(line)
        self._keeper.on_epoch(line)

    @property
    def is_due(self) -> bool:
        """Whether a checkpoint should be saved now."""
        waited = time.monotonic() - self._saved_at
        return bool(self._keeper.stop.signal) or waited >= self._keeper.every_s

    def save(self, arrays: Any, course: dict[str, Any]) -> None:
        """Save a checkpoint, and end here if someone asked for it.

        Args:
            arrays: any tree of arrays.
            course: where training is, JSON; `is_finished` among it.

        Raises:
            StoppedError: after it was saved.
        """
        notes = {"course": course, "metrics_bytes": self._keeper.metrics.sync()}
        self._checkpoints.save(arrays, notes)
        self._saved_at = time.monotonic()
        self._keeper.stop.raise_if_asked(
            at=f"epoch {course['epoch']} of {self._folder}",
            hint=f"say the same again with --resume (it is kept in {self._keeper.root})",
        )


class Metrics:
    """The lines of `metrics.jsonl`.

    Args:
        path: the file; made if it is not there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("ab")
        self._expected = 0

    def expect(self, size: int) -> None:
        """Take note that a checkpoint was made when the file was so long.

        Raises:
            DataError: it is shorter now.
        """
        if size > self._path.stat().st_size:
            raise DataError(
                "the lines of metrics.jsonl that a checkpoint was made after must be there",
                got=f"{self._path} has {self._path.stat().st_size} bytes, not {size}",
                hint="restore it from a backup, or begin anew with --overwrite",
            )
        self._expected = size

    def cut(self) -> None:
        """Cut off what was written after the last checkpoint."""
        if self._path.stat().st_size > self._expected:
            self._file.truncate(self._expected)

    def write(self, line: dict[str, Any]) -> None:
        """Add a line."""
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()

    def sync(self) -> int:
        """Make the file survive the machine; returns its size."""
        os.fsync(self._file.fileno())
        self._expected = self._path.stat().st_size
        return self._expected

    def close(self) -> None:
        """Close the file."""
        self._file.close()


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Around a training: no other process trains into the same folder.

    Raises:
        DataError: one does.
    """
    (root / FOLDER).mkdir(exist_ok=True)
    with (root / FOLDER / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(
                "one process at a time may train into a folder",
                got=f"another one trains into {root}",
                hint="wait for it to end, or choose another --run",
            ) from error
        yield
