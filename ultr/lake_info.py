"""What a lake holds, from its manifest and the sizes of its files."""

from __future__ import annotations

from typing import Any

from ultr.lake import Lake
from ultr.schema import SCHEMA_VERSION, TABLES

_LONG = ("files", "by_period", "periods_by_source")


def describe(lake: Lake) -> dict[str, Any]:
    """Describe a lake without reading its Parquet.

    Returns:
        `schema_version commits rows files bytes periods sources ids` and, where there are such,
        `features transform judgments lists`; rows, files and bytes (on disk) are per table.

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
        "rows": {name: lake.rows(name) for name in held},
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
    found = {k: meta[k] for k in ("features", "judgments", "lists") if k in meta}
    if "lists" in found:
        # One entry per file or period each: for programs that keep lists up.
        found["lists"] = {k: v for k, v in found["lists"].items() if k not in _LONG}
    return info | found


def _bytes(lake: Lake, table: str) -> int:
    # A file that vanished under us (another job's commit) counts nothing; reading would tell.
    return sum(p.stat().st_size for p in lake.paths(table) if p.exists())
