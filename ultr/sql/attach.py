"""A DuckDB database with a lake's views, for programs that know DuckDB and not ultr."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from ultr.errors import UsageError
from ultr.lake import Lake
from ultr.manifest import MANIFEST
from ultr.results import check_target, replacing
from ultr.sql.connection import create_views, explained, view_names
from ultr.sql.tables import literal

_MAGIC, _MAGIC_AT = b"DUCK", 8


def attach(lake: Lake, path: Path, *, runs: Sequence[Path] = ()) -> list[str]:
    """Write a DuckDB database with the views of `connect`; no row of the lake is copied.

    The views read the Parquet files of this one commit by absolute path: the database may be moved,
    the lake not. Later commits are not seen, and a file that one of them replaces is deleted an
    hour later, so write the database anew after each: readers that have it open keep the old one.
    The view `lake_commit` tells whether it is the newest. What runs measured is copied, but for
    `run_queries`.

    Args:
        lake: the commit to look at.
        path: the database; an older one is replaced when the new one is whole.
        runs: as of `connect`.

    Returns:
        The names of the views.

    Raises:
        UsageError: `path` lies in the lake, or is a file of another kind.
        DataError: a file of the lake or of a run is gone or damaged.

    Example:
        >>> attach(ultr.open_lake("lake"), Path("lake.duckdb"))  # doctest: +SKIP
    """
    inputs = [lake.root, *runs]
    check_target(path, inputs=inputs)
    _check_kind(path)
    with replacing(path, inputs=inputs) as temporary:
        temporary.unlink()  # DuckDB makes its own
        with duckdb.connect(str(temporary)) as connection, explained(connection):
            create_views(connection, lake, runs=runs)
            connection.execute(f"create view lake_commit as {_commit_select(lake)}")
            return view_names(connection)


def _commit_select(lake: Lake) -> str:
    """`lake, version, newest_version, is_newest`: the last two as of when it is asked."""
    root = lake.root.resolve()
    return f"""
        select
            {literal(root)} as lake,
            {lake.manifest.version:d} as version,
            newest.version as newest_version,
            newest.version = {lake.manifest.version:d} as is_newest
        from read_json(
            {literal(root / MANIFEST)},
            columns = {{version: 'bigint'}},
            maximum_object_size = 2147483647
        ) as newest
    """  # noqa: S608  escaped above


def _check_kind(path: Path) -> None:
    """Whoever names a table of theirs by mistake keeps it."""
    if not path.exists():
        return
    with path.open("rb") as file:
        head = file.read(_MAGIC_AT + len(_MAGIC))
    if head and head[_MAGIC_AT:] != _MAGIC:
        raise UsageError(
            "only an older DuckDB database is replaced by a new one",
            got=f"{path} is another kind of file",
            hint="choose another --attach, such as lake.duckdb",
        )
