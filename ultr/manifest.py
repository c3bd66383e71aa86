"""The manifest: which Parquet files make up a lake, and what is known of them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ultr.errors import DataError
from ultr.schema import SCHEMA_VERSION

MANIFEST = "manifest.json"


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


def write_manifest(root: Path, manifest: Manifest) -> None:
    """Put a manifest in the place of the one that is there, in one step."""
    temporary = root / f"{MANIFEST}.new"
    with temporary.open("w", encoding="utf-8") as out:
        json.dump(manifest.to_json(), out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(root / MANIFEST)
    fsync(root)


def fsync(path: Path) -> None:
    """Have the disk keep a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
