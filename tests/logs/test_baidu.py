"""The Baidu-ULTR reader: typed columns, whole pages or none, and two ways to parse that agree."""

from __future__ import annotations

import gzip

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ultr.logs import baidu, raw
from ultr.logs.baidu_columns import NUMBERS
from ultr.logs.baidu_lines import NO_DOCUMENT, NO_HEADER, TWICE, WIDTH

HEADER = b"77\t5\x019\t-"
MD5 = b"0123456789abcdef0123456789abcdef"
WEIRD = [b"+5", b"5.", b".5", b"1e3", b" 5", b"0x1", b"nan", b"inf", b"-inf", b"1_0", b"",
         b"-0", b"007", b"9" * 30, b"1,5", b'"1"', b"\xff", b"true", b"- ", b"--", b"3.0",
         b"\x00", b"\x01", b"5\x016"]  # fmt: skip


def document(position, click=0, **columns):
    """A line of 32 columns; `c3=b"…"` sets column 3."""
    line = [b"-"] * 32
    line[0], line[1], line[5] = b"%d" % position, MD5, b"%d" % click
    line[2], line[3] = b"1\x012", b"4\x015\x016"
    for name, value in columns.items():
        line[int(name[1:])] = value
    return b"\t".join(line)


@pytest.fixture
def read(tmp_path):
    def run(*lines, end=b"\n"):
        path = tmp_path / "part"
        path.write_bytes(b"\n".join(lines) + end)
        return list(baidu.read(path))

    return run


def rejected(chunks):
    return [(r["line"], r["reason"]) for c in chunks for r in c.rejects.iter_rows(named=True)]


def documents_of(chunk):
    """As ingest writes them: a space for every separator of title and text, not of the key."""
    separator = chunk.separator.decode()
    spaced = pl.col("title", "text").str.replace_all(separator, " ", literal=True)
    return chunk.documents.with_columns(spaced).rows()


def told(chunks):
    """All that a reader says, chunk borders aside."""
    pages = [repr(row) for c in chunks for row in c.pages.rows()]
    documents = [row for c in chunks for row in documents_of(c)]
    rejects = [row for c in chunks for row in c.rejects.rows()]
    return pages, documents, rejects, [sum(getattr(c, n) for c in chunks) for n in
                                       ("lines", "used", "ignored", "repeated")]  # fmt: skip


def test_a_page_with_all_columns(read):
    values = {f"c{i}": b"%d" % i for i in NUMBERS if i != 5}
    (chunk,) = read(HEADER, document(1, 1, c4=b"23", **values), document(3))
    (page,) = chunk.pages.iter_rows(named=True)
    assert (page["query_key"], page["query_text"], page["reformulation"]) == ("5 9", "5 9", None)
    assert (page["position"], page["click"], page["doc_key"]) == (
        [1, 3],
        [1, 0],
        [MD5.decode()] * 2,
    )
    for column, name in NUMBERS.items():
        assert page[name] == ([1, 0] if column == 5 else [column, None])
    assert (page["media_type"], page["abstract_length"]) == (["23", None], [3, 3])
    assert (page["ordinal"], page["weight"], chunk.used) == (1, 1.0, 3)
    assert documents_of(chunk) == [(MD5.decode(), "1 2", "4 5 6")] * 2


def test_the_query_is_its_tokens_and_may_be_rewritten(read):
    (chunk,) = read(b"77\t5\t6\x017", document(1), b"77\t8\t-", document(1))
    assert chunk.pages["query_key"].to_list() == ["5", "8"]
    assert chunk.pages["reformulation"].to_list() == ["6 7", None]


def test_what_is_missing_is_null(read):
    (chunk,) = read(HEADER, document(1, c2=b"-", c3=b"-", c9=b""), document(2, c3=b""))
    assert chunk.pages["abstract_length"].to_list() == [[None, None]]
    assert chunk.pages["height_px"].to_list() == [[None, None]]
    assert [(title, text) for _, title, text in documents_of(chunk)] == [
        (None, None),
        ("1 2", None),
    ]


def test_missing_documents_and_widgets_were_shown_too(read):
    widget = b"3742\x0111492\x0112169\x015061\x0116905"
    (chunk,) = read(HEADER, document(1, c2=b"21429", c3=b"-"), document(2, c2=widget))
    assert chunk.pages["position"].to_list() == [[1, 2]]


def test_documents_are_put_in_order(read):
    (chunk,) = read(HEADER, document(2, 1, c9=b"20"), document(1, c9=b"10"), HEADER, document(1))
    assert chunk.pages["position"].to_list() == [[1, 2], [1]]
    assert chunk.pages["click"].to_list() == [[0, 1], [0]]
    assert chunk.pages["height_px"].to_list() == [[10, 20], [None]]
    assert not chunk.rejects.height


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (document(2) + b"\t-", WIDTH),
        (document(2).rpartition(b"\t")[0], WIDTH),
        (b"7", WIDTH),
        (document(0), "position is no number from 1"),
        (document(-3), "position is no number from 1"),
        (document(2, c0=b"1.5"), "position is no number from 1"),
        (document(2, c0=b"99999"), "position is no number from 1"),
        (document(1), TWICE),
        (document(2, 2), "click is neither 0 nor 1"),
        (document(2, c5=b"-"), "click is neither 0 nor 1"),
        (document(2, c5=b"yes"), "click is no number that the column takes"),
        (document(2, c1=b""), "document is missing"),
        (document(2, c16=b"nan"), "dwell_s is not finite"),
        (document(2, c18=b"inf"), "top_px is not finite"),
        (document(2, c25=b"1.5"), "click_count is no number that the column takes"),
        (document(2, c9=b"tall"), "height_px is no number that the column takes"),
        (document(2, c2=b"\xff"), "not UTF-8"),
    ],
)  # fmt: skip
def test_a_bad_document_line_rejects_its_whole_page(read, line, reason):
    good = [HEADER, document(1)]
    (chunk,) = read(*good, HEADER, document(1), line, document(3), *good)
    assert chunk.pages.height == 2
    assert rejected([chunk]) == [(n, reason) for n in (3, 4, 5, 6)]
    assert chunk.rejects["text"][0].encode() == HEADER.replace(b"\x01", b" ")


def test_the_first_reason_is_the_page_s(read):
    (chunk,) = read(HEADER, document(1, c9=b"x"), document(2, 7), document(2))
    assert {r for _, r in rejected([chunk])} == {"height_px is no number that the column takes"}


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([document(1), b"junk", HEADER, document(1)], [(1, NO_HEADER), (2, NO_HEADER)]),
        ([HEADER, HEADER, document(1)], [(1, NO_DOCUMENT)]),
        ([HEADER, document(1), HEADER], [(3, NO_DOCUMENT)]),
        ([b"7\t\t-", document(1), HEADER, document(1)], [(1, "no query"), (2, "no query")]),
        ([b"\t\t", document(1), HEADER, document(1)], [(1, "no query"), (2, "no query")]),
        ([b"7\t\xff\t-", document(1), HEADER, document(1)], [(1, "not UTF-8"), (2, "not UTF-8")]),
    ],
)  # fmt: skip
def test_headers_that_open_no_page(read, lines, expected):
    (chunk,) = read(*lines)
    assert (chunk.pages.height, rejected([chunk])) == (1, expected)


@pytest.mark.parametrize("block_bytes", [1, 100, 1 << 20])
@pytest.mark.parametrize("line", [b"\t\t", b"\t" * 31, b"\t", b"", b" "])
def test_lines_without_a_letter_are_the_same_wherever_blocks_end(
    read, monkeypatch, line, block_bytes
):
    monkeypatch.setattr(raw, "BLOCK_BYTES", block_bytes)
    chunks = read(HEADER, document(1), line, *(document(k) for k in (2, 3)), HEADER, document(1))
    reasons = {b"\t\t": {"no query"}, b"\t" * 31: {"document is missing"}, b"\t": {WIDTH}}
    assert {r for _, r in rejected(chunks)} == reasons.get(line, set())


def test_blank_lines_and_line_ends_of_windows(read):
    (chunk,) = read(HEADER, b"", document(1), b"  ", document(2), end=b"")
    assert (chunk.pages["position"].to_list(), chunk.ignored) == ([[1, 2]], 2)
    (chunk,) = read(HEADER, document(1), HEADER, document(1), end=b"\r\n")
    assert (chunk.pages.height, chunk.rejects.height) == (2, 0)
    (chunk,) = read(HEADER + b"\r", document(1, c31=b"-\r"), end=b"\r\n")
    assert chunk.pages["reformulation"].to_list() == [None]


def log(pages):
    return b"".join(
        b"".join(
            line + b"\n"
            for line in [
                b"7\t%d\x01%d\t-" % (n % 3, n),
                *(document(p, (n + p) % 2, c16=b"%d" % n) for p in range(1, 2 + n % 4)),
            ]
        )
        for n in range(pages)
    )


@pytest.mark.parametrize("column", [0, 1, 2, 3, 4, 5, 13, 16, 23, 31])
def test_odd_values_are_read_alike_both_ways(tmp_path, monkeypatch, column):
    path = tmp_path / "part"
    for value in WEIRD:
        path.write_bytes(log(4) + HEADER + b"\n" + document(1, **{f"c{column}": value}) + b"\n")
        quick = told(baidu.read(path))
        with monkeypatch.context() as patch:
            patch.setattr(baidu, "_clean", lambda _block: None)
            assert told(baidu.read(path)) == quick


EDIT = st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from([b"\t", b"\n", b"-", *WEIRD]))


@settings(max_examples=60, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(edits=st.lists(EDIT, max_size=2), size=st.sampled_from([700, 1 << 20]))
def test_line_by_line_gives_what_the_quick_way_gives(tmp_path, edits, size):
    data = bytearray(log(9))
    for where, length, piece in edits:
        at = round(where * len(data))
        data[at : at + length] = piece
    path = tmp_path / "part"
    path.write_bytes(bytes(data))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "BLOCK_BYTES", size)
        quick = told(baidu.read(path))
        patch.setattr(baidu, "_clean", lambda _block: None)
        assert told(baidu.read(path)) == quick


def test_the_quick_way_is_taken(tmp_path, monkeypatch):
    path = tmp_path / "part.gz"
    path.write_bytes(gzip.compress(log(30)))
    monkeypatch.setattr(baidu, "checked", lambda _block: pytest.fail("nothing is odd here"))
    (chunk,) = baidu.read(path)
    assert chunk.pages.height == 30
