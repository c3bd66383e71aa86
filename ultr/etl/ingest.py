"""Raw logs to the tables `sessions`, `queries`, `documents` and `rejects`."""

from __future__ import annotations

import functools
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ultr.errors import DataError, UsageError
from ultr.etl.ids import parse_rules
from ultr.etl.write import ChunkWriter
from ultr.lake import MANIFEST, Commit, create_lake
from ultr.logs import table, yandex
from ultr.logs.chunk import Chunk
from ultr.logs.mapping import read_mapping
from ultr.progress import progress

Format = Literal["yandex", "table"]
Reader = Callable[[Path], Iterator[Chunk]]


@dataclass(frozen=True)
class IngestConfig:
    """How to read raw logs.

    Args:
        format: yandex or table.
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


@dataclass
class _Counts:
    lines: int = 0
    used: int = 0
    repeated: int = 0
    ignored: int = 0
    rejects: int = 0
    sessions: int = 0
    impressions: int = 0
    clicks: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def add(self, chunk: Chunk) -> None:
        """Count a chunk."""
        self.lines += chunk.lines
        self.used += chunk.used
        self.repeated += chunk.repeated
        self.ignored += chunk.ignored
        self.rejects += chunk.rejects.height
        self.sessions += chunk.pages.height
        self.impressions += int(chunk.pages["position"].list.len().sum())
        self.clicks += int(chunk.pages["click"].list.sum().sum())
        self.reasons.update(dict(chunk.rejects["reason"].value_counts().iter_rows()))


def ingest(
    sources: Sequence[Path], *, lake: Path, config: IngestConfig, quiet: bool = False
) -> dict[str, Any]:
    """Read raw logs into a lake; all of them, or nothing.

    A file that the lake already holds, with the same size and modification time, is skipped; one
    that changed replaces its own rows.

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
    files = find_files(sources)
    read = _reader(config)
    total, read_files = _Counts(), 0
    if config.is_dry_run:
        for path in files:
            for chunk in read(path):
                total.add(chunk)
        read_files = len(files)
    else:
        with _new_or_open(lake, config) as change:
            read_files = _ingest_files(
                files, change=change, read=read, config=config, total=total, quiet=quiet
            )
            _check_rate(total, config)
    size = sum(p.stat().st_size for p in files)
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
        "files": read_files,
        "files_skipped": len(files) - read_files,
        "bytes": size,
        "seconds": round(seconds, 3),
        "sessions_per_second": round(total.sessions / max(seconds, 1e-9)),
    }


def find_files(sources: Sequence[Path]) -> list[Path]:
    """The files that sources name: files, every file below a folder, or what a glob matches.

    Raises:
        UsageError: nothing matches one of them.
    """
    found: dict[Path, None] = {}
    for source in sources:
        if source.is_dir():
            matches = [p for p in source.rglob("*") if p.is_file() and p.name[0] not in "._"]
        elif source.exists() or not any(c in str(source) for c in "*?["):
            matches = [source]
        else:
            anchor = Path(source.anchor) if source.anchor else Path()
            matches = list(anchor.glob(str(source.relative_to(source.anchor))))
        if not matches or not all(p.exists() for p in matches):
            raise UsageError(
                "a source is a file, a folder with files, or a glob that matches some",
                got=str(source),
                hint="check the path",
            )
        found.update(dict.fromkeys(sorted(matches)))
    return list(found)


def _reader(config: IngestConfig) -> Reader:
    if config.format == "yandex":
        return yandex.read
    mapping = None if config.mapping is None else read_mapping(config.mapping)
    return functools.partial(table.read, mapping=mapping)


class _new_or_open:  # noqa: N801  a context manager, named like a function
    """A commit on the lake, which is made if it is new, and removed again if the job fails."""

    def __init__(self, root: Path, config: IngestConfig) -> None:
        self.root, self.is_new = root, not (root / MANIFEST).exists()
        self.had_folder = root.exists()
        lake = create_lake(root)
        if config.id_rules and lake.manifest.ids and lake.manifest.ids != config.id_rules:
            raise UsageError(
                "the id rules of a lake are fixed by its first ingest",
                got=f"--id-rule {config.id_rules} for a lake with {lake.manifest.ids}",
                hint="ingest into a new lake",
            )
        self.context = lake.commit("ultr ingest")

    def __enter__(self) -> Commit:
        return self.context.__enter__()

    def __exit__(self, *error: Any) -> bool | None:
        try:
            return self.context.__exit__(*error)
        finally:
            if error[0] is not None and self.is_new:
                if not self.had_folder:
                    shutil.rmtree(self.root, ignore_errors=True)
                else:
                    for path in self.root.iterdir():
                        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _ingest_files(
    files: Sequence[Path],
    *,
    change: Commit,
    read: Reader,
    config: IngestConfig,
    total: _Counts,
    quiet: bool,
) -> int:
    writer = ChunkWriter(change, config.id_rules)
    taken = 0
    size = sum(p.stat().st_size for p in files)
    with progress("ingest", total=size, unit="B", quiet=quiet) as advance:
        for path in files:
            # Relative to the lake: the same wherever both are moved to, and two nights' files of
            # one name stay two.
            source = os.path.relpath(path.resolve(), change.root.resolve().parent)
            status = path.stat()
            mark = {"size": status.st_size, "mtime_ns": status.st_mtime_ns}
            known = change.manifest.sources.get(source, {})
            if {k: known.get(k) for k in mark} == mark:
                advance(status.st_size)
                continue
            taken += 1
            for name in ("sessions", "queries", "documents", "rejects"):
                change.remove(name, lambda f, s=source: f.matches(source=s))  # type: ignore[misc]
            counts = _Counts()
            for chunk in read(path):
                writer.write(chunk, source=source)
                counts.add(chunk)
                total.add(chunk)
                advance(chunk.size)
            _check_format(path, counts, config)
            change.manifest.sources[source] = {
                **mark,
                "format": config.format,
                "lines": counts.lines,
                "sessions": counts.sessions,
                "impressions": counts.impressions,
                "clicks": counts.clicks,
                "rejects": counts.rejects,
            }
    return taken


def _check_format(path: Path, counts: _Counts, config: IngestConfig) -> None:
    if counts.sessions == 0:
        raise DataError(
            "a log must hold at least one page",
            got=f"{path} read as {config.format}: {_reasons(counts)}",
            hint="is this the right --format?",
        )


def _check_rate(total: _Counts, config: IngestConfig) -> None:
    rate = total.rejects / max(total.lines, 1)
    if rate > config.max_reject_rate:
        raise DataError(
            f"at most {config.max_reject_rate:.1%} of the lines may be rejected",
            got=f"{total.rejects:,} of {total.lines:,} lines ({rate:.1%}): {_reasons(total)}",
            hint="look at them with --dry-run; allow more with --max-reject-rate "
            f"{min(1.0, rate + 0.01):.2f}",
        )


def _reasons(counts: _Counts) -> str:
    shown = [f"{n:,} × {reason}" for reason, n in counts.reasons.most_common(5)]
    return "; ".join(shown) or "no line that could be used"
