"""Which raw files a call names, and what a lake calls them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ultr.errors import UsageError
from ultr.letor.ultra import LISTS, list_files


def find_files(sources: Sequence[Path], *, lake: Path | None = None) -> list[Path]:
    """The files that sources name: files, every file below a folder, or what a glob matches.

    Hidden files (`.x`, `_SUCCESS`) of folders are left out, and so are those of the lake, which may
    stand beside its logs. A file that is named twice is found once.

    Raises:
        UsageError: nothing matches one of them, or what matches is no file.
    """
    found: dict[Path, Path] = {}
    for source in sources:
        matches = _below(source, lake=lake) if source.is_dir() else _matches(source, lake=lake)
        if not matches:
            raise UsageError(
                "a source is a file, a folder with files, or a glob that matches some",
                got=str(source),
                hint="check the path",
            )
        for path in sorted(matches):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def find_lists(sources: Sequence[Path], lake: Path) -> list[Path]:
    """The `.init_list` files that sources name: folders of ULTRA, or such files themselves.

    Raises:
        DataError: a folder that is none of ULTRA's.
        UsageError: as `find_files`, or another file.
    """
    lists: list[Path] = []
    for source in sources:
        lists += list_files(source) if source.is_dir() else find_files([source], lake=lake)
    other = [p for p in lists if p.suffix != LISTS]
    if other:
        raise UsageError(
            "--format ultra takes the folder with settings.json, or a .init_list file",
            got=str(other[0]),
            hint="name the folder",
        )
    return list(dict.fromkeys(lists))


def source_name(path: Path, *, lake: Path) -> str:
    """What the lake calls a raw file: its path as seen from the lake's parent folder.

    It is the same however the path was written and wherever logs and lake are moved together, and
    the files of two nights that have one name stay two. It is never used as a path.
    """
    relative = os.path.relpath(path.resolve(), lake.resolve().parent)
    # A name may hold any bytes; text in Parquet and JSON may not.
    return os.fsencode(relative).decode("utf-8", errors="backslashreplace")


def _below(folder: Path, *, lake: Path | None) -> list[Path]:
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and not any(part[0] in "._" for part in path.relative_to(folder).parts)
        and not _is_within(path, lake)
    ]


def _is_within(path: Path, lake: Path | None) -> bool:
    return lake is not None and lake.resolve() in path.resolve().parents


def _matches(source: Path, *, lake: Path | None) -> list[Path]:
    if source.exists() or not any(c in str(source) for c in "*?["):
        return [source] if source.is_file() else []
    anchor = Path(source.anchor) if source.anchor else Path()
    found = anchor.glob(str(source.relative_to(source.anchor)))
    return [p for p in found if p.is_file() and not _is_within(p, lake)]
