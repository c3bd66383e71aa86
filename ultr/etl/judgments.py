"""Relevance grades into the lake, for evaluation only."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa

from ultr.commit import Commit
from ultr.errors import DataError
from ultr.etl.annotations import forget, match, read_annotations
from ultr.etl.keyed import open_keyed, pair_ids, readable, text_keys
from ultr.lake import open_lake
from ultr.letor import MAX_GRADE, Letor, read_letor, read_ultra
from ultr.parquet import iter_batches, open_parquet, readable_parquet
from ultr.staleness import is_stale

Format = Literal["table", "letor", "qrels", "baidu", "ultra"]


def add_judgments(lake: Path, *, source: Path, format: Format) -> dict[str, Any]:  # noqa: A002
    """Read graded (query, document) pairs and make them the lake's; replaces earlier ones.

    Args:
        lake: the lake's folder; a log must have been ingested, for its id rules.
        source: the file.
        format: `table` is Parquet, CSV or TSV with `query_id, doc_id, grade` (or `query, region`
            and `url`); `letor` is SVMlight with qid and `#docid`; `qrels` is TREC's four columns,
            as text or gzip'd or zstd'd; `baidu` is Baidu-ULTR's expert annotations, whose documents
            are known by their text (`ultr.etl.annotations`); `ultra` is a folder of ULTRA, whose
            labels are grades.

    Returns:
        `rows queries repeated max_grade queries_in_log lists_are_stale`; for `baidu` also
        `documents documents_in_log documents_added queries_added conflicts`. A text that was
        annotated with several grades for one query has the highest, and is a conflict.

    Raises:
        DataError: an unreadable file, keys that break the lake's id rule, grades that are no whole
            numbers from 0 to 30, or a pair with two grades.

    Example:
        >>> add_judgments(Path("lake"), source=Path("qrels.txt"), format="qrels")  # doctest: +SKIP
    """
    opened = open_lake(lake)
    frame, grades = read_grades(source, format=format)
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
            graded = pair_ids(keys, change.manifest.ids, path=source).with_columns(grades)
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


def read_grades(source: Path, *, format: Format) -> tuple[pl.DataFrame, pl.Series]:  # noqa: A002
    """Rows of a file of judgments as they stand in it, and their grades.

    Args:
        source: the file or, for ultra, the folder.
        format: of it.

    Returns:
        `query_id, doc_id` as text (for baidu `query, title, text, frequency_bucket`) and `grade`;
        `[N]` the grades as int16.

    Raises:
        DataError: an unreadable file, a wrong line, or a grade that is no whole number from 0
            to 30.
    """
    frame = _READERS[format](source)
    return frame, _grades(frame["grade"], source)


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
        lines = pl.Series("line", _text(source).splitlines(), pl.String)
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


def _text(source: Path) -> str:
    """A text file, decompressed by its first bytes: names of downloads tell little."""
    data = source.read_bytes()
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    elif data.startswith(b"\x28\xb5\x2f\xfd"):
        data = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    return data.decode("utf-8")


_READERS: dict[str, Callable[[Path], pl.DataFrame]] = {
    "table": _read_table,
    "letor": _read_letor,
    "qrels": _read_qrels,
    "baidu": read_annotations,
    "ultra": _read_ultra,
}


def _grades(column: pl.Series, source: Path) -> pl.Series:
    """Whole numbers from 0 to 30, as int16; the gain of a higher grade leaves float64's digits."""
    if not len(column):
        raise _empty(source)
    # Bytes that are no UTF-8 come as a binary column.
    if column.dtype.is_nested() or column.dtype == pl.Binary:
        numbers = pl.repeat(None, len(column), dtype=pl.Float64, eager=True)
    else:
        numbers = column.cast(pl.Float64, strict=False)
    is_wrong = numbers.is_null() | ~numbers.is_between(0, MAX_GRADE)
    is_wrong |= (numbers != numbers.floor()).fill_null(value=True)
    wrong = is_wrong.arg_true()
    if len(wrong):
        raise DataError(
            f"a grade is a whole number from 0 to {MAX_GRADE}, 0 is irrelevant",
            got=f"{source}: {len(wrong):,} others, the first is {_shown(column, int(wrong[0]))} "
            f"(judgment {wrong[0] + 1:,})",
            hint="map the grades to 0, 1, 2 …; TREC's negative grades become 0",
        )
    return numbers.cast(pl.Int16).alias("grade")


def _shown(column: pl.Series, row: int) -> str:
    value = column[row]
    return repr(value.to_list() if isinstance(value, pl.Series) else value)[:80]


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
    is_there = pl.repeat(value=False, n=len(judged), eager=True)
    for path in paths:
        with readable_parquet(path), open_parquet(path) as file:
            for batch in iter_batches(file, 1 << 20, columns=["query_id"]):
                shown = pl.Series(pl.from_arrow(batch["query_id"])).unique()
                is_there |= judged.is_in(shown.implode())
    return int(is_there.sum())


def _empty(source: Path) -> DataError:
    return DataError(
        "a file of judgments has rows", got=f"{source} is empty", hint="check how it was written"
    )
