"""Relevance grades into the lake, for evaluation only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from ultr.errors import DataError
from ultr.etl.annotations import forget, match, read_annotations
from ultr.etl.keyed import open_keyed, pair_ids, readable, text_keys
from ultr.lake import Commit, open_lake
from ultr.letor import Letor, read_letor, read_ultra
from ultr.staleness import is_stale

Format = Literal["table", "letor", "qrels", "baidu", "ultra"]


def add_judgments(lake: Path, *, source: Path, format: Format) -> dict[str, Any]:  # noqa: A002
    """Read graded (query, document) pairs and make them the lake's; replaces earlier ones.

    Args:
        lake: the lake's folder; a log must have been ingested, for its id rules.
        source: the file.
        format: `table` is Parquet, CSV or TSV with `query_id, doc_id, grade` (or `query, region`
            and `url`); `letor` is SVMlight with qid and `#docid`; `qrels` is TREC's four columns;
            `baidu` is Baidu-ULTR's expert annotations, whose documents are known by their text
            (`ultr.etl.annotations`); `ultra` is a folder of ULTRA, whose labels are grades.

    Returns:
        `rows queries repeated max_grade queries_in_log lists_are_stale`; for `baidu` also
        `documents documents_in_log documents_added queries_added conflicts`. A text that was
        annotated with several grades for one query has the highest, and is a conflict.

    Raises:
        DataError: an unreadable file, keys that break the lake's id rule, grades that are no whole
            numbers from 0, or a pair with two grades.

    Example:
        >>> add_judgments(Path("lake"), source=Path("qrels.txt"), format="qrels")  # doctest: +SKIP
    """
    opened = open_lake(lake)
    frame = _READERS[format](source)
    grades = _grades(frame["grade"], source)
    with opened.commit("judgments") as change:
        more: dict[str, int] = {}
        if format == "baidu":
            found = match(change, frame)
            graded = found.rows.with_columns(grades[found.rows["row"]]).drop("row")
            rows = _highest(graded)
            more = found.facts | {"conflicts": _distinct(graded).height - rows.height}
        else:
            forget(change)
            keys = frame.select("query_id", "doc_id")
            graded = pair_ids(keys, change.manifest.ids).with_columns(grades)
            rows = graded.unique().sort("query_id", "doc_id")
            _check_one_grade(rows, source)
        change.remove("judgments")
        change.write("judgments", rows.to_arrow())
        facts: dict[str, Any] = {
            "rows": rows.height,
            "queries": rows["query_id"].n_unique(),
            "repeated": graded.height - rows.height,
            "max_grade": int(grades.max() or 0),  # type: ignore[arg-type]
            "queries_in_log": _in_log(change, rows["query_id"].unique()),
            **more,
        }
        change.manifest.meta["judgments"] = facts | {"source": str(source), "format": format}
    return facts | {"lists_are_stale": is_stale(open_lake(lake))}


def _read_table(source: Path) -> pl.DataFrame:
    blocks = list(open_keyed(source, needs=["grade"]).blocks())
    if not blocks:
        raise _empty(source)
    return pl.concat([text_keys(b).with_columns(b["grade"]) for b in blocks])


def _read_letor(source: Path) -> pl.DataFrame:
    return _graded(read_letor(source))


def _read_ultra(source: Path) -> pl.DataFrame:
    return _graded(read_ultra(source))


def _graded(letor: Letor) -> pl.DataFrame:
    keys = {"query_id": letor.qid.astype(str), "doc_id": letor.doc.astype(str)}
    return pl.DataFrame({**keys, "grade": letor.grade})


def _read_qrels(source: Path) -> pl.DataFrame:
    with readable(source):
        lines = pl.Series("line", source.read_text(encoding="utf-8").splitlines(), pl.String)
    fields = lines.str.strip_chars().str.replace_all(r"\s+", "\t").str.split("\t")
    is_blank = lines.str.strip_chars() == ""
    wrong = (~is_blank & (fields.list.len() != 4)).arg_true()
    if len(wrong):
        raise DataError(
            "a qrels line has four columns: topic, iteration, document, grade",
            got=f"{source}, line {wrong[0] + 1}: {lines[int(wrong[0])][:80]!r}",
            hint="check the format: --format letor and --format table are the others",
        )
    kept = fields.filter(~is_blank)
    columns = {"query_id": 0, "doc_id": 2, "grade": 3}
    return pl.DataFrame({name: kept.list.get(i) for name, i in columns.items()})


_READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "table": _read_table,
    "letor": _read_letor,
    "qrels": _read_qrels,
    "baidu": read_annotations,
    "ultra": _read_ultra,
}


def _grades(column: pl.Series, source: Path) -> pl.Series:
    """Whole numbers from 0 to 32767, as int16."""
    if not len(column):
        raise _empty(source)
    numbers = column.cast(pl.Float64, strict=False)
    is_wrong = numbers.is_null() | ~numbers.is_between(0, np.iinfo(np.int16).max)
    is_wrong |= (numbers != numbers.floor()).fill_null(value=True)
    wrong = is_wrong.arg_true()
    if len(wrong):
        raise DataError(
            "a grade is a whole number from 0, 0 is irrelevant",
            got=f"{source}: {len(wrong):,} others, the first is {column[int(wrong[0])]!r} "
            f"(judgment {wrong[0] + 1:,})",
            hint="map the grades to 0, 1, 2 …; TREC's negative grades become 0",
        )
    return numbers.cast(pl.Int16).alias("grade")


def _check_one_grade(rows: pl.DataFrame, source: Path) -> None:
    several = rows.filter(pl.struct("query_id", "doc_id").is_duplicated())
    if several.height:
        query, doc = several.row(0)[:2]
        pairs = several.select("query_id", "doc_id").unique().height
        raise DataError(
            "a (query, document) pair has one grade",
            got=f"{source}: {pairs:,} pairs have several, the first has the ids ({query}, {doc})",
            hint="decide on one grade per pair",
        )


def _distinct(graded: pl.DataFrame) -> pl.DataFrame:
    return graded.unique(["query_id", "doc_id", "grade"])


def _highest(graded: pl.DataFrame) -> pl.DataFrame:
    pair = ["query_id", "doc_id"]
    highest = graded.group_by(pair).agg(pl.col("grade").max(), pl.col("frequency_bucket").min())
    return highest.sort(pair)


def _in_log(change: Commit, judged: pl.Series) -> int:
    paths = [change.root / f.path for f in change.manifest.tables.get("sessions", [])]
    if not paths:
        return 0
    log = pl.scan_parquet(paths, hive_partitioning=False).select("query_id").unique()
    return log.filter(pl.col("query_id").is_in(judged.implode())).collect().height


def _empty(source: Path) -> DataError:
    return DataError(
        "a file of judgments has rows", got=f"{source} is empty", hint="check how it was written"
    )
