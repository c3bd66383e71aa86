"""Findings about the log itself: can its lines, pages and clicks be trusted."""

from __future__ import annotations

from collections import Counter

import pyarrow.compute as pc
import pyarrow.parquet as pq

from ultr.diagnose.finding import Finding, Severity, missing
from ultr.diagnose.quality import LEAST_IMPRESSIONS, Pages
from ultr.lake import Lake
from ultr.parquet import readable_parquet
from ultr.staleness import stale_inputs


def about_log(lake: Lake, pages: Pages) -> list[Finding]:
    """Rejects, clicks, repeats, events without a page, users, positions, and stale lists.

    Args:
        lake: with sessions.
        pages: what they look like.
    """
    found = [
        _rejects(lake),
        _clicks(pages),
        _repeated(pages),
        _unattached(lake, pages),
        _eager(pages),
        _gaps(pages),
        *_stale(lake),
    ]
    return [f for f in found if f is not None]


def percent(share: float) -> str:
    """A share for people; small ones keep two digits.

    Example:
        >>> percent(0.4), percent(0.00123), percent(0.0)
        ('40%', '0.12%', '0%')
    """
    return f"{100 * share:.0f}%" if share >= 0.1 or share == 0 else f"{100 * share:.2g}%"


def _grade(share: float, *, note: float, warning: float, problem: float) -> Severity:
    """Severity of a share that should be small."""
    steps: tuple[tuple[float, Severity], ...] = (
        (problem, "problem"),
        (warning, "warning"),
        (note, "note"),
    )
    return next((severity for least, severity in steps if share > least), "ok")


def _rejects(lake: Lake) -> Finding:
    lines = sum(int(s.get("lines", 0)) for s in lake.manifest.sources.values())
    rejects = sum(int(s.get("rejects", 0)) for s in lake.manifest.sources.values())
    rejects = rejects or lake.rows("rejects")
    if not lines:
        return missing(
            "rejects",
            "the lake does not know how many lines its sources had.",
            advice="nothing, if the pages were not ingested from raw logs",
        )
    share = rejects / lines
    severity = _grade(share, note=0.0, warning=0.01, problem=0.1)
    return Finding(
        "rejects",
        severity,
        f"{percent(share)} of the log's {lines:,} lines could not be used."
        if rejects
        else f"All {lines:,} lines of the log could be used.",
        "see why: ultr sql --lake LAKE --name rejects_by_reason" if rejects else "",
        {"lines": lines, "rejects": rejects, "share": share},
    )


def _clicks(pages: Pages) -> Finding:
    numbers = {
        "pages": pages.pages,
        "impressions": pages.impressions,
        "clicks": pages.clicks,
        "clicked_share": pages.clicked_pages / max(pages.pages, 1),
        "ctr": pages.clicks / max(pages.impressions, 1),
    }
    if not pages.clicks:
        return Finding(
            "clicks",
            "problem",
            f"None of the {pages.pages:,} pages has a click, so nothing can be learned from them.",
            "check that the log of clicks was ingested, and that its pages are the same",
            numbers,
        )
    ctr, clicked = numbers["ctr"], numbers["clicked_share"]
    return Finding(
        "clicks",
        "warning" if ctr > 0.9 else "ok",
        f"{pages.pages:,} pages show {pages.impressions:,} results with {pages.clicks:,} clicks; "
        f"{percent(clicked)} of the pages have a click, and {percent(ctr)} of the results."
        + (" That is nearly every result shown." if ctr > 0.9 else ""),
        "check that the log holds what was shown, and not only what was clicked"
        if ctr > 0.9
        else "",
        numbers,
    )


def _repeated(pages: Pages) -> Finding:
    if not pages.with_session:
        return missing(
            "repeated_pages",
            "the log has no visits (`session_id`), so a reload cannot be told from a new look.",
            advice="map the log's visit to session_id, if it has one",
        )
    share = pages.repeated / pages.with_session
    severity = _grade(share, note=0.05, warning=0.2, problem=2.0)
    return Finding(
        "repeated_pages",
        severity,
        f"{percent(share)} of the pages show the same results for the same query in the same "
        "visit again (a reload, the back button, paging).",
        "such pages get few clicks whatever they show: consider to leave them out of lists "
        "(ultr lists --help, filters)"
        if severity != "ok"
        else "",
        {"repeated": pages.repeated, "of_pages": pages.with_session, "share": share},
    )


def _reasons(lake: Lake) -> Counter[str]:
    """Why events have no page, counted without holding a text per event."""
    found: Counter[str] = Counter()
    for path in lake.paths("unattached"):
        with readable_parquet(path):
            table = pq.ParquetFile(path, read_dictionary=["reason"]).read(columns=["reason"])
        for row in pc.value_counts(table["reason"]).to_pylist():
            found[str(row["values"])] += row["counts"]
    return found


def _unattached(lake: Lake, pages: Pages) -> Finding:
    waiting = lake.rows("unattached")
    reasons = _reasons(lake)
    share = waiting / max(waiting + pages.clicks, 1)
    severity = _grade(share, note=0.0, warning=0.02, problem=0.2)
    numbers: dict[str, float | int] = {"events": waiting, "share_of_clicks": share}
    most = reasons.most_common(1)[0][0] if reasons else ""
    return Finding(
        "clicks_without_impression",
        severity,
        f"{waiting:,} events belong to no page of the log, against {pages.clicks:,} clicks that do"
        f" (most often: {most})."
        if waiting
        else "Every event belongs to a page of the log.",
        "ingest the logs of the pages that they belong to; see: "
        "ultr sql --lake LAKE --name events_without_page"
        if waiting
        else "",
        numbers,
    )


def _eager(pages: Pages) -> Finding:
    who = "users" if pages.with_user else "visits"
    if not pages.users:
        return missing(
            "eager_users",
            f"no user or visit of the log is known to have seen {LEAST_IMPRESSIONS} results.",
            advice="map the log's user to user_id, if it has one",
        )
    share = pages.eager_clicks / max(pages.clicks, 1)
    severity = _grade(share, note=0.0, warning=0.01, problem=0.1)
    most = pages.most_clicks / max(pages.clicks, 1)
    if pages.users >= 100 and most > 0.05:
        severity = "warning" if severity in ("ok", "note") else severity
    return Finding(
        "eager_users",
        severity,
        f"{pages.eager:,} of {pages.users:,} {who} clicked on at least 90% of what they saw, and "
        f"made {percent(share)} of all clicks; the busiest one made {percent(most)}.",
        f"these look like programs: leave such {who} out of the log" if severity != "ok" else "",
        {
            "users": pages.users,
            "eager": pages.eager,
            "share_of_clicks": share,
            "busiest_share_of_clicks": most,
        },
    )


def _gaps(pages: Pages) -> Finding:
    if pages.impressions == pages.pages:
        return missing(
            "position_gaps",
            "every page of the log holds one result.",
            advice="if a page showed more, map what its rows share to page",
        )
    share = pages.with_gaps / max(pages.pages, 1)
    severity = _grade(share, note=0.01, warning=0.5, problem=2.0)
    return Finding(
        "position_gaps",
        severity,
        f"{percent(share)} of the pages miss a rank between 1 and their last one"
        + (
            ": results were left out of the log, or they are second pages."
            if severity != "ok"
            else "."
        ),
        "make sure that positions are those that users saw, ads and blocks of other results "
        "included"
        if severity != "ok"
        else "",
        {"pages": pages.with_gaps, "share": share},
    )


def _stale(lake: Lake) -> list[Finding]:
    stale = stale_inputs(lake)
    if not stale:
        return []
    return [
        Finding(
            "stale_lists",
            "warning",
            f"The lake's {', '.join(stale)} changed since `ultr lists` ran; what follows does not "
            "know of it.",
            "run: ultr lists --lake LAKE",
        )
    ]
