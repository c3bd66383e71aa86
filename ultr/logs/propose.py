"""A guessed mapping as TOML, with what it would make of the file."""

from __future__ import annotations

import json
import tempfile
import tomllib
from pathlib import Path

import polars as pl

from ultr.config import from_mapping
from ultr.errors import DataError
from ultr.logs import table
from ultr.logs.guess import Proposal, guess
from ultr.logs.mapping import Mapping, Name
from ultr.logs.sample import column_of

_SHOWN = 8
"""Columns named in a comment."""


def propose(path: Path) -> str:
    """A mapping for a file, as a TOML text that can be used as it is.

    Comments say why a column was taken, and `?` marks what a person should look at.

    Raises:
        DataError: no table, or one without documents, positions or clicks.

    Example:
        >>> print(propose(Path("log.csv")))  # doctest: +SKIP
    """
    proposal = guess(path)
    body = _body(proposal)
    mapping = from_mapping(Mapping, tomllib.loads(body), where="the proposed mapping")
    head = [
        f"# Proposed by: ultr ingest {_text(path.name)} --format table --guess",
        "# A `?` marks what the values alone do not tell: check these lines.",
        *_outcome(proposal, mapping, path),
    ]
    return "\n".join(head) + "\n" + body


def _body(proposal: Proposal) -> str:
    is_page = _is_page(proposal)
    lines = [f"layout = {_text('page' if is_page else 'impression')}"]
    if proposal.sample.kind == "text":
        lines += [f"delimiter = {_text(proposal.sample.delimiter)}"]
    lines += ["", "[columns]"]
    for ours, theirs in proposal.columns.items():
        lines += [f"{ours} = {_name(theirs)}  # {_comment(proposal.why[ours])}"]
    if not is_page and not {"page", "session", "user"} & set(proposal.columns):
        lines += ["# ? no column tells pages apart: each row is a page of one document"]
    if "query" not in proposal.columns:
        lines += ["", "[constants]", 'query = "all"  # ? no column looks like a query']
    lines += ["", "[options]", *_options(proposal)]
    lines += _section("feedback", proposal.feedback, "other actions, by their names")
    if proposal.numeric:
        lines += ["", "# Numbers that are known before the click can be features of the ranker:"]
        lines += [
            f"# {_comment(_key(n))} = {_comment(_name(n))}" for n in proposal.numeric[:_SHOWN]
        ]
        lines += ["# … under [features]"]
    return "\n".join(lines) + "\n"


def _is_page(proposal: Proposal) -> bool:
    return column_of(proposal.sample, proposal.columns["document"]).is_list


def _options(proposal: Proposal) -> list[str]:
    lines = [f"position_base = {proposal.position_base}"]
    if proposal.has_rank_order:
        lines = ["list_position = true  # ? no list of positions: in the order of their ranks"]
    if "time" in proposal.columns:
        unit = column_of(proposal.sample, proposal.columns["time"]).time_unit
        lines += [f"time_unit = {_text(unit or 'iso')}"]
    if proposal.sample.kind == "text" and not proposal.sample.header:
        lines += ["header = false"]
    return lines


def _section(name: str, columns: list[Name], why: str) -> list[str]:
    if not columns:
        return []
    return ["", f"[{name}]  # ? {why}", *(f"{_key(c)} = {_name(c)}" for c in columns)]


def _outcome(proposal: Proposal, mapping: Mapping, path: Path) -> list[str]:
    """What the mapping makes of the sample, by the reader itself."""
    with tempfile.TemporaryDirectory(prefix="ultr-guess-") as folder:
        sample = Path(folder) / "sample"
        if proposal.sample.kind == "parquet":
            rows = proposal.sample.frame.height
            pl.scan_parquet(path).head(rows).sink_parquet(sample)
        else:
            sample.write_bytes(proposal.sample.data)
        try:
            chunks = list(table.read(sample, mapping=mapping))
        except DataError as error:
            return [f"# ? it cannot be read so: {_comment(error.rule)}"]
    pages = sum(c.pages.height for c in chunks)
    shown = sum(int(c.pages["doc_key"].list.len().sum()) for c in chunks)
    clicks = sum(int(c.pages["click"].list.sum().sum()) for c in chunks)
    rejects = pl.concat([c.rejects for c in chunks])
    lines = [
        f"# The first {sum(c.lines for c in chunks):,} lines give {pages:,} pages of "
        f"{shown / max(pages, 1):.1f} results with {clicks:,} clicks; {rejects.height:,} are "
        "rejected."
    ]
    reasons = rejects["reason"].value_counts(sort=True).rows()[:3]
    return lines + [f"#   {count:,} × {_comment(reason)}" for reason, count in reasons]


def _text(value: str) -> str:
    # JSON's escapes are TOML's, but for a letter that JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _name(name: Name) -> str:
    return str(name) if isinstance(name, int) else _text(name)


def _key(name: Name) -> str:
    return _text(f"column_{name}" if isinstance(name, int) else name)


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
