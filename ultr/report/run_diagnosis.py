"""The findings of a diagnosis as a section: what matters most first."""

from __future__ import annotations

from html import escape

from ultr.report.gather import Gathered
from ultr.report.page import paragraph

_STATES = {
    "swaps": "Position bias is identified by swaps: documents seen at several ranks connect them.",
    "features only": "No swaps connect the ranks; the curve rests on similar documents at "
    "different ranks, and is extrapolated.",
    "none": "Nothing in this log tells position bias from relevance.",
    "unknown": "What it takes to tell position bias from relevance could not be looked at.",
}
_ORDER = ("problem", "warning", "note", "ok")


def diagnosis(found: Gathered) -> str:
    """All findings."""
    if found.diagnosis is None:
        reason = found.missing.get("diagnosis") or found.missing.get("lake")
        return paragraph(f"Not diagnosed: {reason}") if reason else ""
    ordered = sorted(found.diagnosis.findings, key=lambda f: _ORDER.index(f.severity))
    rows = "".join(
        f'<li class="is-{escape(f.severity)}"><p><strong>{escape(f.severity)}</strong> '
        f"{escape(f.name.replace('_', ' '))}. {escape(f.meaning)}</p>"
        + (f'<p class="note">What to do: {escape(f.advice)}</p>' if f.advice else "")
        + "</li>"
        for f in ordered
    )
    return paragraph(_STATES[found.diagnosis.state]) + f'<ul class="findings">{rows}</ul>'
