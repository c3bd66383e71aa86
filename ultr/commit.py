"""Writing to a lake: all of a change at once, by one job at a time.

A commit writes new files under fresh names and then replaces `manifest.json` in one rename, so a
reader sees the lake before the commit or after it and never between, and a job killed at any
moment leaves the lake as it was. Files that a commit replaces stay for `GRACE_S` seconds for
readers that still hold the older manifest; the next commit after that removes them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ultr.errors import DataError, UsageError
from ultr.manifest import File, Manifest, fsync, write_manifest
from ultr.schema import TABLES

LOCK = ".lock"
GRACE_S = 3600.0
_FLUSHES = 8


@dataclass(frozen=True)
class Freed:
    """Files that were deleted.

    Args:
        files: how many.
        bytes: how large together.
    """

    files: int = 0
    bytes: int = 0

    def plus(self, size: int) -> Freed:
        """With one more file."""
        return Freed(self.files + 1, self.bytes + size)


@dataclass
class Commit:
    """Files and facts that become part of the lake together.

    Args:
        root: the lake's folder.
        manifest: the manifest to be; starts as a copy of the current one.
        freed: leftovers and replaced files that were deleted at its start.
    """

    root: Path
    manifest: Manifest
    freed: Freed = Freed()
    _written: list[Path] = field(default_factory=list)
    _token: str = field(default_factory=lambda: secrets.token_hex(4))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _flushing: ThreadPoolExecutor = field(  # a disk takes several files at a time
        default_factory=lambda: ThreadPoolExecutor(_FLUSHES, thread_name_prefix="ultr-flush")
    )
    _flushed: dict[Path, Future[None]] = field(default_factory=dict)

    def new_file(self, table: str, **keys: object) -> Path:
        """A fresh path for a file of `table`; its folder exists. Register it with `add`.

        Args:
            table: a table of the registry.
            **keys: `bucket` and `period` where the table is partitioned by them.
        """
        parts = [f"{c.name}={_path_value(c.name, keys[c.name])}" for c in TABLES[table].partitions]
        folder = self.root.joinpath(table, *parts)
        folder.mkdir(parents=True, exist_ok=True)
        with self._lock:  # several threads may write
            number = len(self._written)
            name = f"{self.manifest.version + 1:06d}-{self._token}-{number:05d}.parquet"
            self._written.append(folder / name)
        return folder / name

    def add(self, table: str, path: Path, *, rows: int, **keys: object) -> None:
        """Make a written file part of a table; it goes to the disk while others are written.

        Args:
            table: of the registry.
            path: what `new_file` gave.
            rows: in it.
            **keys: what the file is about.
        """
        relative = path.relative_to(self.root).as_posix()
        entry = File(relative, rows, {k: str(v) for k, v in keys.items()})
        self.manifest.tables.setdefault(table, []).append(entry)
        self._flushed[path] = self._flushing.submit(fsync, path)

    def write(
        self,
        table: str,
        data: pa.Table,
        *,
        dictionary: bool | list[str] = True,
        delta: Sequence[str] = (),
        **keys: object,
    ) -> None:
        """Write `data` as one file of `table` and add it; columns follow the registry.

        Args:
            table: a table of the registry.
            data: its rows; optional columns that it lacks are null.
            dictionary: whether values are stored once and pointed at, or paths of columns for
                which they are; of others it costs time and saves nothing.
            delta: paths of columns of whole numbers near each other, of which differences are
                stored; not those in `dictionary`.
            **keys: what the file is about.
        """
        schema = TABLES[table].arrow()
        path = self.new_file(table, **keys)
        for column in TABLES[table].columns:
            if column.is_optional and column.name not in data.column_names:
                data = data.append_column(column.name, pa.nulls(data.num_rows, column.type))
        rows = data.select(schema.names).cast(schema)
        encoding = dict.fromkeys(delta, "DELTA_BINARY_PACKED") or None
        pq.write_table(
            rows, path, compression="zstd", use_dictionary=dictionary, column_encoding=encoding
        )
        self.add(table, path, rows=data.num_rows, **keys)

    def remove(self, table: str, where: Callable[[File], bool] = lambda _: True) -> None:
        """Take files out of a table.

        Args:
            table: of the registry.
            where: which ones.
        """
        files = self.manifest.tables.get(table, [])
        for gone in [f for f in files if where(f)]:
            files.remove(gone)
            self.manifest.superseded[gone.path] = time.time()

    def keep(self, table: str, file: File) -> None:
        """Put back a file that `remove` took out in this commit.

        Args:
            table: of the registry.
            file: the file.
        """
        self.manifest.tables.setdefault(table, []).append(file)
        del self.manifest.superseded[file.path]

    def withdraw(self, **keys: object) -> None:
        """Take back what this commit has written so far under these keys."""
        ours = {p.relative_to(self.root).as_posix(): p for p in self._written}
        for files in self.manifest.tables.values():
            for gone in [f for f in files if f.path in ours and f.matches(**keys)]:
                files.remove(gone)
                ours[gone.path].unlink(missing_ok=True)

    def remove_leftovers(self, *, grace_s: float = GRACE_S) -> None:
        """Delete files of killed jobs, and replaced files that no reader can still hold."""
        old = time.time() - grace_s
        self.manifest.superseded = {p: t for p, t in self.manifest.superseded.items() if t > old}
        known = set(self.manifest.superseded)
        known.update(f.path for files in self.manifest.tables.values() for f in files)
        for table in TABLES:
            for path in (self.root / table).rglob("*.parquet"):
                if path.relative_to(self.root).as_posix() not in known:
                    self.freed = self.freed.plus(path.stat().st_size)
                    path.unlink(missing_ok=True)

    def publish(self) -> None:
        """Flush what was written and put the new manifest in place."""
        with self._flushing as pool:
            for path in self._written:
                if path.exists():  # it was not withdrawn
                    (self._flushed.get(path) or pool.submit(fsync, path)).result()
            deque(pool.map(fsync, {p.parent for p in self._written}), maxlen=0)
        self.manifest.version += 1
        write_manifest(self.root, self.manifest)

    def discard(self) -> None:
        """Delete what was written, and the folders that are left empty."""
        self._flushing.shutdown(cancel_futures=True)
        for path in self._written:
            path.unlink(missing_ok=True)
            for folder in path.relative_to(self.root).parents[:-1]:
                with contextlib.suppress(OSError):  # not empty, or gone already
                    (self.root / folder).rmdir()


@contextlib.contextmanager
def locked(root: Path, command: str) -> Iterator[None]:
    """Hold a lake's lock, which ends with the process at the latest.

    Args:
        root: the lake's folder.
        command: who is writing, for the message to a second writer.

    Raises:
        DataError: another process holds it.
    """
    with (root / LOCK).open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            raise DataError(
                "one job at a time may write to a lake",
                got=f"{root} is being written by: {lock.read().strip() or 'another process'}",
                hint="wait for it to end and run this again; readers are never blocked",
            ) from error
        lock.truncate(0)
        lock.write(f"{command}, process {os.getpid()}")
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)


def _path_value(name: str, value: object) -> str:
    """A partition value as a folder name: nothing from a log is ever used as a path as it is."""
    if name == "bucket":
        return f"{int(str(value)):04d}"
    text = str(value)
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", text):
        raise UsageError(
            "a period's name may hold letters, digits, - and _",
            got=repr(text),
            hint="choose --period day or week",
        )
    return text
