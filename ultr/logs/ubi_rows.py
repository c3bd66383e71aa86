"""Records of UBI from lines of JSON, as columns.

DuckDB parses a column of lines at once: what is not there, or is of another type than UBI has, is
null. It stops at text that is not JSON; then the lines are checked first. Both ways give the same.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from ultr.logs.letters import places
from ultr.logs.quiet import without_bar
from ultr.logs.raw import Block, is_utf8, lines_of

TEXTS = ("action_name", "timestamp", "query_id", "session_id", "client_id", "user_id",
         "user_query", "application")  # fmt: skip
HITS = ("query_response_hit_ids", "query_response_objects_ids")
"""The ordered documents of a query, in version 1.3 and before it."""

BULK = ("index", "create", "update", "delete")
"""An OpenSearch bulk file has a line with one of these before each document."""

NOT_JSON = "not JSON"
TOO_LARGE = "JSON that does not fit into memory"
MEMORY = "1GiB"
"""What the parser may hold."""

RECORD = pl.Schema(
    {
        "line": pl.Int64(),
        **dict.fromkeys((*TEXTS, "object_id", "ordinal"), pl.String()),
        "hits": pl.List(pl.String),
        "is_hit_list": pl.Boolean(),
        "is_bulk": pl.Boolean(),
    }
)
"""`is_hit_list` is false where the hits are something else than a list."""

NOTHING = pl.DataFrame(schema={"line": pl.Int64, "reason": pl.String, "text": pl.String})
"""No rejects."""

_PARTS = 4
"""Of a block: DuckDB hands batches to its threads whole. Rows come back in their order."""

_TEXT = "VARCHAR"
_STRUCTURE = json.dumps(
    {
        **dict.fromkeys(TEXTS, _TEXT),
        **{name: [_TEXT] for name in HITS},
        **dict.fromkeys(BULK, "JSON"),
        "event_attributes": {"object": {"object_id": _TEXT}, "position": {"ordinal": _TEXT}},
    }
)
_SELECT = f"""
with parsed as (
    select line, "text", json_transform("text", $structure) as j from lines
),

-- Only queries without hits are looked at again: what they have may be no list.
read as (
    select
        line,
        {", ".join(f"j.{name}" for name in TEXTS)},
        j.event_attributes.object.object_id as object_id,
        j.event_attributes.position.ordinal as ordinal,
        j.{HITS[0]} as first_list,
        j.{HITS[1]} as second_list,
        case
            when j.{HITS[0]} is null and coalesce(j.action_name, '') = ''
            then json_type("text", {[f"$.{name}" for name in HITS]})
        end as types,
        nullif(types[1], 'NULL') as first_type,
        coalesce({", ".join(f'j."{name}"' for name in BULK)}) is not null as is_bulk
    from parsed
)

select
    * exclude (first_list, second_list, types, first_type, is_bulk),
    coalesce(first_list, case when first_type is null then second_list end) as hits,
    coalesce(first_type, nullif(types[2], 'NULL'), 'ARRAY') = 'ARRAY' as is_hit_list,
    is_bulk
from read
"""  # noqa: S608  our own names only
_PARAMETERS = {"structure": _STRUCTURE}


class Records(NamedTuple):
    """A block of records.

    Attributes:
        frame: `RECORD`, one row per line that is JSON.
        texts: makes `line, text` of all lines; empty where the file is no text.
        rejects: `line, reason, text` of what is no record.
        lines: records, rejects and `ignored` ones.
        ignored: blank lines.
        size: bytes of the file.
    """

    frame: pl.DataFrame
    texts: Callable[[], pl.DataFrame]
    rejects: pl.DataFrame
    lines: int
    ignored: int
    size: int


@contextlib.contextmanager
def parser() -> Iterator[duckdb.DuckDBPyConnection]:
    """What `json_lines` parses with."""
    settings = {
        "autoinstall_known_extensions": "false",
        "memory_limit": MEMORY,
        # What Polars takes over without a copy.
        "arrow_output_version": "1.4",
        "produce_arrow_string_view": "true",
    }
    with duckdb.connect(":memory:", config=settings) as connection:
        without_bar(connection)
        yield connection


def json_lines(connection: duckdb.DuckDBPyConnection, block: Block) -> Records:
    """Parse lines of JSON objects.

    Args:
        connection: from `parser`.
        block: the lines.
    """
    if is_utf8(block.data):
        try:
            frame = _parsed(connection, _as_they_lie(block))
            texts = partial(_texts, block)
            return Records(frame, texts, _refused([]), block.lines, 0, block.size)
        except (duckdb.Error, UnicodeDecodeError):
            pass  # DuckDB quotes the odd line in its message, cut anywhere: in a letter too
    lines, bad = lines_of(block)
    is_blank = lines["text"].str.strip_chars().str.len_bytes() == 0
    told = lines.filter(~is_blank)
    frames, rejects = _checked(connection, told)
    frame = pl.concat([RECORD.to_frame(), *frames])
    ignored = lines.height - told.height
    total = lines.height + bad.height
    return Records(frame, lambda: lines, _refused([bad, *rejects]), total, ignored, block.size)


def _as_they_lie(block: Block) -> pa.Table:
    """`line, text` without a copy of the text: a line's end is blank to JSON."""
    ends = np.concatenate([[0], places(block.data, b"\n") + 1]).astype(np.int32)
    text = pa.StringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(block.data))
    line = np.arange(block.first_line, block.first_line + len(text))
    whole = pa.record_batch({"line": line, "text": text})
    rows = max(1, -(-len(text) // _PARTS))
    parts = [whole.slice(begin, rows) for begin in range(0, len(text), rows)]
    return pa.Table.from_batches(parts, whole.schema)


def _texts(block: Block) -> pl.DataFrame:
    return lines_of(block)[0]


def _checked(
    connection: duckdb.DuckDBPyConnection, lines: pl.DataFrame
) -> tuple[list[pl.DataFrame], list[pl.DataFrame]]:
    """Parse what is JSON; the records, and the other lines with their reason."""
    try:
        is_json = _is_json(connection, lines)
        other = lines.filter(~is_json).with_columns(reason=pl.lit(NOT_JSON))
        return [_parsed(connection, lines.filter(is_json))], [other]
    except duckdb.OutOfMemoryException:
        if lines.height == 1:
            return [], [lines.with_columns(reason=pl.lit(TOO_LARGE))]
    half = lines.height // 2
    first, second = _checked(connection, lines[:half]), _checked(connection, lines[half:])
    return first[0] + second[0], first[1] + second[1]


def _refused(parts: list[pl.DataFrame]) -> pl.DataFrame:
    return pl.concat([NOTHING, *(p.select(NOTHING.columns) for p in parts)])


def _parsed(connection: duckdb.DuckDBPyConnection, lines: pl.DataFrame | pa.Table) -> pl.DataFrame:
    connection.register("lines", lines)
    try:
        found = connection.sql(_SELECT, params=_PARAMETERS).pl()
    finally:
        connection.unregister("lines")
    frame: pl.DataFrame = found.select(pl.col(n).cast(t) for n, t in RECORD.items())
    return frame


def _is_json(connection: duckdb.DuckDBPyConnection, lines: pl.DataFrame) -> pl.Series:
    connection.register("lines", lines)
    try:
        found = connection.sql('select json_valid("text") as ok from lines').to_arrow_table()
    finally:
        connection.unregister("lines")
    return pl.DataFrame(found)["ok"]
