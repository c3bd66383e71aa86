"""Every reader of raw logs with a small file of its format: a new one is one line in `FAMILY`."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ultr.errors import DataError
from ultr.logs import baidu, raw, table, ubi, ultra, yandex
from ultr.logs.chunk import Chunk
from ultr.logs.mapping import Columns, Mapping, Options

Place = Callable[[Path, bytes], Path]


def alone(folder: Path, data: bytes) -> Path:
    """One file."""
    path = folder / "log"
    path.write_bytes(data)
    return path


def beside(ending: str) -> Place:
    """A split of ULTRA whose file with this ending is `data`; the lists are read."""

    def place(folder: Path, data: bytes) -> Path:
        for other, whole in ULTRA.items():
            (folder / f"train{other}").write_bytes(data if other == ending else whole)
        return folder / "train.init_list"

    return place


class Member(NamedTuple):
    """One of the family.

    Attributes:
        read: the reader.
        data: a good file.
        place: puts bytes where the reader finds them, and returns what it is to read.
        is_joined: whether ingest joins clicks over blocks, so that the reader's are not all.
    """

    read: Callable[[Path], Iterator[Chunk]]
    data: bytes
    place: Place = alone
    is_joined: bool = False

    def check(self, path: Path) -> None:
        """See `check`."""
        check(self, path)


YANDEX = b"".join(
    b"%d\t%d\tQ\t7\t0\t10\t11\t12\n%d\t%d\tC\t11\n" % (s, s, s, s + 1) for s in range(6)
)
CSV = b"session_id,query_id,doc_id,position,click,shown_at\n" + b"".join(
    b"s%d,q,d%d,%d,%d,2026-01-01\n" % (s, p, p, p % 2) for s in range(4) for p in (1, 2, 3)
)
QUOTED = CSV.replace(b",q,", b',"q ""x""\n, y",')
CLEAN_QUOTES = CSV.replace(b",q,", b',"q ""x"", y",')
IMPRESSIONS = b"".join(
    b'{"session_id": "s%d", "query_id": 7, "doc_id": 9, "position": %d, "click": true}\n' % (s, p)
    for s in range(3)
    for p in (1, 2, 3)
)  # fmt: skip
PAGES = b"".join(
    b'{"session_id": "s%d", "query_id": "q", "doc_id": ["a", "b"], "position": [1, 2],'
    b' "click": [0, 1]}\n' % s
    for s in range(4)
)
RICH = b"".join(
    b'{"id": %d, "q": "q", "docs": ["a", "b"], "ranks": [1, 2], "clicks": [0, 1],'
    b' "price": [1, 2.5], "cart": [0, 2], "title": ["A", null]}\n' % s
    for s in range(4)
)
PYTHON = b"".join(b"%d\tq\t['a', 'b']\t[0, 1]\n" % s for s in range(4))
BAIDU = b"".join(
    b"7\t%d\x015\t-\n" % s
    + b"".join(
        b"\t".join([b"%d" % p, b"%032x" % p, b"1\x012", b"3", b"-", b"%d" % (p % 2), *[b"-"] * 26])
        + b"\n"
        for p in (1, 2, 3)
    )
    for s in range(5)
)
UBI = b"".join(
    b'{"index": {"_index": "ubi_queries"}}\n'
    b'{"query_id": "q%d", "user_query": "a b", "client_id": "c",'
    b' "timestamp": "2026-01-01T00:00:00Z", "query_response_hit_ids": ["x", "y"]}\n'
    b'{"action_name": "impression", "query_id": "q%d", "timestamp": 1767225600000,'
    b' "event_attributes": {"object": {"object_id": "x"}, "position": {"ordinal": 0}}}\n'
    b'{"action_name": "click", "query_id": "q%d", "timestamp": "2026-01-01 00:00",'
    b' "event_attributes": {"object": {"object_id": "x"}}}\n' % (i, i, i)
    for i in range(3)
)
ULTRA = {
    ".feature": b"d0 1:0.5 3:1\nd1 2:1\nd2\nd0 1:2\n",
    ".init_list": b"q1 1 0 -1\nq2 3 2\nq3 0 1\n",
    ".labels": b"q1 1 0 0\nq2 1 0\nq3 0 0\n",
}


def _parquet() -> bytes:
    out = io.BytesIO()
    pl.read_csv(CSV).write_parquet(out)
    return out.getvalue()


def rich(path: Path) -> Iterator[Chunk]:
    """A table of pages with features, feedback and titles."""
    columns = Columns(page="id", query="q", document="docs", position="ranks", click="clicks",
                      document_title="title")  # fmt: skip
    mapping = Mapping(
        layout="page", columns=columns, features={"price": "price"}, feedback={"cart": "cart"}
    )
    return table.read(path, mapping=mapping)


def python_lists(path: Path) -> Iterator[Chunk]:
    """A table of pages with Python lists and without a header."""
    columns = Columns(session=0, query=1, document=2, click=3)
    options = Options(header=False, list_position=True)
    mapping = Mapping(layout="page", delimiter="\t", columns=columns, options=options)
    return table.read(path, mapping=mapping)


FAMILY: dict[str, Member] = {
    "baidu": Member(baidu.read, BAIDU),
    "yandex": Member(yandex.read, YANDEX, is_joined=True),
    "ubi": Member(ubi.read, UBI),
    "csv": Member(table.read, CSV),
    "quoted csv": Member(table.read, QUOTED),
    "clean quotes": Member(table.read, CLEAN_QUOTES),
    "json impressions": Member(table.read, IMPRESSIONS),
    "json pages": Member(table.read, PAGES),
    "json with features": Member(rich, RICH),
    "python lists": Member(python_lists, PYTHON),
    "parquet": Member(table.read, _parquet()),
    "ultra lists": Member(ultra.read, ULTRA[".init_list"], beside(".init_list")),
    "ultra labels": Member(ultra.read, ULTRA[".labels"], beside(".labels")),
    "ultra features": Member(ultra.read, ULTRA[".feature"], beside(".feature")),
}

PIECES = [b"\t", b"\n", b",", b'"', b"[", b"]", b"{", b"}", b"-1", b"0", b"\x00", b"\xff", b"nan",
          b"1e999", b"\r", b"\r\n", b"\xef\xbb\xbf", b"'", b"9" * 30, b" ", b"null", b"\\ud800",
          b'""', b":", b"1.0", b"\xc3\x28"]  # fmt: skip
"""What mutations put in: what means something to one of the formats, or to none."""


def mutated(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    """Data with each edit: where (a share of its length), how much goes, and what comes."""
    out = bytearray(data)
    for where, length, piece in edits:
        at = round(where * len(out))
        out[at : at + length] = piece
    return bytes(out)


def check(member: Member, path: Path) -> None:
    """What every reader owes, whatever bytes come.

    Raises:
        DataError: what a reader may raise.
        AssertionError: a line unaccounted for, or a page that is none.
    """
    chunks = list(member.read(path))
    # A JSON array may stand on one line: its elements count.
    is_array = member.read is ubi.read and raw.head(path).lstrip()[:1] == b"["
    if not raw.is_parquet(path) and not is_array:
        told = sum(block.data.count(b"\n") for block in raw.blocks(path))
        assert sum(c.lines for c in chunks) == told
    for chunk in chunks:  # the chunk itself checks that its lines add up
        pages, length = chunk.pages, chunk.pages["doc_key"].list.len()
        for name in ("position", "click"):
            assert (pages[name].list.len() == length).all()
        for name in ("log_features", "dwell_s"):
            assert (pages[name].drop_nulls().list.len() == length.filter(pages[name].is_not_null())).all()  # noqa: E501  # fmt: skip
        assert (pages["position"].list.min() >= 1).all()
        assert (pages["position"].list.n_unique() == length).all()
        assert set(pages["click"].explode(empty_as_null=False).unique()) <= {0, 1}
        assert pages["query_key"].null_count() == 0
        assert chunk.rejects["reason"].null_count() == 0
    numbers = [n for c in chunks for n in c.rejects["line"]]
    assert len(set(numbers)) == len(numbers)


def said(member: Member, path: Path) -> dict[str, list[str]] | str:
    """All that a reader says of a file, whatever its chunks: in an order; or the rule it breaks."""
    try:
        chunks = list(member.read(path))
    except DataError as error:
        return error.rule
    later = ["click", "state"] if member.is_joined else []
    frames: dict[str, list[pl.DataFrame]] = {"pages": [], "events": [], "rejects": [], "texts": []}
    for chunk in chunks:
        frames["pages"].append(chunk.pages)
        frames["rejects"].append(chunk.rejects)
        if chunk.events is not None:
            frames["events"].append(chunk.events)
        if chunk.documents is not None:
            text = pl.col("title", "text").str.replace_all(
                chunk.separator.decode(), " ", literal=True
            )
            frames["texts"].append(chunk.documents.with_columns(text).unique())
    told = {
        name: sorted({repr(row) for f in parts for row in f.drop(later, strict=False).rows()})
        for name, parts in frames.items()
    }
    counters = (
        ("lines", "ignored") if member.is_joined else ("lines", "used", "repeated", "ignored")
    )
    counts = {c: sum(getattr(chunk, c) for chunk in chunks) for c in counters}
    return told | {"counts": [repr(counts)]}
