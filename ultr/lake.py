"""The lake: a folder of Parquet files and one manifest that says which of them count."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from ultr.commit import GRACE_S, LOCK, Commit, locked
from ultr.errors import DataError
from ultr.manifest import MANIFEST, File, Manifest, write_manifest
from ultr.parquet import readable_parquet
from ultr.schema import TABLES

if TYPE_CHECKING:
    import duckdb
    import polars as pl


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
        with locked(self.root, command):
            # Another job may have committed since this Lake was opened: build on what is there now.
            change = Commit(self.root, copy.deepcopy(open_lake(self.root).manifest))
            change.remove_leftovers(grace_s=grace_s)
            try:
                yield change
            except BaseException:
                change.discard()
                raise
            change.publish()


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
    with locked(root, "create"):
        if not (root / MANIFEST).exists():
            write_manifest(root, Manifest())
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
