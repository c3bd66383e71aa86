"""What a lake holds, from its manifest, and the sizes and footers of its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ultr.lake import Lake
from ultr.schema import ONE_ROW_PER_KEY, SCHEMA_VERSION, TABLES
from ultr.staleness import stale_inputs

_LONG = ("files", "by_period", "periods_by_source")


def describe(lake: Lake) -> dict[str, Any]:
    """Describe a lake, reading of its rows only the ids of queries and documents.

    Returns:
        `schema_version commits rows files bytes first_period last_period periods sources
        sources_by_format ids stale replaced_files replaced_bytes` and, where there are such,
        `privacy log_features features transform judgments lists`. Rows, files and bytes (on disk)
        are per table; rows are those of its view, where a query of several sources is one; the
        first and last period are those of sessions, `periods` those that `ultr lists` keeps apart;
        `stale` names tables that changed since then.

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
        **_first_and_last(lake),
        "periods": sorted(periods),
        "sources": len(manifest.sources),
        "sources_by_format": dict(
            Counter(str(s.get("format", "unknown")) for s in manifest.sources.values())
        ),
        "ids": manifest.ids,
        "stale": stale_inputs(lake),
        "replaced_files": len(manifest.superseded),
        "replaced_bytes": _size(lake.root / p for p in manifest.superseded),
    }
    if "transform" in meta:
        info["transform"] = {
            "kind": meta["transform"]["kind"],
            "features": len(meta["transform"]["names"]),
        }
    found = {k: meta[k] for k in _META if k in meta}
    if "lists" in found:
        # One entry per file or period each: for programs that keep lists up.
        found["lists"] = {k: v for k, v in found["lists"].items() if k not in _LONG}
    return info | found


_META = ("privacy", "log_features", "features", "judgments", "lists")


def sources_of(lake: Lake) -> dict[str, dict[str, Any]]:
    """Each raw file that the lake holds: format, size, lines, sessions, clicks and rejects."""
    kept = ("format", "size", "lines", "sessions", "clicks", "rejects")
    return {
        name: {k: facts[k] for k in kept if k in facts}
        for name, facts in sorted(lake.manifest.sources.items())
    }


def _first_and_last(lake: Lake) -> dict[str, str]:
    found = sorted({p for path in lake.paths("sessions") for p in _range(path)})
    return {"first_period": found[0], "last_period": found[-1]} if found else {}


def _range(path: Path) -> Iterator[str]:
    """The least and the greatest period of a file, from the footer."""
    if not path.exists():
        return
    footer = pq.read_metadata(path)
    column = footer.schema.names.index("period")
    for group in range(footer.num_row_groups):
        statistics = footer.row_group(group).column(column).statistics
        if statistics is not None and statistics.has_min_max:
            yield from (statistics.min, statistics.max)


def view_rows(lake: Lake, table: str) -> int:
    """Rows of a table as its view has them: what several sources brought counts once."""
    if table not in ONE_ROW_PER_KEY or len(lake.files(table)) < 2:
        return lake.rows(table)
    key = TABLES[table].key[0]
    return len(pc.unique(lake.read(table, columns=[key])[key]))


def _bytes(lake: Lake, table: str) -> int:
    return _size(lake.paths(table))


def _size(paths: Iterable[Path]) -> int:
    # A file that vanished under us (another job's commit) counts nothing; reading would tell.
    return sum(p.stat().st_size for p in paths if p.exists())
