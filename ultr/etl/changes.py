"""Which raw files are new, changed, the same, or gone, by what the lake knows of them."""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ultr.errors import DataError
from ultr.etl.sources import source_name

_STREAM_BYTES = 1 << 20


def mark_of(parts: Sequence[Path]) -> dict[str, int]:
    """`size` and `mtime_ns` of a source: together, and the latest, where it is of several files.

    Raises:
        DataError: a file that cannot be looked at.
    """
    try:
        status = [p.stat() for p in parts]
    except OSError as error:
        raise _unreadable(error) from error
    return {
        "size": sum(s.st_size for s in status),
        "mtime_ns": max(s.st_mtime_ns for s in status),
    }


def content_of(parts: Sequence[Path]) -> str:
    """A digest of the bytes of a source, read as a stream.

    Raises:
        DataError: a file that cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    try:
        for path in parts:
            digest.update(f"{path.stat().st_size}:".encode())
            with path.open("rb") as file:
                while data := file.read(_STREAM_BYTES):
                    digest.update(data)
    except OSError as error:
        raise _unreadable(error) from error
    return digest.hexdigest()


def is_same(known: Mapping[str, Any] | None, mark: Mapping[str, Any]) -> bool:
    """Whether a source needs no reading.

    Args:
        known: what the lake keeps of it, if anything.
        mark: what it is now: size, time, how it is read and, where that was asked for, `content`,
            which then decides alone against an earlier one.
    """
    if known is None:
        return False
    told = dict(mark)
    if (content := told.pop("content", None)) is not None and "content" in known:
        for name in ("size", "mtime_ns"):
            del told[name]
        told["content"] = content
    return {k: known.get(k) for k in told} == told


def vanished(
    sources: Sequence[Path], *, found: Iterable[str], known: Iterable[str], lake: Path
) -> list[str]:
    """Sources that the lake knows, that the call covers, and that are not there any more.

    Only names are compared: what the manifest holds is never used as a path.

    Args:
        sources: folders and globs as they were given; a single file that is gone is an error.
        found: names of the files that were found.
        known: names that the lake knows.
        lake: the lake's folder.
    """
    missing = set(known) - set(found)
    gone: set[str] = set()
    for source in sources:
        name = source_name(source, lake=lake)
        if source.is_dir():
            below = "" if name == "." else f"{name}/"
            gone |= {m for m in missing if m.startswith(below)}
        elif not source.exists():
            gone |= {m for m in missing if _fits(m, name)}
    return sorted(gone)


def _fits(name: str, pattern: str) -> bool:
    if "**" in pattern:
        return fnmatch.fnmatchcase(name, pattern)
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatch.fnmatchcase, parts, wanted))


def _unreadable(error: OSError) -> DataError:
    return DataError(
        "a raw log must be a readable file",
        got=f"{error.filename}: {error.strerror}",
        hint="check the path and the permissions",
    )
