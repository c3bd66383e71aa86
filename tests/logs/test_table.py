"""The table reader: any columns, any text format, and a bad row rejects its page."""

from __future__ import annotations

import json

import polars as pl
import pytest

from ultr.errors import DataError, UsageError
from ultr.logs import parquet, raw, table
from ultr.logs.mapping import Columns, Constants, Mapping, Options, read_mapping

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


def whole(chunks):
    return sorted(r for c in chunks for r in c.pages.select("ordinal", "doc_key", "click").rows())


@pytest.mark.parametrize("kind", ["csv", "quoted", "json", "parquet"])
def test_pages_spread_over_a_large_file_are_whole(tmp_path, monkeypatch, kind):
    pages, places = 50, (1, 2, 3)
    names = HEADER.split(",")
    cells = [(f"s{s}", "a,b" if kind == "quoted" else "q", f"d{s}", p, p % 2)
             for p in places for s in range(pages)]  # fmt: skip
    cells.append(("s7", "a,b" if kind == "quoted" else "q", "x", 3, 0))  # a bad row, far away
    path = tmp_path / "log"
    frame = pl.DataFrame(cells, schema=names, orient="row")
    match kind:
        case "json":
            frame.write_ndjson(path)
        case "parquet":
            frame.write_parquet(path)
        case _:
            frame.write_csv(path)
    once = list(table.read(path))
    monkeypatch.setattr(raw, "BLOCK_BYTES", 300)
    monkeypatch.setattr(parquet, "BLOCK_ROWS", 16)
    chunks = list(table.read(path))
    assert len(once) == 1
    assert len(chunks) > 1
    assert whole(chunks) == whole(once)
    assert sum(c.pages.height for c in chunks) == pages - 1
    header = kind in ("csv", "quoted")
    assert sum(c.lines for c in chunks) == 3 * pages + 1 + header
    assert sum(c.ignored for c in chunks) == header
    assert sorted(n for c in chunks for n in c.rejects["line"]) == sorted(once[0].rejects["line"])
    assert sum(c.rejects.height for c in chunks) == 4


def test_a_key_that_json_leaves_out_is_null(tmp_path, monkeypatch):
    lines = [
        {"session_id": f"s{i}", "query_id": "q", "doc_id": "d", "position": 1, "click": 0}
        | ({"device": "phone"} if i == 0 else {})
        for i in range(20)
    ]
    (tmp_path / "log").write_text("".join(json.dumps(x) + "\n" for x in lines))
    monkeypatch.setattr(raw, "BLOCK_BYTES", 200)
    pages = pl.concat([c.pages for c in table.read(tmp_path / "log")]).sort("ordinal")
    assert pages["device"].to_list() == ["phone", *[None] * 19]


def test_lines_of_a_quoted_cell_and_of_an_open_quote_are_counted(read):
    good = f'{HEADER}\ns1,"a\nb",x,1,0\n'
    chunk = read(good + 's2,"open,x,1,0\ns3,q,x,1,0\n')
    assert (chunk.lines, chunk.used, chunk.ignored) == (5, 2, 1)
    assert chunk.rejects["line"].to_list() == [4, 5]


def test_a_stray_quote_does_not_swallow_the_file(tmp_path, monkeypatch):
    rows = "".join(f"s{i},q,d,1,0\n" for i in range(200))
    (tmp_path / "log").write_text(f'{HEADER}\n{rows}s,q,5"" tv,1,0\ns,q,5" tv,2,0\n{rows}')
    monkeypatch.setattr(raw, "BLOCK_BYTES", 100)
    chunks = list(table.read(tmp_path / "log"))
    assert sum(c.lines for c in chunks) == 403
    assert sum(c.rejects.height for c in chunks) == 400  # each page came twice, but for s
    assert sum(c.pages.height for c in chunks) == 1


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize("bad", [b"s1,q1,\xff,2,1", b"s1,q1,b", b"s1,q1,b,2,1,9"])
def test_an_unreadable_row_rejects_the_page_it_names(read, quote, bad):
    first = f"s1,q1,{quote}a{quote},1,0".encode()
    chunk = read(b"\n".join([HEADER.encode(), first, bad, *(r.encode() for r in ROWS[2:])]))
    assert rows(chunk) == [EXPECTED[1]]
    assert chunk.rejects["line"].to_list() == [2, 3]


def test_a_byte_order_mark_is_no_part_of_the_first_name(read):
    assert rows(read(b"\xef\xbb\xbf" + "\n".join([HEADER, *ROWS]).encode())) == EXPECTED


def test_columns_named_as_ours_need_no_mapping(read):
    names = "page_id,query_id,doc_id,position,click,shown_at,device,weight"
    chunk = read(f"{names}\np,q,a,1,0,2026-01-02,tv,2\np,q,b,2,1,2026-01-02,tv,2\n")
    assert rows(chunk) == [("q", ["a", "b"], [1, 2], [0, 1])]
    page = chunk.pages.row(0, named=True)
    assert (page["device"], page["weight"], page["shown_at"].day) == ("tv", 2.0, 2)


def test_users_columns_may_have_any_name(read):
    mapping = '[columns]\nquery="text"\ndocument="line"\nposition="field"\nclick="reason"\n'
    assert rows(read("text,line,field,reason\nq,a,1,1\n", mapping)) == [("q", ["a"], [1], [1])]


def test_rows_without_a_session_cannot_make_a_page(read):
    chunk = read(f"{HEADER}\n,q,a,1,0\n,q,b,2,1\n{ROWS[0]}\n{ROWS[1]}\n")
    assert rows(chunk) == [EXPECTED[0]]
    assert chunk.rejects["reason"].to_list() == ["no session"] * 2


NAMED = "".join(f'{n}="{n}"\n' for n in ("query", "document", "position", "click"))


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-01-01T12:00:00Z", 12),
        ("2026-01-01 12:00:00.25+00:00", 12),
        ("2026-01-01T12:00:00+02:00", 10),
        ("2026-01-01 12:00:00", 12),
        ("2026-01-01 12:00:00 UTC", 12),
        ("2026-01-01", 0),
        ("", None),
        ("yesterday", "bad"),
        ("1700000000", "bad"),
    ],
)
def test_times(read, text, hour):
    mapping = f'[columns]\ntime="t"\n{NAMED}'
    other = "q,a,1,0,2026-01-01T00:00:00-01:00"
    chunk = read(f"query,document,position,click,t\n{other}\nq,a,1,0,{text}\n", mapping)
    if hour == "bad":
        assert chunk.rejects["reason"].to_list() == ["time cannot be read as iso"]
    else:
        shown = chunk.pages["shown_at"][1]
        assert shown is None if hour is None else shown.hour == hour


@pytest.mark.parametrize("column", ["weight", "dwell_s", "height_px"])
@pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e400", "x"])
def test_numbers_are_finite_and_not_negative(read, column, value):
    mapping = f'[columns]\n{column}="v"\n{NAMED}'
    chunk = read(f"query,document,position,click,v\nq,a,1,0,{value}\nq,a,1,0,2\n", mapping)
    assert chunk.rejects["reason"].to_list() == [f"{column} is not a number from 0"]
    assert chunk.pages.height == 1


def test_what_means_a_click_can_be_said(read):
    mapping = f'[columns]\n{NAMED}\n[options]\nclick_true=["buy", "open"]\n'
    chunk = read("query,document,position,click\nq,a,1,buy\nq,a,1,skip\nq,a,1,open\n", mapping)
    assert chunk.pages["click"].to_list() == [[1], [0], [1]]


def test_long_text_of_a_reject_is_cut_at_a_kibibyte(read):
    for letter in ("a", "€", "𝄞"):
        text = read(f"{HEADER}\n{letter * 5000}\n").rejects["text"][0]
        assert len(text) >= (1024 if letter == "a" else 256)
        assert len(text.encode()) <= 1024
        assert set(text) == {letter}


def test_open_bandit(real_data):
    """A real log of a recommender: each row is an impression of its own."""
    columns = Columns(document="item_id", position="position", click="click", time="timestamp")
    mapping = Mapping(columns=columns, constants=Constants(query="all"))
    (chunk,) = table.read(real_data / "open_bandit" / "random_men.csv", mapping=mapping)
    assert (chunk.pages.height, chunk.rejects.height, chunk.ignored) == (1000, 0, 1)
    assert set(chunk.pages["position"].list.first()) == {1, 2, 3}
    assert chunk.pages["shown_at"].null_count() == 0


def test_trec_2014(real_data):
    """Pages with Python lists and without a header."""
    columns = Columns(session=0, query=1, document=2, media_type=3, click=4)
    mapping = Mapping(
        layout="page",
        delimiter="\t",
        columns=columns,
        options=Options(header=False, list_position=True),
    )
    (chunk,) = table.read(real_data / "trec2014" / "sessions.txt", mapping=mapping)
    assert (chunk.pages.height, chunk.rejects.height) == (363, 0)
    assert chunk.pages["position"].to_list() == [list(range(1, 11))] * 363


def test_a_row_without_a_query_is_told_as_such_and_takes_its_page(read):
    chunk = read(f"page_id,{HEADER}\np,s1,q1,a,1,0\np,s1,,b,2,1\nr,s1,q2,a,1,0\n")
    assert [q for q, *_ in rows(chunk)] == ["q2"]
    assert chunk.rejects["reason"].to_list() == ["no query", "no query"]


@pytest.mark.parametrize("value", [{"id": 1}, [1, 2], [{"id": 1}]])
@pytest.mark.parametrize("column", ["doc_id", "query_id", "session_id"])
def test_a_nested_column_is_no_key(read, value, column):
    row = {"session_id": "s", "query_id": "q", "doc_id": "d", "position": 1, "click": 0}
    with pytest.raises(DataError, match="text, numbers or lists of them"):
        read(json.dumps(row | {column: value}), MAPPED)


MAPPED = """
    [columns]
    session = "session_id"
    query = "query_id"
    document = "doc_id"
    position = "position"
    click = "click"
"""


def test_numbers_in_lists_keep_what_stands_behind_the_point(read):
    """One list of whole numbers does not make those of the other pages whole."""
    row = {"page_id": "a", "query_id": "q", "doc_id": ["d", "e"], "position": [1, 2],
           "click": [0, 1]}  # fmt: skip
    lines = [row | {"dwell_s": [1, 2]}, row | {"page_id": "b", "dwell_s": [1.5, 2.5]}, "odd"]
    chunk = read("".join(json.dumps(line) + "\n" for line in lines))
    assert chunk.pages["dwell_s"].to_list() == [[1, 2], [1.5, 2.5]]


def test_keys_are_written_in_one_way_whatever_else_the_column_holds(read):
    row = {"session_id": "s", "doc_id": "d", "position": 1, "click": 0}
    keys = [1, 1.5, True, "x"]
    lines = [row | {"session_id": f"s{i}", "query_id": key} for i, key in enumerate(keys)]
    chunk = read("".join(json.dumps(line) + "\n" for line in lines))
    assert chunk.pages["query_key"].to_list() == ["1", "1.5", "true", "x"]


@pytest.mark.parametrize("mapping", [None, 'time = "shown_at"'])
def test_a_key_of_json_that_comes_after_the_head_is_not_lost(tmp_path, monkeypatch, mapping):
    monkeypatch.setattr(raw, "HEAD_BYTES", 300)
    row = {"session_id": "s", "query_id": "q", "doc_id": "d", "position": 1, "click": 0}
    lines = [row | {"session_id": f"s{i}"} for i in range(9)]
    lines[8]["shown_at"] = "2026-01-01"
    (tmp_path / "log").write_text("".join(json.dumps(x) + "\n" for x in lines))
    if mapping is None:
        with pytest.raises(DataError, match="shown_at first comes after them"):
            list(table.read(tmp_path / "log"))
        return
    (tmp_path / "map.toml").write_text(f"{MAPPED}{mapping}")
    (chunk,) = table.read(tmp_path / "log", mapping=read_mapping(tmp_path / "map.toml"))
    assert chunk.pages["shown_at"].null_count() == 8
    (tmp_path / "map.toml").write_text(f'{MAPPED}{mapping}\ndevice = "device"')
    with pytest.raises(DataError, match="has no device"):
        list(table.read(tmp_path / "log", mapping=read_mapping(tmp_path / "map.toml")))


def test_a_quote_that_opens_in_one_block_closes_in_another(tmp_path, monkeypatch):
    """An inch sign is a letter; a cell that begins with a quote goes on over lines."""
    rows = 's1,tv 5",a,1,0\ns2,"red\n""big""\nshoes",b,1,1\n'
    (tmp_path / "log").write_text(f"{HEADER}\n{rows}")
    whole = [c.pages.rows() for c in table.read(tmp_path / "log")]
    monkeypatch.setattr(raw, "BLOCK_BYTES", 1)
    pages = pl.concat(c.pages for c in table.read(tmp_path / "log"))
    assert sorted(pages["query_key"]) == ['red\n"big"\nshoes', 'tv 5"']
    assert sorted(map(repr, pages.rows())) == sorted(map(repr, whole[0]))
