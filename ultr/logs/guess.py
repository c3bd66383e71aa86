"""A proposal for what the columns of a user's table are, from names and values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from ultr.errors import DataError
from ultr.logs.mapping import Name
from ultr.logs.sample import Column, Sample, column_of, sample_of

_MAX_POSITION = 1000

NAMES: dict[str, str] = {
    "click": r"(is_?|was_?|n_?)?(click|clk)(s|ed|_?bool|_?flag|_?label|_?count)?",
    "position": r"(.*_)?(pos|positions?|ranks?|ranking|slots?|ordinals?)",
    "page": r"(page|search|srch|serp|request|impression|imp|response|view|list)_?(id|uuid|key)",
    "session": r"(session|visit|sess)(_?(id|uuid|key))?",
    "user": r"(user|client|visitor|customer|member|cookie|account)(_?(id|uuid|key|hash))?",
    "query": r"query_?id|qid|query|q|search_?(terms?|phrase|query|words?|string)|keywords?|terms?",
    "document": r"(doc|document|item|product|listing|prop|hotel|article|object|result|url|ad|video)"
    r"_?(id|no|key|hash|md5)s?|(doc|document|item|product|listing|url|sku|asin|docno)s?",
    "time": r"(.*_)?(time|timestamp|ts|date|datetime)|shown_at|created_at",
    "device": r"device(_?(type|class|kind))?|platform",
    "dwell_s": r"dwell(_?(s|sec|seconds|time))?",
    "media_type": r"(media|result|vertical|card|content)_?types?|verticals?",
    "height_px": r"height(_?px)?",
    "max_height_px": r"max_?height(_?px)?",
    "top_px": r"top(_?px)?|y_?(offset|px)",
    "abstract_length": r"abstract_?length",
    "document_title": r"(doc_|document_|item_|product_)?(title|name)",
    "weight": r"(sample_?)?weight",
}
"""Our column -> what people call it."""

FEEDBACK = r"(.*_)?(cart|purchased?|orders?|ordered|buy|bought|book(ing|ed)?(_bool)?|like[ds]?|"
FEEDBACK += r"conversions?|converted|shared?|saved?)(_.*)?"

_SURE, _UNSURE = "", "? "


@dataclass
class Proposal:
    """A mapping to be.

    Args:
        sample: what was looked at.
        columns: our column -> the user's.
        why: our column -> a comment; one that begins with `?` is uncertain.
        feedback: columns that look like other actions.
        numeric: columns that could be features.
        has_rank_order: lists stand in rank order, as no column says the rank.
        position_base: the first position, 0 or 1.
    """

    sample: Sample
    columns: dict[str, Name] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    feedback: list[Name] = field(default_factory=list)
    numeric: list[Name] = field(default_factory=list)
    has_rank_order: bool = False
    position_base: int = 1

    def take(self, ours: str, column: Column, why: str) -> None:
        """Give one of the user's columns a meaning."""
        self.columns[ours] = column.name
        self.why[ours] = why


def guess(path: Path) -> Proposal:
    """Propose what the columns of a file are.

    Raises:
        DataError: no table, or no column for documents, positions or clicks; the candidates are
            listed.
    """
    sample = sample_of(path)
    proposal = Proposal(sample)
    columns = [column_of(sample, name) for name in sample.names]
    columns = [c for c in columns if len(c.flat)]
    is_page = any(c.is_list for c in columns)
    _by_name(proposal, columns, is_page=is_page)
    _by_value(proposal, columns, path, is_page=is_page)
    rest = list(_free(proposal, columns))
    called = re.compile(FEEDBACK)
    proposal.feedback = [
        c.name for c in rest
        if c.is_list == is_page and c.is_whole and c.low >= 0 and called.fullmatch(_plain(c.name))
    ]  # fmt: skip
    proposal.numeric = [
        c.name for c in rest
        if c.is_list == is_page and c.numbers is not None and c.name not in proposal.feedback
        and not _is_count(c)
    ]  # fmt: skip
    return proposal


def _is_count(column: Column) -> bool:
    """Whether it numbers the rows, or has no name: what a data frame's index looks like."""
    return column.name == "" or (column.is_whole and column.distinct == len(column.values))


def _plain(name: Name) -> str:
    """A name in snake case."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[\s\-.]+", "_", str(name)).lower()


def _free(proposal: Proposal, columns: Sequence[Column]) -> Iterator[Column]:
    return (c for c in columns if c.name not in proposal.columns.values())


def _fits(ours: str, column: Column, *, is_page: bool) -> bool:
    """Whether the values can be what the name says."""
    if column.is_list != (is_page and ours in _PER_DOCUMENT):
        return False
    match ours:
        case "click":
            return column.is_binary or set(column.flat.str.to_lowercase().unique()) <= {"0", "1"}
        case "position":
            return column.is_whole and 0 <= column.low <= 1 and column.high <= _MAX_POSITION
        case "time":
            return column.time_unit is not None
        case "dwell_s" | "height_px" | "max_height_px" | "top_px" | "weight" | "abstract_length":
            return column.numbers is not None and column.low >= 0
        case _:
            return True


_PER_DOCUMENT = (
    "document", "position", "click", "dwell_s", "media_type", "height_px", "max_height_px",
    "top_px", "abstract_length", "document_title",
)  # fmt: skip


def _by_name(proposal: Proposal, columns: Sequence[Column], *, is_page: bool) -> None:
    for ours, pattern in NAMES.items():
        called = re.compile(pattern)
        found = [
            c
            for c in _free(proposal, columns)
            if isinstance(c.name, str)
            and called.fullmatch(_plain(c.name))
            and _fits(ours, c, is_page=is_page)
        ]
        if ours == "query":
            found.sort(key=lambda c: not _plain(c.name).endswith("id"))
        if found:
            proposal.take(ours, found[0], _SURE + "by its name")
        if len(found) > 1:
            others = ", ".join(str(c.name) for c in found[1:4])
            if ours == "query":
                proposal.take("query_text", found[1], _SURE + "by its name")
            else:
                proposal.why[ours] = f"{_UNSURE}by its name; it may also be {others}"


def _by_value(proposal: Proposal, columns: Sequence[Column], path: Path, *, is_page: bool) -> None:
    _need(proposal, columns, "click", path, is_page=is_page, fits=lambda c: c.is_binary,
          prefer=lambda c: c.share, what="yes and no, mostly no")  # fmt: skip
    if "position" not in proposal.columns and is_page and not _take_ranks(proposal, columns):
        proposal.has_rank_order = True
    else:
        _need(proposal, columns, "position", path, is_page=is_page,
              fits=lambda c: _fits("position", c, is_page=is_page) and c.distinct > 1,
              prefer=lambda c: -c.distinct, what="small whole numbers")  # fmt: skip
        proposal.position_base = int(column_of(proposal.sample, proposal.columns["position"]).low)
    if not is_page:
        _page(proposal, columns)
    _need(proposal, columns, "document", path, is_page=is_page,
          fits=lambda c: c.distinct > 1 and c.time_unit is None and _is_key(c),
          prefer=lambda c: -c.distinct, what="the most different values")  # fmt: skip
    _query(proposal, columns)


def _take_ranks(proposal: Proposal, columns: Sequence[Column]) -> bool:
    """Take lists of small whole numbers that differ within each list as positions."""
    for column in _free(proposal, columns):
        if not _fits("position", column, is_page=True):
            continue
        lists = column.values.drop_nulls().list
        if column.distinct > 2 and (lists.n_unique() == lists.len()).all():
            proposal.take("position", column, f"{_UNSURE}no number comes twice on a page")
            return True
    return False


def _is_key(column: Column) -> bool:
    return column.numbers is None or column.is_whole


def _need(
    proposal: Proposal,
    columns: Sequence[Column],
    ours: str,
    path: Path,
    *,
    is_page: bool,
    fits: Callable[[Column], bool],
    prefer: Callable[[Column], float],
    what: str,
) -> None:
    """Take the column whose values fit best, if none was taken by its name."""
    if ours in proposal.columns:
        return
    found = [c for c in _free(proposal, columns) if c.is_list == is_page and fits(c)]
    if not found:
        shown = ", ".join(str(c.name) for c in _free(proposal, columns)) or "no column"
        raise DataError(
            f"a table of clicks has a column for the {ours}: {what}",
            got=f"{path}: none looks like it; left are {shown}",
            hint=f"write a mapping that names it: [columns] {ours} = …",
        )
    found.sort(key=prefer)
    others = ", ".join(str(c.name) for c in found[1:4])
    why = f"{_UNSURE}{what}" + (f"; it may also be {others}" if others else "")
    proposal.take(ours, found[0], why)


def _page(proposal: Proposal, columns: Sequence[Column]) -> None:
    """What makes rows one page, in a table of impressions: no position comes twice in it."""
    if {"page", "session", "user"} & set(proposal.columns):
        return
    position = proposal.sample.frame[str(proposal.columns["position"])]
    found = []
    for column in _free(proposal, columns):
        pairs = pl.DataFrame({"key": column.values, "position": position})
        rows = pairs.height
        if column.distinct <= rows * 0.67 and not pairs.is_duplicated().any():
            found.append(column)
    if found:
        found.sort(key=lambda c: c.distinct)
        proposal.take("page", found[0], f"{_UNSURE}no position comes twice with the same value")


def _query(proposal: Proposal, columns: Sequence[Column]) -> None:
    """A column of values that come again, if one is left; a session where two are."""
    if "query" in proposal.columns or proposal.sample.header:
        return
    left = [
        c for c in _free(proposal, columns)
        if not c.is_list and c.distinct > 1 and c.time_unit is None and _is_key(c)
    ]  # fmt: skip
    left.sort(key=lambda c: -c.distinct)
    if left:
        proposal.take("query", left[0], f"{_UNSURE}of what is left, the most different values")
    if len(left) > 1 and "session" not in proposal.columns:
        proposal.take("session", left[1], f"{_UNSURE}values that come again; a visit or a user")
