"""Whether the lists of a lake were made from what the lake holds now."""

from __future__ import annotations

import hashlib
import json

from ultr.lake import Lake
from ultr.manifest import Manifest

INPUTS = ("sessions", "features", "judgments")
"""Tables that `ultr lists` reads."""


def list_inputs(manifest: Manifest) -> dict[str, str]:
    """A digest per input table: it changes when a commit adds, replaces or removes a file."""
    return {name: table_digest(manifest, name) for name in INPUTS}


def is_stale(lake: Lake) -> bool:
    """Whether sessions, features or judgments changed since `ultr lists`; False without lists.

    Example:
        >>> is_stale(ultr.open_lake("lake"))  # doctest: +SKIP
        False
    """
    return bool(stale_inputs(lake))


def stale_inputs(lake: Lake) -> list[str]:
    """The tables that changed since `ultr lists` read them; none without lists."""
    made = lake.manifest.meta.get("lists")
    if made is None:
        return []
    now, then = list_inputs(lake.manifest), made.get("inputs", {})
    return [name for name in INPUTS if now[name] != then.get(name)]


def table_digest(manifest: Manifest, table: str) -> str:
    """A digest of what a table holds, and of the transforms that were chosen for features."""
    # Every commit writes under fresh names, so the names alone tell one content from another.
    names = sorted(f.path for f in manifest.tables.get(table, []))
    if table == "features":
        names.append(json.dumps(manifest.meta.get(table, {}).get("transforms"), sort_keys=True))
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:16]
