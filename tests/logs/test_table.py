"""The table reader: any columns, any text format, and a bad row rejects its page."""

from __future__ import annotations

import json

import polars as pl
import pytest

from ultr.errors import DataError, UsageError
from ultr.logs import table
from ultr.logs.mapping import read_mapping

HEADER = "session_id,query_id,doc_id,position,click"
ROWS = ["s1,q1,a,1,0", "s1,q1,b,2,1", "s2,q2,c,2,0", "s2,q2,a,1,1"]


@pytest.fixture
def read(tmp_path):
    def run(content, mapping=None, name="log.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        chosen = None
        if mapping is not None:
            (tmp_path / "map.toml").write_text(mapping)
            chosen = read_mapping(tmp_path / "map.toml")
        (chunk,) = table.read(path, mapping=chosen)
        return chunk

    return run


def rows(chunk):
    return chunk.pages.select("query_key", "doc_key", "position", "click").rows()


EXPECTED = [("q1", ["a", "b"], [1, 2], [0, 1]), ("q2", ["a", "c"], [1, 2], [1, 0])]


def test_csv_in_any_row_order_is_read_by_position(read):
    chunk = read("\n".join([HEADER, *ROWS]))
    assert rows(chunk) == EXPECTED
    assert (chunk.lines, chunk.used, chunk.ignored) == (5, 4, 1)
    assert chunk.pages["ordinal"].to_list() == [2, 4]


def test_rows_of_a_page_need_not_be_adjacent(read):
    chunk = read("\n".join([HEADER, ROWS[0], ROWS[2], ROWS[1], ROWS[3]]))
    assert sorted(rows(chunk)) == EXPECTED


def test_quoted_csv_json_lines_and_parquet_say_the_same(read, tmp_path):
    names = HEADER.split(",")
    quoted = "\n".join(",".join(f'"{v}"' for v in row.split(",")) for row in [HEADER, *ROWS])
    lines = "\n".join(json.dumps(dict(zip(names, r.split(","), strict=True))) for r in ROWS)
    frame = pl.read_csv("\n".join([HEADER, *ROWS]).encode())
    frame.write_parquet(tmp_path / "x.parquet")
    for content in (quoted, lines, (tmp_path / "x.parquet").read_bytes()):
        assert rows(read(content)) == EXPECTED


def test_a_quoted_cell_may_hold_the_delimiter_and_a_line_break(read):
    content = f'{HEADER}\ns1,"red, ""big""\nshoes",a,1,0\ns2,q2,b,1,1\n'
    chunk = read(content)
    assert [q for q, *_ in rows(chunk)] == ['red, "big"\nshoes', "q2"]
    assert chunk.pages["ordinal"].to_list() == [2, 4]


def test_pages_with_lists(read):
    names = ["session_id", "query_id", "doc_id", "position", "click"]
    row = dict(zip(names, ["s", "q1", ["a", "b"], [1, 2], [0, 1]], strict=True))
    assert rows(read(json.dumps(row))) == [EXPECTED[0]]


def test_python_lists_without_header_are_parsed_and_never_run(read):
    mapping = """
        layout = "page"
        delimiter = "\\t"
        [columns]
        session = 0
        query = 1
        document = 2
        click = 3
        [options]
        header = false
        list_position = true
    """
    bad = "9\tq9\t__import__('os').getcwd()\t[0]"
    chunk = read(f"8\tq1\t['a', 'b']\t[0, 1]\n{bad}\n", mapping)
    assert rows(chunk) == [EXPECTED[0]]
    assert chunk.rejects["reason"].to_list() == ["cell that is no list"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("s1,q1,b,0,1", "position is not"),
        ("s1,q1,b,-2,1", "position is not"),
        ("s1,q1,b,1.5,1", "position is not"),
        ("s1,q1,b,nan,1", "position is not"),
        ("s1,q1,b,1,1", "position used twice"),
        ("s1,q1,b,2,2", "click is neither"),
        ("s1,q1,b,2,", "click is neither"),
        ("s1,q1,,2,1", "no document"),
    ],
)
def test_a_bad_row_rejects_its_whole_page(read, row, reason):
    chunk = read("\n".join([HEADER, ROWS[0], row, *ROWS[2:]]))
    assert rows(chunk) == [EXPECTED[1]]
    assert chunk.rejects["line"].to_list() == [2, 3]
    assert all(reason in r for r in chunk.rejects["reason"])


def test_a_torn_row_is_rejected(read):
    chunk = read("\n".join([HEADER, *ROWS, "s3,q1"]))
    assert rows(chunk) == EXPECTED
    assert chunk.rejects["text"].to_list() == ["s3,q1"]


def test_positions_from_zero_constants_weights_and_times(read):
    mapping = """
        [columns]
        document = "item"
        position = "slot"
        click = "clicked"
        session = "visit"
        time = "ts"
        weight = "w"
        dwell_s = "dwell"
        [constants]
        query = "all"
        [options]
        position_base = 0
        time_unit = "ms"
    """
    content = (
        "visit,item,slot,clicked,ts,w,dwell\nv,a,0,true,86400000,2.5,3\nv,b,1,false,86400000,2.5,\n"
    )
    chunk = read(content, mapping)
    assert rows(chunk) == [("all", ["a", "b"], [1, 2], [1, 0])]
    assert chunk.pages["weight"].to_list() == [2.5]
    assert chunk.pages["shown_at"].dt.strftime("%Y-%m-%d").to_list() == ["1970-01-02"]
    assert chunk.pages["dwell_s"].to_list() == [[3.0, None]]


def test_a_missing_column_lists_those_there_are(read):
    with pytest.raises(DataError, match="has no click") as error:
        read("session_id,query_id,doc_id,position\ns,q,a,1\n")
    assert "session_id, query_id, doc_id, position" in str(error.value)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ('[columns]\nquery = "q"\n', "nothing for document, click, position"),
        ('[columns]\nqery = "q"\n', "did you mean 'query'"),
        ('delimiter = "::"\n[columns]\nquery=0\ndocument=1\nposition=2\nclick=3\n', "one letter"),
        ("not toml", "must be TOML"),
    ],
)
def test_a_mapping_that_cannot_be(read, mapping, message):
    with pytest.raises(UsageError, match=message):
        read("a,b\n", mapping)
