"""Every line of a raw log is counted, and too many rejects fail the job."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path

from ultr.errors import DataError
from ultr.logs.chunk import Chunk


@dataclass
class Counts:
    """What became of the lines of one file, or of many: the four kinds add up to `lines`."""

    lines: int = 0
    used: int = 0
    repeated: int = 0
    ignored: int = 0
    rejects: int = 0
    sessions: int = 0
    impressions: int = 0
    clicks: int = 0
    files: int = 0
    size: int = 0
    events: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def begin(self, path: Path) -> None:
        """Count a file."""
        self.files += 1
        self.size += path.stat().st_size

    def merge(self, other: Counts) -> None:
        """Count what another one counted."""
        for item in fields(self):
            if item.name != "reasons":
                total = getattr(self, item.name) + getattr(other, item.name)
                setattr(self, item.name, total)
        self.reasons.update(other.reasons)

    def add(self, chunk: Chunk) -> None:
        """Count a chunk."""
        self.lines += chunk.lines
        self.used += chunk.used
        self.repeated += chunk.repeated
        self.ignored += chunk.ignored
        self.rejects += chunk.rejects.height
        self.sessions += chunk.pages.height
        self.events += 0 if chunk.events is None else chunk.events.height
        self.impressions += int(chunk.pages["position"].list.len().sum())
        self.clicks += int(chunk.pages["click"].list.sum().sum())
        self.reasons.update(dict(chunk.rejects["reason"].value_counts().iter_rows()))

    def change(self, delta: Delta) -> None:
        """Count what a join of events to pages changed; lines that are nothing else are used."""
        self.sessions += delta.sessions
        self.impressions += delta.impressions
        self.clicks += delta.clicks
        self.repeated += delta.repeated
        self.ignored += delta.ignored
        rejects = delta.reasons.total()
        self.rejects += rejects
        self.used -= delta.repeated + delta.ignored + rejects
        self.reasons.update(delta.reasons)
        self.reasons = Counter({k: v for k, v in self.reasons.items() if v})


@dataclass
class Delta:
    """What a join of events to pages changed in the counts of one file."""

    sessions: int = 0
    impressions: int = 0
    clicks: int = 0
    repeated: int = 0
    ignored: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def merge(self, other: Delta) -> None:
        """Add what another join changed."""
        self.sessions += other.sessions
        self.impressions += other.impressions
        self.clicks += other.clicks
        self.repeated += other.repeated
        self.ignored += other.ignored
        self.reasons.update(other.reasons)


def check_format(path: Path, counts: Counts, *, form: str) -> None:
    """Check that a file held pages or events at all.

    Raises:
        DataError: it did not; the commonest reasons say what it may be instead.
    """
    if counts.lines == counts.ignored:
        raise DataError(
            "a log must not be empty",
            got=f"{path} has no line but for a header, blank or other ones that say nothing",
            hint="check the export, leave the file out, or say --on-bad-file skip",
        )
    if counts.sessions + counts.events == 0:
        raise DataError(
            "a log must hold at least one page, or event on one",
            got=f"{path} read as {form}: {_reasons(counts)}",
            hint="is this the right --format?",
        )


def check_rate(total: Counts, *, most: float) -> None:
    """Check the share of rejected lines.

    Raises:
        DataError: it is above `most`.
    """
    rate = total.rejects / max(total.lines, 1)
    if rate > most:
        raise DataError(
            f"at most {most:.1%} of the lines may be rejected",
            got=f"{total.rejects:,} of {total.lines:,} lines ({rate:.1%}): {_reasons(total)}",
            hint="look at them with --dry-run; allow more with --max-reject-rate "
            f"{min(1.0, rate + 0.01):.2f}",
        )


def _reasons(counts: Counts) -> str:
    shown = [f"{n:,} × {reason}" for reason, n in counts.reasons.most_common(5)]
    return "; ".join(shown) or "no line that could be used"
