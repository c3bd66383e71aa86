"""Fewer files, and none that nobody needs: the upkeep of a lake."""

from __future__ import annotations

import shutil
from itertools import groupby
from pathlib import Path
from typing import Any

from ultr.commit import GRACE_S, Commit
from ultr.etl.engine import engine, temporary_folder
from ultr.etl.feature_checks import carry_marks, stale_groups
from ultr.etl.rewrite import KEYED, drop_unreferenced, merge, one_row_per_id
from ultr.lake import Lake, open_lake
from ultr.manifest import File
from ultr.schema import TABLES
from ultr.staleness import list_inputs, stale_inputs

TARGET_BYTES = 256 << 20
"""Files are merged up to this size; larger ones stay as they are."""


def compact(lake: Path, *, memory_gib: float = 1.0) -> dict[str, Any]:
    """Merge small files of each table; queries and documents get one row per id.

    Rows of the other tables stay as they are, and those of each source in files of their own, so
    that a file that changes still replaces its own. Queries and documents that nothing refers to
    any more go. The replaced files stay for readers until `vacuum`.

    Args:
        lake: the lake's folder.
        memory_gib: what DuckDB may hold before it spills to the lake's disk.

    Returns:
        `files_before files_after bytes_before bytes_after rows_dropped`.

    Raises:
        DataError: no lake, or a file that cannot be read.
    """
    with open_lake(lake).commit("lake compact") as change:
        before, fresh = _sizes(change), list_inputs(change.manifest)
        stale = stale_inputs(Lake(lake, change.manifest))
        made_from = stale_groups(change.manifest)
        dropped = 0
        with engine(lake, memory_gib=memory_gib) as connection:
            for table in TABLES:
                if table in KEYED:
                    one_row_per_id(connection, change, table)
                    dropped += drop_unreferenced(connection, change, table)
                else:
                    _merge_small(change, table)
        carry_marks(change.manifest, stale=made_from)
        _carry_over(change, fresh=fresh, stale=stale)
        after = _sizes(change)
    return {
        "files_before": len(before),
        "files_after": len(after),
        "bytes_before": sum(before),
        "bytes_after": sum(after),
        "rows_dropped": dropped,
    }


def vacuum(lake: Path, *, now: bool = False) -> dict[str, Any]:
    """Delete files that no commit counts any more: replaced ones, and what killed jobs left.

    Args:
        lake: the lake's folder.
        now: replaced files too that a reader may still hold (those of the last hour).

    Returns:
        `files bytes files_kept`: deleted, and replaced files that stay for now.
    """
    with open_lake(lake).commit("lake vacuum", grace_s=0.0 if now else GRACE_S) as change:
        spilled = temporary_folder(lake)
        found = [p.stat().st_size for p in spilled.rglob("*") if p.is_file()]
        shutil.rmtree(spilled, ignore_errors=True)
        freed = change.freed
        kept = len(change.manifest.superseded)
    return {
        "files": freed.files + len(found),
        "bytes": freed.bytes + sum(found),
        "files_kept": kept,
    }


def _merge_small(change: Commit, table: str) -> None:
    def keys(file: File) -> list[tuple[str, str]]:
        return sorted(file.keys.items())

    files = sorted(change.manifest.tables.get(table, []), key=keys)
    for _, group in groupby(files, key=keys):
        batch: list[File] = []
        size = 0
        for file in group:
            bytes_ = (change.root / file.path).stat().st_size
            if batch and size + bytes_ > TARGET_BYTES:
                _merge(change, table, batch)
                batch, size = [], 0
            batch.append(file)
            size += bytes_
        _merge(change, table, batch)


def _merge(change: Commit, table: str, files: list[File]) -> None:
    if len(files) > 1:
        merge(change, table, files)


def _carry_over(change: Commit, *, fresh: dict[str, str], stale: list[str]) -> None:
    """Lists that were up to date still are: other files, the same rows."""
    made = change.manifest.meta.get("lists")
    if made is None:
        return
    now = list_inputs(change.manifest)
    known = {t: d for t, d in fresh.items() if t not in stale}
    made["inputs"] = made.get("inputs", {}) | {t: now[t] for t in known}


def _sizes(change: Commit) -> list[int]:
    return [
        (change.root / f.path).stat().st_size
        for files in change.manifest.tables.values()
        for f in files
    ]
