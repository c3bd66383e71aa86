"""The lake: a folder of Parquet files and one manifest that says which of them count.

A commit writes new files under fresh names and then replaces `manifest.json` in one rename, so a
reader sees the lake before the commit or after it and never between, and a job killed at any
moment leaves the lake as it was. Files that a commit replaces stay for `GRACE_S` seconds for
readers that still hold the older manifest; the next commit after that removes them.
"""

from __future__ import annotations

import contextlib
import copy
import fcntl
import json
import os
import re
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ultr.errors import DataError, UsageError
from ultr.schema import SCHEMA_VERSION, TABLES

if TYPE_CHECKING:
    import duckdb
    import polars as pl

MANIFEST = "manifest.json"
LOCK = ".lock"
GRACE_S = 3600.0
_FLUSHES = 8


@dataclass(frozen=True)
class File:
    """One Parquet file of a table.

    Args:
        path: relative to the lake.
        rows: rows in it.
        keys: what the file is about: `source`, `bucket`, `period`; partition columns of the table
            are among them, and stand in the path too.
    """

    path: str
    rows: int
    keys: Mapping[str, str]

    def matches(self, **keys: object) -> bool:
        """Whether every given key has the given value."""
        return all(self.keys.get(k) == str(v) for k, v in keys.items())


@dataclass
class Manifest:
    """What `manifest.json` holds.

    Args:
        version: number of commits so far.
        tables: table name -> its files.
        ids: `query` and `doc` -> rule that turns keys into ids (`ultr.etl.ids`).
        sources: raw file -> size, modification time and counts, so that it is read once.
        meta: one entry per stage (`features`, `judgments`, `lists`): what it was run with.
        superseded: replaced files and when they were replaced (seconds since the epoch).
    """

    version: int = 0
    tables: dict[str, list[File]] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    sources: dict[str, dict[str, Any]] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)
    superseded: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """A JSON object.

        Returns:
            The fields, and the schema version.
        """
        return {
            "schema_version": SCHEMA_VERSION,
            "version": self.version,
            "ids": self.ids,
            "sources": self.sources,
            "meta": self.meta,
            "superseded": self.superseded,
            "tables": {
                name: [{"path": f.path, "rows": f.rows, "keys": dict(f.keys)} for f in files]
                for name, files in self.tables.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], *, where: Path) -> Manifest:
        """Read what `to_json` wrote.

        Raises:
            DataError: the lake was written with another schema version.
        """
        if data.get("schema_version") != SCHEMA_VERSION:
            raise DataError(
                f"this ultr reads lakes of schema version {SCHEMA_VERSION}",
                got=f"{where} has version {data.get('schema_version')!r}",
                hint="ingest the raw logs into a new lake, or use the ultr that wrote this one",
            )
        return cls(
            version=data["version"],
            ids=dict(data["ids"]),
            sources=dict(data["sources"]),
            meta=dict(data["meta"]),
            superseded=dict(data["superseded"]),
            tables={
                name: [File(f["path"], f["rows"], f["keys"]) for f in files]
                for name, files in data["tables"].items()
            },
        )


@dataclass(frozen=True)
class Lake:
    """A lake as it was at one commit.

    Args:
        root: the folder.
        manifest: which files count, and what is known of them.
    """

    root: Path
    manifest: Manifest

    def files(self, table: str, **keys: object) -> list[File]:
        """The files of a table.

        Args:
            table: of the registry.
            **keys: only files with these values of `source`, `bucket` or `period`.
        """
        return [f for f in self.manifest.tables.get(table, []) if f.matches(**keys)]

    def paths(self, table: str, **keys: object) -> list[Path]:
        """The paths of a table's files.

        Args:
            table: of the registry.
            **keys: as of `files`.
        """
        return [self.root / f.path for f in self.files(table, **keys)]

    def rows(self, table: str) -> int:
        """Rows of a table, from the manifest."""
        return sum(f.rows for f in self.files(table))

    def require(self, table: str, *, hint: str) -> None:
        """Check that a table has rows.

        Args:
            table: of the registry.
            hint: which command fills it.

        Raises:
            DataError: it has none.
        """
        if not self.rows(table):
            raise DataError(f"the lake needs {table}", got=f"{self.root} has none", hint=hint)

    def read(self, table: str, *, columns: Sequence[str] | None = None, **keys: object) -> pa.Table:
        """Read a table into Arrow; partition columns that stand in the path are not added.

        Args:
            table: of the registry.
            columns: only these.
            **keys: as of `files`.

        Raises:
            DataError: a file that is gone or damaged.
        """
        paths = self.paths(table, **keys)
        schema = TABLES[table].arrow()
        if columns is not None:
            schema = pa.schema([schema.field(c) for c in columns])
        if not paths:
            return schema.empty_table()
        # ParquetFile, not read_table: a path may hold `=` without being a hive partition to add.
        parts = []
        for path in paths:
            with readable_parquet(path):
                parts.append(pq.ParquetFile(path).read(columns=schema.names).select(schema.names))
        return pa.concat_tables(parts)

    def table(self, name: str) -> pl.LazyFrame:
        """A table as a Polars LazyFrame, partition columns included.

        Example:
            >>> ultr.open_lake("lake").table("sessions").head(3).collect()  # doctest: +SKIP
        """
        from ultr.sql import scan  # noqa: PLC0415  the core does not import Polars by itself

        return scan(self, name)

    def sql(
        self, query: str, parameters: Mapping[str, Any] | None = None
    ) -> duckdb.DuckDBPyRelation:
        """Run one SELECT over the lake's views.

        Args:
            query: one SELECT; parameters stand as `$name`.
            parameters: name -> value, bound and never pasted into the text.

        Raises:
            UsageError: not one SELECT, or SQL that DuckDB refuses; the views are listed.

        Example:
            >>> ultr.open_lake("lake").sql("select count(*) from sessions")  # doctest: +SKIP
        """
        from ultr.sql import query as run  # noqa: PLC0415  the core does not import DuckDB by itself

        return run(self, query, parameters)

    def named(
        self, name: str, *, runs: Sequence[Path] = (), **parameters: Any
    ) -> duckdb.DuckDBPyRelation:
        """Run a named query of `ultr sql --list`.

        Args:
            name: the query.
            runs: folders that are runs or hold some, for the queries about runs.
            **parameters: instead of the query's defaults.

        Raises:
            UsageError: no such query or parameter; the known ones are listed.

        Example:
            >>> ultr.open_lake("lake").named("top_queries", top=5)  # doctest: +SKIP
        """
        from ultr.sql import load, query  # noqa: PLC0415  as above

        chosen = load(name)
        return query(self, chosen.sql, chosen.bind(parameters), runs=runs)

    @contextlib.contextmanager
    def commit(self, command: str, *, grace_s: float = GRACE_S) -> Iterator[Commit]:
        """Change the lake: all of it at the end of the block, or nothing.

        Args:
            command: who is writing, for the message to a second writer.
            grace_s: how long replaced files stay for readers, in seconds.

        Raises:
            DataError: another process is writing to the lake.
        """
        with _locked(self.root, command):
            # Another job may have committed since this Lake was opened: build on what is there now.
            change = Commit(self.root, copy.deepcopy(open_lake(self.root).manifest))
            change.remove_leftovers(grace_s=grace_s)
            try:
                yield change
            except BaseException:
                change.discard()
                raise
            change.publish()


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
        self._flushed[path] = self._flushing.submit(_fsync, path)

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
                    (self._flushed.get(path) or pool.submit(_fsync, path)).result()
            deque(pool.map(_fsync, {p.parent for p in self._written}), maxlen=0)
        self.manifest.version += 1
        _write_manifest(self.root, self.manifest)

    def discard(self) -> None:
        """Delete what was written, and the folders that are left empty."""
        self._flushing.shutdown(cancel_futures=True)
        for path in self._written:
            path.unlink(missing_ok=True)
            for folder in path.relative_to(self.root).parents[:-1]:
                with contextlib.suppress(OSError):  # not empty, or gone already
                    (self.root / folder).rmdir()


def open_lake(path: str | Path) -> Lake:
    """Open a lake for reading.

    Raises:
        DataError: no lake there, an unreadable manifest, or one of another schema version.

    Example:
        >>> lake = ultr.open_lake("lake")  # doctest: +SKIP
    """
    root = Path(path)
    manifest = root / MANIFEST
    try:
        data = json.loads(manifest.read_text(encoding="utf-8"))
        return Lake(root, Manifest.from_json(data, where=manifest))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            "a lake is a folder with a manifest.json",
            got=f"{root} has none",
            hint=f"make one with: ultr ingest LOG --format … --lake {root}",
        ) from error
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            "the lake's manifest.json must be readable JSON, as ultr wrote it",
            got=f"{manifest}: {error!r}",
            hint="restore it from a backup, or ingest into a new lake",
        ) from error


def create_lake(path: str | Path) -> Lake:
    """Open the lake at `path`, making an empty one if nothing is there yet.

    Raises:
        DataError: the folder holds something that is not a lake.
    """
    root = Path(path)
    if (root / MANIFEST).exists():
        return open_lake(root)
    if root.exists() and (not root.is_dir() or any(p.name != LOCK for p in root.iterdir())):
        raise DataError(
            "a new lake needs an empty or a new folder",
            got=f"{root} holds something else",
            hint="choose another --lake",
        )
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root, "create"):
        if not (root / MANIFEST).exists():
            _write_manifest(root, Manifest())
    return open_lake(root)


def lake_around(path: Path) -> Path | None:
    """The lake that a file lies in or would lie in, None outside of any.

    A folder counts by what a lake has beside its manifest, so that a damaged one is known too and
    the `manifest.json` of other programs is not taken for one.
    """
    for folder in (path.parent.resolve() / path.name).parents:
        if (folder / MANIFEST).is_file() and any(
            (folder / name).exists() for name in (LOCK, *TABLES)
        ):
            return folder
    return None


@contextlib.contextmanager
def readable_parquet(path: Path) -> Iterator[None]:
    """Around reading one Parquet file of a lake.

    Raises:
        DataError: the file is gone or damaged.
    """
    try:
        yield
    except (OSError, KeyError, pa.ArrowException) as error:
        first = next(iter(str(error).strip().splitlines()), "")
        raise DataError(
            "every file that the lake's manifest names must be readable Parquet",
            got=f"{path}: {type(error).__name__}: {first}",
            hint="restore the file from a backup, or ingest into a new lake",
        ) from error


@contextlib.contextmanager
def _locked(root: Path, command: str) -> Iterator[None]:
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


def _write_manifest(root: Path, manifest: Manifest) -> None:
    temporary = root / f"{MANIFEST}.new"
    with temporary.open("w", encoding="utf-8") as out:
        json.dump(manifest.to_json(), out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(root / MANIFEST)
    _fsync(root)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
