"""What a lake holds, from its manifest and the sizes of its files."""

from __future__ import annotations

from typing import Any

import pyarrow.compute as pc

from ultr.lake import Lake
from ultr.schema import ONE_ROW_PER_KEY, SCHEMA_VERSION, TABLES


def describe(lake: Lake) -> dict[str, Any]:
    """Describe a lake, reading of its Parquet only the ids of queries and documents.

    Returns:
        `schema_version commits rows files bytes periods sources ids` and, where there are such,
        `features transform judgments lists`; rows, files and bytes (on disk) are per table;
        rows are those of its view, where a query of several sources is one.

    Example:
        >>> describe(ultr.open_lake("lake"))["rows"]["sessions"]  # doctest: +SKIP
        6380
    """
    manifest, meta = lake.manifest, lake.manifest.meta
    held = [name for name in TABLES if lake.files(name)]
    periods = {
        value
        for files in manifest.tables.values()
        for file in files
        if (value := file.keys.get("period")) is not None
    }
    info: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "commits": manifest.version,
        "rows": {name: view_rows(lake, name) for name in held},
        "files": {name: len(lake.files(name)) for name in held},
        "bytes": {name: _bytes(lake, name) for name in held},
        "periods": sorted(periods),
        "sources": len(manifest.sources),
        "ids": manifest.ids,
    }
    if "transform" in meta:
        info["transform"] = {
            "kind": meta["transform"]["kind"],
            "features": len(meta["transform"]["names"]),
        }
    return info | {k: meta[k] for k in ("features", "judgments", "lists") if k in meta}


def view_rows(lake: Lake, table: str) -> int:
    """Rows of a table as its view has them: what several sources brought counts once."""
    if table not in ONE_ROW_PER_KEY or len(lake.files(table)) < 2:
        return lake.rows(table)
    key = TABLES[table].key[0]
    return len(pc.unique(lake.read(table, columns=[key])[key]))


def _bytes(lake: Lake, table: str) -> int:
    # A file that vanished under us (another job's commit) counts nothing; reading would tell.
    return sum(p.stat().st_size for p in lake.paths(table) if p.exists())
