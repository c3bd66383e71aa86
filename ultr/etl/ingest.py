"""Raw logs to the tables `sessions`, `queries`, `documents` and `rejects`."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ultr.errors import UsageError
from ultr.etl.counts import Counts, check_format, check_rate
from ultr.etl.ids import MixedIdsError, parse_rules
from ultr.etl.sources import find_files, source_name
from ultr.etl.write import WRITTEN, ChunkWriter, opened, set_rules
from ultr.lake import Commit
from ultr.logs import baidu, table, yandex
from ultr.logs.ahead import ahead
from ultr.logs.chunk import Chunk
from ultr.logs.mapping import read_mapping
from ultr.progress import Advance, progress

Format = Literal["yandex", "baidu", "table"]
CHUNKS_AHEAD = 2
"""Chunks that are parsed before they are written."""

Reader = Callable[[Path], Generator[Chunk]]


@dataclass(frozen=True)
class IngestConfig:
    """How to read raw logs.

    Args:
        format: yandex, baidu or table.
        mapping: for table, the TOML file that names the columns.
        max_reject_rate: share of rejected lines above which the job fails.
        id_rules: `query` and `doc` -> rule, instead of the detected one; only for a new lake.
        is_dry_run: read and report, write nothing.
    """

    format: Format
    mapping: Path | None = None
    max_reject_rate: float = 0.05
    id_rules: dict[str, str] = field(default_factory=dict)
    is_dry_run: bool = False

    def __post_init__(self) -> None:
        """Check the combination.

        Raises:
            UsageError: a mapping for a fixed format, or a rate outside 0 to 1.
        """
        if self.mapping is not None and self.format != "table":
            raise UsageError(
                "a mapping goes with --format table", got=self.format, hint="leave --mapping out"
            )
        if not 0 <= self.max_reject_rate <= 1:
            raise UsageError(
                "--max-reject-rate is a share from 0 to 1",
                got=str(self.max_reject_rate),
                hint="for example 0.05",
            )
        parse_rules(self.id_rules)


def ingest(
    sources: Sequence[Path], *, lake: Path, config: IngestConfig, quiet: bool = False
) -> dict[str, Any]:
    """Read raw logs into a lake; all of them, or nothing.

    A file that the lake already holds, with the same size, modification time, format and mapping,
    is skipped; one that changed replaces its own rows.

    Args:
        sources: files, folders, or globs.
        lake: the lake's folder; made if it is new.
        config: how to read them.
        quiet: no progress.

    Returns:
        `lines used repeated ignored rejects sessions impressions clicks rejects_by_reason files
        files_skipped bytes seconds sessions_per_second`; the four kinds of lines add up to lines.

    Raises:
        DataError: a missing, empty or damaged file, ids that break the lake's rule, or more rejects
            than allowed. The lake stays as it was.
        UsageError: no file matches.
    """
    began = time.monotonic()
    source = _source(config)
    files = find_files(sources, lake=lake)
    if config.is_dry_run:
        total = _read_only(files, source.read)
    else:
        total = _ingest(files, lake=lake, source=source, config=config, quiet=quiet)
    seconds = time.monotonic() - began
    return {
        "lines": total.lines,
        "used": total.used,
        "repeated": total.repeated,
        "ignored": total.ignored,
        "rejects": total.rejects,
        "sessions": total.sessions,
        "impressions": total.impressions,
        "clicks": total.clicks,
        "rejects_by_reason": dict(total.reasons.most_common()),
        "files": total.files,
        "files_skipped": len(files) - total.files,
        "bytes": total.size,
        "seconds": round(seconds, 3),
        "sessions_per_second": round(total.sessions / max(seconds, 1e-9)),
    }


class _Source(NamedTuple):
    """A reader, and what else the rows depend on: a changed mapping makes a file worth reading."""

    read: Reader
    mapping: str


def _source(config: IngestConfig) -> _Source:
    if config.format != "table":
        return _Source({"yandex": yandex.read, "baidu": baidu.read}[config.format], "")
    mapping = None if config.mapping is None else read_mapping(config.mapping)
    digest = hashlib.sha256(repr(mapping).encode()).hexdigest()
    return _Source(functools.partial(table.read, mapping=mapping), digest)


def _read_only(files: Sequence[Path], read: Reader) -> Counts:
    total = Counts()
    for path in files:
        total.begin(path)
        for chunk in read(path):
            total.add(chunk)
    return total


def _ingest(
    files: Sequence[Path], *, lake: Path, source: _Source, config: IngestConfig, quiet: bool
) -> Counts:
    """Write all files in one commit; start again where the detected id rule was too narrow."""
    rules = dict(config.id_rules)
    while True:
        total, detected = Counts(), set[str]()
        try:
            with opened(lake) as change:
                detected = {"query", "doc"} - set(change.manifest.ids) - set(rules)
                set_rules(change, rules)
                with progress(
                    "ingest", total=sum(p.stat().st_size for p in files), unit="B", quiet=quiet
                ) as advance:
                    new = [
                        (p, m)
                        for p in files
                        if (m := _mark(p, change=change, source=source, config=config)) is not None
                    ]
                    advance(sum(p.stat().st_size for p in set(files) - {p for p, _ in new}))
                    _write(new, change=change, source=source, total=total, advance=advance)
                check_rate(total, most=config.max_reject_rate)
        except MixedIdsError as error:
            if error.column not in detected:
                raise
            rules[error.column] = "xxh3"  # what the first rows followed, a later one does not
        else:
            return total


def _mark(
    path: Path, *, change: Commit, source: _Source, config: IngestConfig
) -> dict[str, Any] | None:
    """What tells whether a file is new; None where the lake has it already."""
    status = path.stat()
    mark = {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "format": config.format,
        "mapping": source.mapping,
    }
    known = change.manifest.sources.get(source_name(path, lake=change.root), {})
    return None if {k: known.get(k) for k in mark} == mark else mark


def _write(
    new: Sequence[tuple[Path, dict[str, Any]]],
    *,
    change: Commit,
    source: _Source,
    total: Counts,
    advance: Advance,
) -> None:
    """Read files and write their rows: a thread decompresses, one parses, and this one writes."""
    chunks = ahead(_chunks([path for path, _ in new], source.read), depth=CHUNKS_AHEAD)
    with contextlib.closing(chunks):
        for path, mark in new:
            name, counts = source_name(path, lake=change.root), Counts()
            _forget(name, change)
            total.begin(path)
            with ChunkWriter(change, source=name) as writer:
                # The chunks of a file end with a None, so that the next is read meanwhile.
                while (chunk := next(chunks)) is not None:
                    writer.write(chunk)
                    counts.add(chunk)
                    total.add(chunk)
                    advance(chunk.size)
            check_format(path, counts, form=mark["format"])
            change.manifest.sources[name] = mark | {
                "lines": counts.lines,
                "sessions": counts.sessions,
                "impressions": counts.impressions,
                "clicks": counts.clicks,
                "rejects": counts.rejects,
            }


def _forget(source: str, change: Commit) -> None:
    for table_name in WRITTEN:
        change.remove(table_name, lambda f: f.matches(source=source))


def _chunks(paths: Sequence[Path], read: Reader) -> Generator[Chunk | None]:
    for path in paths:
        yield from read(path)
        yield None
