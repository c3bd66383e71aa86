"""Seals: what the files of a folder are, written down beside them.

Orbax would print tracebacks of its threads for some kinds of damage, and take others for data.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path


def write_seal(path: Path, folders: tuple[str, ...]) -> None:
    """Write the digests of all files below `folders`, which stand beside `path`."""
    path.write_text(json.dumps(_digests(path.parent, folders), indent=1), encoding="utf-8")


def broken_files(path: Path, folders: tuple[str, ...]) -> list[str]:
    """The files that are gone, new or not as `write_seal` found them.

    Raises:
        OSError: no seal.
        ValueError: not a seal.
    """
    written = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(written, dict):
        raise ValueError(f"not an object but {written!r:.40}")  # noqa: TRY004  damage, not a type
    found = _digests(path.parent, folders)
    return sorted(n for n in written.keys() | found.keys() if written.get(n) != found.get(n))


def _digests(root: Path, folders: tuple[str, ...]) -> dict[str, str]:
    """File -> digest of its bytes."""
    found = {}
    for path in sorted(p for f in folders for p in (root / f).rglob("*") if p.is_file()):
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found[path.relative_to(root).as_posix()] = digest
    return found
