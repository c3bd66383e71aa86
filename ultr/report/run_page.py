"""The page of `ultr report`: what a manager needs first, then what it rests on."""

from __future__ import annotations

from collections.abc import Callable

from ultr.report.gather import Gathered
from ultr.report.page import Section, page, paragraph, table
from ultr.report.run_curves import curves, training
from ultr.report.run_diagnosis import diagnosis
from ultr.report.run_metrics import methods, queries, without_labels
from ultr.report.run_summary import headline, paragraphs

Part = Callable[[Gathered], str]

PARTS: tuple[tuple[str, Part], ...] = (
    ("How often each rank is looked at", curves),
    ("What users would have clicked", without_labels),
    ("How well it ranks, by relevance grades", methods),
    ("Best and worst queries", queries),
    ("Is the log fit for this", diagnosis),
    ("How training went", training),
)
"""Heading and body; a body that is empty is left out."""


def run_page(found: Gathered, *, version: str) -> str:
    """The whole page.

    Args:
        found: what there is to show; what is missing is said in its place.
        version: of ultr.
    """
    sections = [Section(heading, part(found)) for heading, part in PARTS]
    sections += [
        Section("What went in and what came out", _data(found)),
        Section("Settings and lake", _settings(found)),
    ]
    return page(
        headline(found),
        paragraphs(found),
        title=f"Report: {found.run.name}",
        kicker=f"ultr report: the run {found.run.name}",
        sections=[s for s in sections if s.body],
        footer=f"Made by ultr {version}. The page is self-contained: it loads nothing.",
    )


def _data(found: Gathered) -> str:
    if not found.rows:
        return paragraph(f"Not shown: {found.missing.get('lake', 'the lake has no tables')}")
    rows = [(name, f"{count:,}") for name, count in found.rows.items()]
    reasons = [(reason, f"{n:,}") for reason, n in found.rejects.items()]
    rejected = (
        table(("reason", "lines"), reasons, caption="Lines that could not be used, by reason")
        if reasons
        else paragraph("No line of the log was rejected.")
    )
    return f'<div class="pair">{table((), rows, caption="Rows of the lake")}{rejected}</div>'


def _settings(found: Gathered) -> str:
    settings = [(k, _plain(v)) for k, v in found.settings.items()]
    about = [(k, _plain(v)) for k, v in found.lake.items() if not isinstance(v, dict | list)]
    lists = found.lake.get("lists") or {}
    about += [
        (f"lists: {k}", _plain(v)) for k, v in lists.items() if not isinstance(v, dict | list)
    ]
    sources = [
        (source, " ".join(f"{k} {_plain(v)}" for k, v in entry.items() if _is_short(v)))
        for source, entry in list(found.sources.items())[:_SOURCES]
    ]
    more = len(found.sources) - _SOURCES
    caption = "Files that were read" + (
        f" (the first {_SOURCES}, {more:,} more)" if more > 0 else ""
    )
    return (
        '<div class="pair">'
        + table((), settings, caption="What training ran with", is_text=True)
        + table((), about, caption="The lake that it was trained on", is_text=True)
        + "</div>"
        + (table((), sources, caption=caption, is_text=True) if sources else "")
    )


_SOURCES = 20


def _plain(value: object) -> str:
    if isinstance(value, bool) or value is None:
        return str(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def _is_short(value: object) -> bool:
    return isinstance(value, int | float | str) and len(str(value)) <= 40
