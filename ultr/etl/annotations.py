"""Baidu-ULTR's expert annotations: queries and documents that are known by their text only."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ultr.commit import Commit
from ultr.errors import DataError
from ultr.etl.ids import lake_rule, to_id
from ultr.etl.keyed import readable
from ultr.logs.raw import blocks, lines_of

COLUMNS = ("qid", "query", "title", "text", "grade", "frequency_bucket")

STAGE = "judgments"
"""Key of the files of `queries` and `documents` whose rows come from here and not from a log."""

LOST = "21429"
"""Title of documents that the log's makers could not find: it does not tell which one."""

_TEXT = ["title", "text"]


class Matched(NamedTuple):
    """Annotations with the lake's ids.

    Attributes:
        rows: `query_id, doc_id, frequency_bucket, row`; `row` is the line in the file, from 0.
        facts: `documents documents_in_log documents_added queries_added`.
    """

    rows: pl.DataFrame
    facts: dict[str, int]


def read_annotations(source: Path) -> pl.DataFrame:
    """Lines of `qid, query, title, abstract, label, bucket`, tokens with a space between them.

    Returns:
        `query, title, text, grade, frequency_bucket`; `-` is null in title and text.

    Raises:
        DataError: an unreadable file, or a line that has not six columns, no query, or a bucket
            outside 0 to 9.
    """
    with readable(source):
        parts = [_fields(*lines_of(block), source) for block in blocks(source)]
    frame = pl.concat(parts)
    spaced = pl.col("query", *_TEXT).str.replace_all("\x01", " ", literal=True)
    return frame.with_columns(spaced).with_columns(
        pl.when(pl.col(_TEXT) != "-").then(pl.col(_TEXT))
    )


def _fields(lines: pl.DataFrame, bad: pl.DataFrame, source: Path) -> pl.DataFrame:
    text = pl.col("text").str.strip_chars_end("\r")
    field = text.str.split("\t").list
    bucket = field.get(5, null_on_oob=True).cast(pl.Int8, strict=False)
    is_broken = (field.len() != len(COLUMNS)) | ~bucket.is_between(0, 9).fill_null(value=False)
    is_broken |= field.get(1, null_on_oob=True).fill_null("") == ""
    broken = pl.concat([bad.select("line", "text"), lines.filter(is_broken)]).sort("line")
    if broken.height:
        line, content = broken.row(0)
        raise DataError(
            f"an annotation has the columns {', '.join(COLUMNS)}, the last from 0 to 9",
            got=f"{source}: {broken.height:,} other lines, the first is {line}: {content[:80]!r}",
            hint="is this the file of expert annotations, tab-separated and without a header?",
        )
    columns = [field.get(i).alias(name) for i, name in enumerate(COLUMNS) if i not in (0, 5)]
    return lines.select(*columns, bucket.alias(COLUMNS[5]))


def match(change: Commit, annotations: pl.DataFrame) -> Matched:
    """Find annotated documents in the log by title and abstract; add what it does not know.

    Where several of the log's documents have one text, the one with the lowest id stands for them.
    A document that the log does not have is known by the MD5 of its title, a tab and its abstract.
    Documents that come into the log later are found when the annotations are read again.

    Raises:
        DataError: the log's ids are whole numbers, so that a text has none.
    """
    rules = change.manifest.ids
    forget(change)
    texts = annotations.select(_TEXT).unique(maintain_order=True)
    known = _in_log(change, texts)
    new = texts.join(known, on=_TEXT, how="anti", nulls_equal=True, maintain_order="left")
    digest = [hashlib.md5(t.encode(), usedforsecurity=False).hexdigest() for t in _joined(new)]
    new = new.with_columns(key=pl.Series(digest, dtype=pl.String))
    new = new.with_columns(to_id(new["key"], lake_rule(rules, "doc"), column="doc"))
    if new.height:
        change.write("documents", new.to_arrow(), stage=STAGE)
    query = annotations.select(key="query").unique(maintain_order=True)
    query = query.with_columns(
        to_id(query["key"], lake_rule(rules, "query"), column="query"), text="key"
    )
    unknown = _unknown_queries(change, query)
    if unknown.height:
        change.write("queries", unknown.to_arrow(), stage=STAGE)
    ids = pl.concat([known, new.select(known.columns)])
    rows = (
        annotations.with_row_index("row")
        .join(query.select("query_id", query="key"), on="query", maintain_order="left")
        .join(ids, on=_TEXT, nulls_equal=True, maintain_order="left")
    )
    facts = {
        "documents": texts.height,
        "documents_in_log": known.height,
        "documents_added": new.height,
        "queries_added": unknown.height,
    }
    return Matched(rows.select("query_id", "doc_id", "frequency_bucket", "row"), facts)


def forget(change: Commit) -> None:
    """Take away what earlier annotations added."""
    for table in ("queries", "documents"):
        change.remove(table, lambda f: f.matches(stage=STAGE))


def _joined(texts: pl.DataFrame) -> pl.Series:
    parts = [pl.col(name).fill_null("-") for name in _TEXT]
    return texts.select(pl.concat_str(parts, separator="\t")).to_series()


def _in_log(change: Commit, texts: pl.DataFrame) -> pl.DataFrame:
    """`title, text, doc_id` of the texts that the log shows."""
    told = texts.filter(pl.col("title").is_not_null() & (pl.col("title") != LOST))
    log = _scan(change, "documents", ("doc_id", *_TEXT))
    found = log.join(told.lazy(), on=_TEXT, how="semi", nulls_equal=True)
    lowest = found.group_by(_TEXT).agg(pl.col("doc_id").min())
    return lowest.collect(engine="streaming").sort("doc_id")


def _unknown_queries(change: Commit, query: pl.DataFrame) -> pl.DataFrame:
    log = _scan(change, "queries", ("query_id",)).collect(engine="streaming")
    return query.join(log, on="query_id", how="anti")


def _scan(change: Commit, table: str, columns: tuple[str, ...]) -> pl.LazyFrame:
    paths = [change.root / f.path for f in change.manifest.tables.get(table, [])]
    if not paths:
        types = {c: pl.Int64 if c.endswith("_id") else pl.String for c in columns}
        return pl.LazyFrame(schema=types)
    return pl.scan_parquet(paths, hive_partitioning=False).select(columns)
