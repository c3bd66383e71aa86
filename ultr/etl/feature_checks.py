"""Whether features fit the log and the lists that they are to be used with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ultr.errors import DataError, UsageError
from ultr.etl.feature_groups import BEHAVIOUR, LEXICAL, LOG, Layout, read_layout
from ultr.etl.features_config import ListsPeriod
from ultr.manifest import Manifest
from ultr.schema import SESSIONS
from ultr.staleness import table_digest

MADE_FROM = {
    LOG: ("sessions",),
    LEXICAL: ("sessions", "judgments", "queries", "documents"),
    BEHAVIOUR: ("sessions", "judgments"),
}
"""Tables of the lake that a group is computed from."""

_LEARNED = ("click", "clicks", "grade", "label")
"""What a ranker is to learn, or is judged by."""


def marks(manifest: Manifest, group: str) -> dict[str, str]:
    """What a group was made from: a digest per table, for `check_fresh`."""
    return {table: table_digest(manifest, table) for table in MADE_FROM[group]}


def check_fresh(manifest: Manifest, lake: Path) -> None:
    """Check that the features which are made from the log are as new as the log.

    Raises:
        DataError: they are older; new pairs would be trained on as if they had no features.
    """
    stale = {name: tables for name, tables in stale_groups(manifest).items() if tables}
    if stale:
        changed = sorted({t for tables in stale.values() for t in tables})
        raise DataError(
            "features that are made from the log must be as new as the log",
            got=f"{', '.join(changed)} changed since {' and '.join(stale)} were made",
            hint=f"run: ultr features --lake {lake} --refresh",
        )


def stale_groups(manifest: Manifest) -> dict[str, list[str]]:
    """Each group that is made from the log, and the tables that changed since."""
    return {
        g.name: [t for t, mark in marks(manifest, g.name).items() if made.get(t) != mark]
        for g in read_layout(manifest).groups
        if (made := g.facts.get("made_from")) is not None
    }


def carry_marks(manifest: Manifest, *, stale: Mapping[str, list[str]]) -> None:
    """After files were written anew with the same rows: groups are as new as they were.

    Args:
        manifest: of the lake with the new files.
        stale: what `stale_groups` said before.
    """
    for name, tables in stale.items():
        made: dict[str, str] = manifest.meta["features"]["groups"][name]["made_from"]
        made |= {t: mark for t, mark in marks(manifest, name).items() if t not in tables}


def lists_period(layout: Layout, wanted: ListsPeriod) -> ListsPeriod:
    """The period of lists: that of the features, where these depend on time.

    Raises:
        UsageError: another one is asked for.
    """
    if not layout.is_timed or wanted == layout.period:
        return wanted
    if wanted != "auto":
        raise UsageError(
            "lists have the periods of the features that depend on time",
            got=f"--period {wanted} for features by {layout.period}",
            hint=f"leave --period out, or run: ultr features --refresh --period {wanted}",
        )
    return "week" if layout.period == "week" else "day"


def refuse_outcomes(names: list[str] | tuple[str, ...], *, where: str) -> None:
    """Check that no feature is what happens on the page after it was ranked.

    Raises:
        DataError: a name that stands for a click, a grade, or a column of `sessions` that is known
            only after the click.
    """
    after = {c.name for c in SESSIONS.columns if c.is_post_click}
    wrong = [n for n in names if n.strip().lower() in after.union(_LEARNED)]
    if wrong:
        raise DataError(
            "what is known only after the click, or is to be learned, is never a feature",
            got=f"{where} has {', '.join(wrong)}",
            hint="leave the column out: grades go through ultr judgments, and behaviour of earlier "
            "periods through ultr features --behaviour",
        )
