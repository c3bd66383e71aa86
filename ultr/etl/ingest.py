"""Raw logs to the tables `sessions`, `queries`, `documents`, `events` and `rejects`."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from ultr.commit import Commit
from ultr.errors import DataError
from ultr.etl.changes import content_of, is_same, mark_of, vanished
from ultr.etl.counts import Counts, check_format, check_rate
from ultr.etl.dry_run import DryRun
from ultr.etl.formats import Source, join_of, source_of
from ultr.etl.id_rules import IdRules, ReadAgainError
from ultr.etl.ids import MixedIdsError
from ultr.etl.ingest_config import JOINED, IngestConfig
from ultr.etl.joins import Join, finish
from ultr.etl.late import parse_late
from ultr.etl.privacy import Privacy, read_salt
from ultr.etl.readings import Mark, Reading, Readings
from ultr.etl.sources import source_name
from ultr.etl.write import WRITTEN, ChunkWriter, opened, set_rules
from ultr.lake import open_lake
from ultr.manifest import MANIFEST, Manifest
from ultr.progress import Advance, progress

__all__ = ["IngestConfig", "ingest"]

TABLES = (*WRITTEN, "unattached")
"""Tables whose rows belong to a source."""

LEFT_OUT = "file left out: "
"""Before the rule that a bad file breaks, in its reject."""


def ingest(
    sources: Sequence[Path], *, lake: Path, config: IngestConfig, quiet: bool = False
) -> dict[str, Any]:
    """Read raw logs into a lake; all of them, or nothing.

    A file that the lake already holds, unchanged (by size and time, or by content where that is
    asked for), with the same format and mapping, is skipped; one that changed replaces its own
    rows; one that vanished is reported, and its rows stay.

    Args:
        sources: files, folders, or globs.
        lake: the lake's folder; made if it is new.
        config: how to read them.
        quiet: no progress.

    Returns:
        `lines used repeated ignored rejects sessions impressions clicks rejects_by_reason files
        files_skipped files_rejected files_vanished id_rules bytes seconds sessions_per_second`; the
        four kinds of lines add up to lines. A dry run adds `reject_examples bad_files`.
        Where events come apart from pages also `waiting` (used lines whose page has not come, in
        the whole lake); for ubi `ordinal_base` by application, `pages_by_impressions` and
        `pages_by_hits`; for yandex `sessions_scattered` over files.

    Raises:
        DataError: a missing, empty or damaged file (unless such files are to be left out and
            another one can be read), ids
            that break the lake's rule, other features than before, or more rejects than allowed.
            The lake stays as it was.
        UsageError: no file matches, or the lake was made with other privacy settings.
    """
    began = time.monotonic()
    source = source_of(config)
    files = source.find(sources, lake)
    dry, result = DryRun(), _Result()
    if config.is_dry_run and config.format in JOINED:
        result = _thrown_away(files, dry, lake=lake, source=source, config=config, quiet=quiet)
    elif config.is_dry_run:
        result = _read_only(files, dry, lake=lake, source=source, config=config)
    else:
        result = _ingest(files, lake=lake, source=source, config=config, quiet=quiet)
        names = [source_name(p, lake=lake) for p in files]
        manifest = open_lake(lake).manifest
        result.vanished = vanished(sources, found=names, known=manifest.sources, lake=lake)
        result.id_rules = dict(manifest.ids)
    seconds, total = time.monotonic() - began, result.total
    return {
        "lines": total.lines,
        "used": total.used,
        "repeated": total.repeated,
        "ignored": total.ignored,
        "rejects": total.rejects,
        "sessions": total.sessions,
        "impressions": total.impressions,
        "clicks": total.clicks,
        **result.joined,
        "rejects_by_reason": dict(total.reasons.most_common()),
        "files": total.files,
        "files_skipped": len(files) - total.files - result.bad_files,
        "files_rejected": result.bad_files,
        "files_vanished": result.vanished,
        **({"id_rules": result.id_rules} if result.id_rules else {}),
        "bytes": total.size,
        "seconds": round(seconds, 3),
        "sessions_per_second": round(total.sessions / max(seconds, 1e-9)),
        **({"reject_examples": dry.examples, "bad_files": dry.bad_files} if config.is_dry_run
           else {}),
    }  # fmt: skip


@dataclass
class _Result:
    """What one call did: counts, files left out, sources that are gone, id rules, events joined."""

    total: Counts = field(default_factory=Counts)
    bad_files: int = 0
    last_error: str = ""
    vanished: list[str] = field(default_factory=list)
    id_rules: dict[str, str] = field(default_factory=dict)
    joined: dict[str, Any] = field(default_factory=dict)


def _privacy(config: IngestConfig) -> Privacy:
    salt = None if config.hash_users is None else read_salt(config.hash_users)
    return Privacy(config.no_text, salt)


def _read_only(
    files: Sequence[Path], dry: DryRun, *, lake: Path, source: Source, config: IngestConfig
) -> _Result:
    """Read what an ingest would read, and keep nothing."""
    new = _new(files, lake=lake, source=source, config=config)
    dry.read(new, source.read, privacy=_privacy(config), form=config.format)
    return _Result(dry.total, len(dry.bad_files))


def _new(
    files: Sequence[Path], *, lake: Path, source: Source, config: IngestConfig
) -> list[tuple[str, Path]]:
    """Names and paths of the files that the lake does not hold as they are."""
    manifest = open_lake(lake).manifest if (lake / MANIFEST).exists() else Manifest()
    named = [(source_name(p, lake=lake), p) for p in files]
    return [
        (name, path)
        for name, path in named
        if not is_same(manifest.sources.get(name), _mark(path, source, config))
    ]


def _thrown_away(
    files: Sequence[Path],
    dry: DryRun,
    *,
    lake: Path,
    source: Source,
    config: IngestConfig,
    quiet: bool,
) -> _Result:
    """Ingest into a lake that is thrown away: what a click belongs to is known when all is read."""
    real = dataclasses.replace(config, is_dry_run=False, on_bad_file="skip")
    with tempfile.TemporaryDirectory(prefix="ultr-ingest-") as folder:
        other = Path(folder) / "lake"
        new = [path for _, path in _new(files, lake=lake, source=source, config=config)]
        result = _ingest(new, lake=other, source=source, config=real, quiet=quiet, named_for=lake)
        rejects = pl.DataFrame(open_lake(other).read("rejects"))
    dry.bad_files = {
        name: reason.removeprefix(LEFT_OUT)
        for name, line, reason in rejects.select("source", "line", "reason").rows()
        if line == 0
    }
    dry.keep(rejects.filter(pl.col("line") > 0))
    return result


def _ingest(
    files: Sequence[Path],
    *,
    lake: Path,
    source: Source,
    config: IngestConfig,
    quiet: bool,
    named_for: Path | None = None,
) -> _Result:
    """Write all files in one commit; start again where the detected id rule was too narrow."""
    rules, privacy = IdRules(dict(config.id_rules)), _privacy(config)
    while True:
        result = _Result()
        try:
            with opened(lake) as change:
                privacy.settle(change.manifest)
                set_rules(change, rules.chosen)
                rules.open = frozenset({"query", "doc"} - set(change.manifest.ids))
                join = join_of(change, config.format, ordinal_base=config.ordinal_base)
                fresh = set[str]()
                names = {p: source_name(p, lake=named_for or change.root) for p in files}
                job = _Job(change, source, privacy, config, result, rules, join, fresh)
                job.check_features(set(names.values()))
                with (
                    progress("ingest", total=_size(files), unit="B", quiet=quiet) as advance,
                    job.readings(names) as readings,
                ):
                    for path, name in names.items():
                        job.ingest_file(path, name, readings, advance)
                if named_for is None:
                    _check_any(result, len(names))
                if join is not None:
                    late = parse_late(config.late or JOINED[config.format])
                    result.joined = finish(join, change, total=result.total, fresh=fresh, late=late)
                check_rate(result.total, most=config.max_reject_rate)
        except ReadAgainError:
            continue
        return result


def _check_any(result: _Result, files: int) -> None:
    """Check that not all files were left out: nothing read is no night that went well."""
    if files and result.bad_files == files:
        raise DataError(
            "at least one file must be readable, with bad files left out too",
            got=f"{files:,} of {files:,} that are not; the last: {result.last_error}",
            hint="look at the files, with --dry-run",
        )


def _size(files: Sequence[Path]) -> int:
    return sum(p.stat().st_size for p in files if p.exists())


def _mark(path: Path, source: Source, config: IngestConfig) -> Mark:
    """What tells a source from what it was: when it is the same, its rows are."""
    parts = source.parts(path)
    mark = {**mark_of(parts), "format": config.format, "mapping": source.mapping}
    return mark | ({"content": content_of(parts)} if config.check_content else {})


class _Job(NamedTuple):
    """One ingest's writer and settings, and what it has done so far."""

    change: Commit
    source: Source
    privacy: Privacy
    config: IngestConfig
    result: _Result
    rules: IdRules
    join: Join | None
    fresh: set[str]

    def check_features(self, files: set[str]) -> None:
        """Check that the lake's other sources have the same features, and note them."""
        manifest, names = self.change.manifest, list(self.source.features)
        for name, known in manifest.sources.items():
            other = known.get("log_features")
            if names and other and other != names and name not in files:
                raise DataError(
                    "all sources of a lake have the same features in the log, in the same order",
                    got=f"{', '.join(names)}; {name} has {', '.join(other)}",
                    hint="use the mapping of the first ingest, or a new lake; or: ultr lake drop",
                )
        if names:
            manifest.meta["log_features"] = {"names": names}

    def readings(self, names: Mapping[Path, str]) -> Readings:
        """The files, as they are and as they are read."""
        known = dict(self.change.manifest.sources)
        return Readings(
            names,
            mark=lambda path: _mark(path, self.source, self.config),
            is_wanted=lambda path, mark: (
                names[path] not in self.rules.unreadable
                and not is_same(known.get(names[path]), mark)
            ),
            read=self.source.read,
        )

    def ingest_file(self, path: Path, name: str, readings: Readings, advance: Advance) -> None:
        """Read a file that is new or changed; leave out a bad one where that was asked for."""
        change = self.change
        ids = dict(change.manifest.ids)
        try:
            if name in self.rules.unreadable:
                raise self.rules.unreadable[name]
            self._ingest_file(path, name, readings.open(path), advance)
        except DataError as error:
            self.rules.widen(error, source=name)
            if self.config.on_bad_file == "fail":
                if isinstance(error, MixedIdsError):
                    raise error.within(name) from error
                raise
            self.rules.leave_out(error, source=name)
            self.result.bad_files += 1
            self.result.last_error = f"{name}: {error.rule}"
            if self.join is not None:
                self.join.forget(name)
                self.join.withdraw(name)
            _leave_out(change, name, error)
            change.manifest.ids = ids  # what a bad file looks like decides nothing

    def _ingest_file(self, path: Path, name: str, reading: Reading, advance: Advance) -> None:
        change, counts = self.change, Counts()
        mark, chunks = reading
        if chunks is None:
            change.manifest.sources[name] |= mark
            advance(path.stat().st_size)
            return
        if self.join is not None:
            self.join.forget(name)
        for kind in TABLES:
            change.remove(kind, lambda f: f.matches(source=name))
        counts.begin(path)
        # A thread decompresses, one parses, this one gives ids, and one for each table encodes.
        keeps_text = not self.privacy.no_text
        with ChunkWriter(change, source=name, keeps_text=keeps_text) as writer:
            for chunk in map(self.privacy.applied, chunks):
                rows = writer.write(chunk)
                if self.join is not None:
                    self.join.add(chunk, source=name, rows=rows)
                    del rows  # they need not stay in memory until the next ones are there
                counts.add(chunk)
                advance(chunk.size)
        check_format(path, counts, form=self.config.format)
        self.result.total.merge(counts)
        change.manifest.sources[name] = {
            **mark,
            "lines": counts.lines,
            "sessions": counts.sessions,
            "impressions": counts.impressions,
            "clicks": counts.clicks,
            "rejects": counts.rejects,
            **(self.join.facts(name) if self.join is not None else {}),
        }
        self.fresh.add(name)
        if self.source.features:
            change.manifest.sources[name]["log_features"] = list(self.source.features)


def _leave_out(change: Commit, name: str, error: DataError) -> None:
    """Nothing of the file stays but one reject, without text; the next ingest tries it again."""
    change.withdraw(source=name)
    change.manifest.sources.pop(name, None)
    for kind in TABLES:
        change.remove(kind, lambda f: f.matches(source=name))
    reason = LEFT_OUT + error.rule
    row = {"source": [name], "line": [0], "reason": [reason], "text": [""]}
    change.write("rejects", pl.DataFrame(row).to_arrow(), source=name)
