"""Whether the lists of a lake were made from what the lake holds now."""

from __future__ import annotations

import hashlib

from ultr.lake import Lake, Manifest

INPUTS = ("sessions", "features", "judgments")
"""Tables that `ultr lists` reads."""


def list_inputs(manifest: Manifest) -> dict[str, str]:
    """A digest per input table: it changes when a commit adds, replaces or removes a file."""
    return {name: _digest(manifest, name) for name in INPUTS}


def is_stale(lake: Lake) -> bool:
    """Whether sessions, features or judgments changed since `ultr lists`; False without lists.

    Example:
        >>> is_stale(ultr.open_lake("lake"))  # doctest: +SKIP
        False
    """
    made = lake.manifest.meta.get("lists")
    return made is not None and made.get("inputs") != list_inputs(lake.manifest)


def _digest(manifest: Manifest, table: str) -> str:
    # Every commit writes under fresh names, so the names alone tell one content from another.
    names = "\n".join(sorted(f.path for f in manifest.tables.get(table, [])))
    return hashlib.sha256(names.encode()).hexdigest()[:16]
