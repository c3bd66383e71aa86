"""Raw logs to the tables `sessions`, `queries`, `documents`, `events` and `rejects`."""

from __future__ import annotations

import functools
import hashlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from ultr.errors import UsageError
from ultr.etl.counts import Counts, check_format, check_rate
from ultr.etl.ids import MixedIdsError, parse_rules
from ultr.etl.joins import Join, finish
from ultr.etl.late import parse_late
from ultr.etl.sources import find_files, source_name
from ultr.etl.ubi_join import UbiJoin
from ultr.etl.write import ChunkWriter, opened
from ultr.etl.yandex_join import YandexJoin
from ultr.lake import Commit
from ultr.logs import table, ubi, yandex
from ultr.logs.chunk import Chunk
from ultr.logs.mapping import read_mapping
from ultr.progress import Advance, progress

Format = Literal["yandex", "table", "ubi"]
Reader = Callable[[Path], Iterator[Chunk]]
JOINED = {"ubi": "48h", "yandex": "0"}
"""Formats whose clicks come apart from their pages, and how long these wait by default."""


@dataclass(frozen=True)
class IngestConfig:
    """How to read raw logs.

    Args:
        format: yandex, table or ubi.
        mapping: for table, the TOML file that names the columns.
        max_reject_rate: share of rejected lines above which the job fails.
        id_rules: `query` and `doc` -> rule, instead of the detected one; only for a new lake.
        is_dry_run: read and report, write nothing.
        late: how long an event waits for its page (`48h`, `90m`, `0`), before the newest time of
            its format in the lake; None is 48h for ubi and 0 for yandex.
        ordinal_base: for ubi, the number of the first position, 0 or 1; None finds it out.
        click_actions: for ubi, what the log calls a click; empty for the usual names.
        impression_actions: for ubi, what it calls an impression; empty for the usual names.
    """

    format: Format
    mapping: Path | None = None
    max_reject_rate: float = 0.05
    id_rules: dict[str, str] = field(default_factory=dict)
    is_dry_run: bool = False
    late: str | None = None
    ordinal_base: Literal[0, 1] | None = None
    click_actions: tuple[str, ...] = ()
    impression_actions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the combination.

        Raises:
            UsageError: an option of another format, or a value that makes no sense.
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
        own = (self.ordinal_base, self.click_actions or None, self.impression_actions or None)
        if self.format != "ubi" and any(v is not None for v in own):
            raise UsageError(
                "--ordinal-base, --click-action and --impression-action go with --format ubi",
                got=self.format,
                hint="leave them out",
            )
        if self.late is not None and self.format not in JOINED:
            raise UsageError(
                f"--late goes with --format {' or '.join(JOINED)}", got=self.format,
                hint="leave --late out",
            )  # fmt: skip
        parse_late(self.late or "0")
        self.actions()

    def actions(self) -> ubi.Actions:
        """What a UBI log calls clicks and impressions."""
        return ubi.Actions(
            self.click_actions or ubi.CLICKS, self.impression_actions or ubi.IMPRESSIONS
        )


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
        Where events come apart from pages also `waiting` (used lines whose page has not come, in
        the whole lake); for ubi `ordinal_base` by application, `pages_by_impressions` and
        `pages_by_hits`; for yandex `sessions_scattered` over files or blocks.

    Raises:
        DataError: a missing, empty or damaged file, ids that break the lake's rule, or more rejects
            than allowed. The lake stays as it was.
        UsageError: no file matches.
    """
    began = time.monotonic()
    source = _source(config)
    files = find_files(sources, lake=lake)
    joined: dict[str, Any] = {}
    if config.is_dry_run and config.format in JOINED:
        # What a click belongs to is known when all is read: into a lake that is thrown away.
        with tempfile.TemporaryDirectory(prefix="ultr-ingest-") as folder:
            total, joined = _ingest(
                files, lake=Path(folder) / "lake", source=source, config=config, quiet=quiet
            )
    elif config.is_dry_run:
        total = _read_only(files, source.read)
    else:
        total, joined = _ingest(files, lake=lake, source=source, config=config, quiet=quiet)
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
        **joined,
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
    if config.format == "yandex":
        return _Source(yandex.read, "")
    if config.format == "ubi":
        actions = config.actions()
        digest = hashlib.sha256(repr((actions, config.ordinal_base)).encode()).hexdigest()
        return _Source(functools.partial(ubi.read, actions=actions), digest)
    mapping = None if config.mapping is None else read_mapping(config.mapping)
    digest = hashlib.sha256(repr(mapping).encode()).hexdigest()
    return _Source(functools.partial(table.read, mapping=mapping), digest)


def _join(change: Commit, config: IngestConfig) -> Join | None:
    if config.format == "ubi":
        return UbiJoin(change, ordinal_base=config.ordinal_base)
    return YandexJoin(change) if config.format == "yandex" else None


def _read_only(files: Sequence[Path], read: Reader) -> Counts:
    total = Counts()
    for path in files:
        total.begin(path)
        for chunk in read(path):
            total.add(chunk)
    return total


def _ingest(
    files: Sequence[Path], *, lake: Path, source: _Source, config: IngestConfig, quiet: bool
) -> tuple[Counts, dict[str, Any]]:
    """Write all files in one commit; start again where the detected id rule was too narrow."""
    rules = dict(config.id_rules)
    while True:
        total, detected, joined = Counts(), set[str](), dict[str, Any]()
        try:
            with opened(lake) as change:
                detected = {"query", "doc"} - set(change.manifest.ids) - set(rules)
                writer, join = ChunkWriter(change, rules), _join(change, config)
                fresh = set[str]()
                with progress(
                    "ingest", total=sum(p.stat().st_size for p in files), unit="B", quiet=quiet
                ) as advance:
                    for path in files:
                        fresh |= _ingest_file(
                            path, writer=writer, source=source, total=total, advance=advance,
                            config=config, join=join,
                        )  # fmt: skip
                if join is not None:
                    late = parse_late(config.late or JOINED[config.format])
                    joined = finish(join, change, total=total, fresh=fresh, late=late)
                check_rate(total, most=config.max_reject_rate)
        except MixedIdsError as error:
            if error.column not in detected:
                raise
            rules[error.column] = "xxh3"  # what the first rows followed, a later one does not
        else:
            return total, joined


def _ingest_file(
    path: Path,
    *,
    writer: ChunkWriter,
    source: _Source,
    total: Counts,
    advance: Advance,
    config: IngestConfig,
    join: Join | None,
) -> set[str]:
    """Read a file that is new or changed; gives its name, or nothing where it is neither."""
    change = writer.change
    name, status = source_name(path, lake=change.root), path.stat()
    mark = {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "format": config.format,
        "mapping": source.mapping,
    }
    known = change.manifest.sources.get(name, {})
    if {k: known.get(k) for k in mark} == mark:
        advance(status.st_size)
        return set()
    if join is not None:
        join.forget(name)
    for kind in ("sessions", "queries", "documents", "rejects", "events", "unattached"):
        change.remove(kind, lambda f: f.matches(source=name))
    counts = Counts()
    total.begin(path)
    for chunk in source.read(path):
        writer.write(chunk, source=name)
        if join is not None:
            join.add(chunk, source=name)
        counts.add(chunk)
        total.add(chunk)
        advance(chunk.size)
    check_format(path, counts, form=config.format)
    change.manifest.sources[name] = {
        **mark,
        "lines": counts.lines,
        "sessions": counts.sessions,
        "impressions": counts.impressions,
        "clicks": counts.clicks,
        "rejects": counts.rejects,
        **(join.facts(name) if join is not None else {}),
    }
    return {name}
