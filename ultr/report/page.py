"""A self-contained HTML page: no network, no scripts, light and dark, on a phone and on paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources

JOINER = "\u2060"
"""Invisible; no line is broken beside it."""


@dataclass(frozen=True)
class Section:
    """A part of a page under its heading.

    Args:
        heading: plain text.
        body: markup, from the functions of this module.
    """

    heading: str
    body: str


def page(
    headline: str,
    paragraphs: Sequence[str],
    *,
    title: str,
    kicker: str,
    sections: Sequence[Section],
    footer: str,
) -> str:
    """One HTML document.

    Args:
        headline: the one sentence to take away; plain text, as are the other texts.
        paragraphs: what stands below it.
        title: of the browser's tab.
        kicker: a line above the headline: what kind of page this is.
        sections: in reading order.
        footer: the last line.

    Example:
        >>> page("It works.", [], title="t", kicker="k", sections=[], footer="f")[:15]
        '<!doctype html>'
    """
    style = style_sheet("chart.css") + style_sheet("page.css")
    parts = [
        f'<header><p class="kicker">{escape(kicker)}</p><h1>{escape(headline)}</h1>',
        *(paragraph(p) for p in paragraphs),
        "</header>",
        *(f"<section><h2>{escape(s.heading)}</h2>{s.body}</section>" for s in sections),
        f"<footer>{escape(footer)}</footer>",
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Chromium asks a web server for an icon unless the page says that there is none.
        '<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def style_sheet(name: str) -> str:
    """A style sheet that lies beside this module; `chart.css` has all that a chart needs."""
    return resources.files("ultr.report").joinpath(name).read_text("utf-8")


def paragraph(words: str, *, style: str = "") -> str:
    """Escaped text as a paragraph."""
    return f'<p class="{escape(style)}">{escape(words)}</p>' if style else f"<p>{escape(words)}</p>"


def interval(low: float, high: float, *, digits: int = 3) -> str:
    """Both ends as text that is not broken across lines.

    Example:
        >>> interval(0.1, 0.25, digits=2).replace(JOINER, "")
        '0.10–0.25'
    """
    return f"{low:.{digits}f}{JOINER}–{JOINER}{high:.{digits}f}"


def commands(lines: Sequence[str]) -> str:
    """Commands to copy, one a line."""
    return f"<pre><code>{escape(chr(10).join(lines))}</code></pre>"


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    caption: str,
    is_text: bool = False,
) -> str:
    """A table whose first column names the rows; a wide one scrolls by itself.

    Args:
        header: of all columns; empty for none.
        rows: plain text, as wide as the header.
        caption: what the table shows.
        is_text: the cells are words, not numbers, and stand on the left.
    """
    cell = '<td class="text">' if is_text else "<td>"
    head = "".join(f'<th scope="col">{escape(h)}</th>' for h in header)
    lines = [
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"{cell}{escape(value)}</td>" for value in rest)
        + "</tr>"
        for first, *rest in rows
    ]
    return (
        f'<div class="scroll"><table><caption>{escape(caption)}</caption>'
        + (f"<thead><tr>{head}</tr></thead>" if header else "")
        + f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def figure_with_table(svg: str, *, caption: str, beside: str) -> str:
    """A figure, what it shows, and a table with the same numbers beside or below it.

    Args:
        svg: markup of the figure.
        caption: plain text.
        beside: markup of the table.
    """
    return (
        f'<div class="pair"><figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>'
        f"{beside}</div>"
    )
