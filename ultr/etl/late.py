"""Events that no page takes: they wait, and become rejects when they are overdue."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import polars as pl

from ultr.commit import Commit
from ultr.errors import UsageError
from ultr.etl.counts import Delta
from ultr.etl.events import read_files
from ultr.logs.chunk import as_rejects
from ultr.manifest import File
from ultr.schema import UNATTACHED

STAGE = "attach"
"""Key of the files of `rejects` that are made here, and so change as pages come."""

SCHEMA = pl.DataFrame(UNATTACHED.arrow().empty_table()).schema
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_late(text: str) -> timedelta:
    """Read `48h`, `90m`, `30s`, `2d` or `0`.

    Raises:
        UsageError: anything else.
    """
    found = re.fullmatch(r"(\d{1,6})([smhd])|0", text)
    if found is None:
        raise UsageError(
            "--late is a number and one of s, m, h, d", got=text, hint="for example --late 48h"
        )
    return timedelta(**{_UNITS[found[2]]: int(found[1])}) if found[2] else timedelta()


def write_unattached(change: Commit, rows: pl.DataFrame) -> None:
    """Add events that no page takes, a file per source."""
    for (source,), own in rows.partition_by("source", as_dict=True).items():
        table = own.select(SCHEMA.names()).sort("line").to_arrow()
        change.write("unattached", table, source=source)


def forget_unattached(change: Commit, again: pl.DataFrame) -> None:
    """Take out the events (`source, line`) whose page was looked for again."""
    for (source,), own in again.partition_by("source", as_dict=True).items():
        files = _files(change, "unattached", str(source))
        if not files:
            continue
        rows = pl.concat(list(read_files(change, files, columns=SCHEMA.names())))
        kept = rows.join(own.select("line"), on="line", how="anti")
        if kept.height < rows.height:
            change.remove("unattached", lambda f, gone=files: f in gone)  # type: ignore[misc]
            write_unattached(change, kept)


def settle(
    change: Commit, *, sources: Iterable[str], newest_us: int, late: timedelta
) -> tuple[dict[str, Delta], int]:
    """Make rejects of overdue events, and take back those whose page came.

    Args:
        change: the commit.
        sources: the files of one format.
        newest_us: the time up to which they are there.
        late: how much older an event may be before it is overdue.

    Returns:
        What changed in the rejects of each source, and how many events wait.
    """
    deltas, waiting = {}, 0
    limit = newest_us - late // timedelta(microseconds=1)
    for source in sources:
        lost = _rows(change, _files(change, "unattached", source), ["line", "reason", "waits_from"])
        since = pl.col("waits_from").dt.epoch("us")
        is_overdue = (since <= limit) | (since > newest_us)  # later: no page will come so far on
        overdue = lost.filter(is_overdue.fill_null(value=True)).select("line", "reason")
        waiting += lost.height - overdue.height
        files = [f for f in _files(change, "rejects", source) if f.matches(stage=STAGE)]
        before = _rows(change, files, ["line", "reason"])
        if not before.sort("line").equals(overdue.sort("line")):
            change.remove("rejects", lambda f, gone=files: f in gone)  # type: ignore[misc]
            _reject(change, overdue, source)
            deltas[source] = Delta(reasons=_more(overdue, before))
    return deltas, waiting


def _reject(change: Commit, overdue: pl.DataFrame, source: str) -> None:
    if overdue.height:
        told = overdue.join(_texts(change, overdue["line"], source), on="line", how="left")
        rows = as_rejects([told]).with_columns(source=pl.lit(source))
        change.write("rejects", rows.to_arrow(), source=source, stage=STAGE)


def _texts(change: Commit, lines: pl.Series, source: str) -> pl.DataFrame:
    """`line, text`: events as their format writes them, from what the lake keeps of them."""
    files = _files(change, "events", source)
    columns = ("line", "action", "page_id", "session_id", "client_id", "query_id", "doc_id",
               "log_position", "at", "elapsed_ms")  # fmt: skip
    wanted = lines.implode()
    parts = [f.filter(f["line"].is_in(wanted)) for f in read_files(change, files, columns=columns)]
    rows = pl.concat(parts)
    for table, column in (("documents", "doc_id"), ("queries", "query_id")):
        keys = _keys(change, table, column, rows[column], source)
        rows = rows.join(keys, on=column, how="left")
    elapsed = pl.col("elapsed_ms").cast(pl.String)
    row = pl.concat_str("session_id", elapsed, pl.lit("C"), "documents", separator="\t")
    record = pl.struct(
        action_name="action",
        query_id="page_id",
        client_id="client_id",
        session_id="session_id",
        timestamp=pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
        user_query="queries",
        object_id="documents",
        ordinal="log_position",
    ).struct.json_encode()
    return rows.select("line", text=pl.when(elapsed.is_null()).then(record).otherwise(row))


def _keys(change: Commit, table: str, column: str, ids: pl.Series, source: str) -> pl.DataFrame:
    wanted = ids.drop_nulls().unique().implode()
    files = _files(change, table, source)
    parts = [
        f.filter(f[column].is_in(wanted))
        for f in read_files(change, files, columns=(column, "key"))
    ]
    empty = pl.DataFrame(schema={column: pl.Int64, "key": pl.String})
    return pl.concat([empty, *parts]).unique(column, keep="first").rename({"key": table})


def _rows(change: Commit, files: Sequence[File], columns: Sequence[str]) -> pl.DataFrame:
    empty = pl.DataFrame(schema={c: SCHEMA[c] for c in columns})
    return pl.concat([empty, *read_files(change, files, columns=columns)])


def _files(change: Commit, table: str, source: str) -> list[File]:
    return [f for f in change.manifest.tables.get(table, []) if f.matches(source=source)]


def _more(new: pl.DataFrame, old: pl.DataFrame) -> Counter[str]:
    counts: Counter[Any] = Counter(new["reason"].to_list())
    counts.subtract(old["reason"].to_list())
    return counts
