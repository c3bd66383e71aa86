"""A diagnosis for people."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from ultr.diagnose.finding import SEVERITIES, Finding
from ultr.diagnose.result import Diagnosis, at

_WIDTH = 100
_STATES = {
    "swaps": "swaps: documents seen at several ranks connect them",
    "features only": "features only: no swaps connect the ranks, similar documents do",
    "none": "none: too little in the log connects the ranks",
    "unknown": "unknown: what it takes to tell is missing",
}


def as_text(found: Diagnosis) -> str:
    """Lines: what identifies the bias, the findings, and the curves by rank."""
    counts = [(sum(f.severity == s for f in found.findings), s) for s in reversed(SEVERITIES)]
    lines = [
        f"position bias is identified by  {_STATES[found.state]}",
        f"findings  {', '.join(f'{n} {s}' for n, s in counts if n)}",
        "",
    ]
    width = max((len(f.name) for f in found.findings), default=0)
    for finding in found.findings:
        lines += _finding(finding, width)
    if found.shown:
        lines += ["", *_table(found)]
    return "\n".join(lines)


def _finding(finding: Finding, width: int) -> Iterator[str]:
    head = f"  {finding.severity.upper() if finding.severity in _LOUD else finding.severity:<8}"
    head += f"  {finding.name:<{width}}  "
    indent = " " * len(head)
    yield from textwrap.wrap(finding.meaning, _WIDTH, initial_indent=head, subsequent_indent=indent)
    if finding.advice:
        yield from textwrap.wrap(
            f"→ {finding.advice}", _WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  ",
            break_on_hyphens=False, break_long_words=False,
        )  # fmt: skip


_LOUD = ("warning", "problem")


def _table(found: Diagnosis) -> Iterator[str]:
    """Ranks with their click rates and estimates; the values are relative to the first rank."""
    curves = {"ctr, relative": found.curves.ctr} if found.curves.ctr else {}
    curves |= dict(found.curves.estimates)
    heads = ["rank", "impressions", "ctr", *curves]
    rows = []
    for k, (n, clicks) in found.shown.items():
        rows.append([str(k), f"{n:,}", f"{clicks / n:.4f}", *(at(c, k) for c in curves.values())])
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    yield "  relative to the first rank, with 95% intervals:"
    for row in (heads, *rows):
        yield "  " + "  ".join(f"{cell:>{w}}" for cell, w in zip(row, widths, strict=True))
