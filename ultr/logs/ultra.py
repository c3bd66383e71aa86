"""ULTRA's data folders: a page for each initial list of a split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import polars as pl

from ultr.errors import DataError
from ultr.letor.ultra import FEATURES, LABELS, beside, document_keys
from ultr.logs.chunk import Chunk, as_pages, as_rejects
from ultr.logs.raw import blocks, lines_of

Labels = Literal["grades", "clicks"]


def read(path: Path, *, labels: Labels = "grades") -> Iterator[Chunk]:
    """Read a `.init_list` file with the `.feature` and `.labels` beside it; its lines are counted.

    Args:
        path: the lists.
        labels: what the labels are. Clicks become those of the page; with grades nothing was
            clicked, and the grades go through `ultr judgments`.

    Raises:
        DataError: a missing, empty or damaged file, or another number of labels than of lists.
    """
    documents = pl.Series("doc_key", document_keys(beside(path, FEATURES)), pl.String)
    told = _Lines(beside(path, LABELS))
    for block in blocks(path):
        rows, bad = lines_of(block)
        told_here = told.take(block.data.count(b"\n"), at=block.first_line)
        yield _chunk(rows.join(told_here, on="line", how="left", maintain_order="left"), bad,
                     documents=documents, labels=labels, size=block.size)  # fmt: skip
    told.check_end(path)


class _Lines:
    """The lines of a file beside, as many at a time as were read of the lists."""

    def __init__(self, path: Path) -> None:
        self.path, self._blocks, self._read = path, blocks(path), 0
        self._rows = pl.DataFrame(schema={"line": pl.Int64, "label": pl.String})

    def take(self, count: int, *, at: int) -> pl.DataFrame:
        """Lines `at` to `at + count - 1`: those with bad UTF-8 are missing."""
        end = at + count
        while self._read < end - 1 and (block := next(self._blocks, None)) is not None:
            rows, _ = lines_of(block)
            self._rows = pl.concat([self._rows, rows.rename({"text": "label"})])
            self._read = block.first_line + block.data.count(b"\n") - 1
        taken = self._rows.filter(pl.col("line") < end)
        self._rows = self._rows.filter(pl.col("line") >= end)
        return taken

    def check_end(self, lists: Path) -> None:
        """Check that nothing is left."""
        rest = self._rows.height + sum(lines_of(b)[0].height for b in self._blocks)
        if rest:
            raise DataError(
                "each list has its line of labels, and no more",
                got=f"{rest:,} lines of labels too many in {self.path}",
                hint=f"take it and {lists.name} from one preparation",
            )


def _chunk(
    rows: pl.DataFrame, bad: pl.DataFrame, *, documents: pl.Series, labels: Labels, size: int
) -> Chunk:
    lines = rows.height + bad.height
    blank = pl.col("text").str.strip_chars() == ""
    rows, ignored = rows.filter(~blank), rows.select(blank.sum()).item()
    words, told = _words("text"), _words("label")
    rows = rows.with_columns(
        query_key=words.list.first(),
        told=told.list.first(),
        # Padding at the end of a list is no document.
        item=words.list.slice(1).list.join(" ").str.replace(r"( ?-1)+$", "").str.split(" "),
        label=told.list.slice(1),
    ).with_columns(
        item=pl.col("item").list.eval(pl.element().cast(pl.Int64, strict=False)),
        label=pl.col("label").list.head(pl.col("item").list.len()),
    )
    rows = rows.with_columns(reason=_reason(len(documents), labels))
    good = rows.filter(pl.col("reason").is_null())
    return Chunk(
        pages=as_pages(_pages(good, documents, labels)),
        rejects=as_rejects([bad, rows.filter(pl.col("reason").is_not_null())]),
        lines=lines,
        used=good.height,
        ignored=ignored,
        size=size,
    )


def _words(column: str) -> pl.Expr:
    return pl.col(column).str.strip_chars().str.replace_all(r"\s+", " ").str.split(" ")


def _reason(documents: int, labels: Labels) -> pl.Expr:
    item = pl.col("item").list
    is_known = item.eval(pl.element().is_between(0, documents - 1).fill_null(value=False)).list
    is_click = pl.col("label").list.eval(pl.element().is_in(["0", "1", "0.0", "1.0"])).list.all()
    reason = (
        pl.when(pl.col("label").is_null())
        .then(pl.lit("list without labels"))
        .when(pl.col("told") != pl.col("query_key"))
        .then(pl.lit("labels of another query"))
        .when(~is_known.all())
        .then(pl.lit("not a list of lines of the feature file, from 0"))
        .when(item.n_unique() < item.len())
        .then(pl.lit("list with a document twice"))
        .when(item.len() > 32767)
        .then(pl.lit("list too long"))
        .when(pl.col("label").list.len() < item.len())
        .then(pl.lit("fewer labels than documents"))
    )
    if labels == "clicks":
        reason = reason.when(~is_click).then(pl.lit("click is neither 0 nor 1"))
    return reason


def _pages(good: pl.DataFrame, documents: pl.Series, labels: Labels) -> pl.DataFrame:
    flat = good.select("line", "query_key", "item", "label").explode(
        "item", "label", empty_as_null=False, keep_nulls=False
    )
    clicked = pl.col("label").is_in(["1", "1.0"]) if labels == "clicks" else pl.lit(value=False)
    flat = flat.with_columns(doc_key=documents.gather(flat["item"]), click=clicked.cast(pl.Int8))
    pages = flat.group_by("line", maintain_order=True).agg(
        pl.col("query_key").first(), "doc_key", "click"
    )
    size = pl.col("doc_key").list.len()
    return pages.rename({"line": "ordinal"}).with_columns(position=pl.int_ranges(1, size + 1))
