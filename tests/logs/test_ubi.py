"""The UBI reader: every form of file gives the same events, and every line is accounted for."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime

import polars as pl
import pyarrow as pa
import pytest

import ultr
from ultr.errors import DataError, UsageError
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.lists import ListsConfig, build_lists
from ultr.logs import raw, ubi, ubi_rows
from ultr.logs.moments import moments

AT = "2026-01-02T03:04:05.678Z"


def query(name="q1", text="red shoes", **more):
    return {"query_id": name, "user_query": text, "client_id": "c1", "timestamp": AT,
            "application": "shop", **more}  # fmt: skip


def event(action, doc="d1", rank=0, **more):
    attributes = {"object": {"object_id": doc, "object_id_field": "sku"}} if doc else {}
    attributes |= {} if rank is None else {"position": {"ordinal": rank}}
    return {"action_name": action, "query_id": "q1", "client_id": "c1", "timestamp": AT,
            "event_attributes": attributes, **more}  # fmt: skip


@pytest.fixture
def read(tmp_path):
    def run(*records, **settings):
        path = tmp_path / "log"
        lines = [r if isinstance(r, str) else json.dumps(r) for r in records]
        path.write_text("".join(line + "\n" for line in lines))
        (chunk,) = ubi.read(path, **settings)
        return chunk

    return run


def told(chunk, *columns):
    return chunk.events.select(columns).rows()


def test_queries_and_events(read):
    chunk = read(
        query(query_response_hit_ids=["d1", 7]),
        event("impression", rank="2", session_id="s", user_id="u"),
        event("Item_Click", rank=None),
        event("purchase"),
    )
    assert told(chunk, "line", "kind", "action", "doc_key", "log_position") == [
        (1, "query", "query", None, None),
        (2, "impression", "impression", "d1", 2),
        (3, "click", "Item_Click", "d1", None),
        (4, "action", "purchase", "d1", 0),
    ]
    first, second = chunk.events.rows(named=True)[:2]
    assert (first["query_key"], first["hit_doc_key"]) == ("red shoes", ["d1", "7"])
    assert first["at"] == datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
    assert (second["session_id"], second["user_id"], second["page_id"]) == ("s", "u", "q1")
    assert (chunk.lines, chunk.used, chunk.ignored, chunk.rejects.height) == (4, 4, 0, 0)


def test_the_older_name_of_the_hits(read):
    chunk = read(query(query_response_objects_ids=["a"]), query(query_response_hit_ids=None))
    assert chunk.events["hit_doc_key"].to_list() == [["a"], None]


def test_what_is_not_about_a_document_is_ignored(read):
    chunk = read(
        query(),
        '{"index": {"_index": "ubi_events"}}',
        event("search", doc=None),
        event("logout") | {"event_attributes": None},
        event("scroll") | {"event_attributes": "deep", "timestamp": "?"},
        "",
        "{not JSON",
    )
    assert (chunk.used, chunk.ignored, chunk.rejects["line"].to_list()) == (1, 5, [7])


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("junk", "not JSON"),
        ("{}", "neither a query nor an event"),
        ("[1]", "neither a query nor an event"),
        (query(text=""), "no query"),
        (query(name=None, client_id=None), "no query_id and no client_id"),
        (query(timestamp="soon"), "timestamp"),
        (query(timestamp=10**30), "timestamp"),
        (query(query_response_hit_ids="d1 d2"), "no list"),
        (event("click", doc=None), "click without a document"),
        (event("click", query_id=None, client_id=""), "no query_id and no client_id"),
        (event("impression", doc=None, query_id=None), "impression without a document"),
        (event("impression", rank="first", query_id=None), "position is not"),
    ],
)
def test_bad_lines_are_rejected_with_their_reason(read, line, reason):
    chunk = read(query(), line, query())
    assert chunk.used == 2
    (reject,) = chunk.rejects.iter_rows(named=True)
    assert reason in reject["reason"]
    assert reject["line"] == 2
    assert reject["text"] == (line if isinstance(line, str) else json.dumps(line))


def test_a_bad_impression_of_a_known_page_spoils_it(read):
    chunk = read(event("impression", doc=None), event("impression", rank=1.5))
    assert chunk.events["reason"].to_list() == [
        "impression without a document", "position is not a whole number",
    ]  # fmt: skip


def test_actions_can_be_named(read):
    actions = ubi.Actions(click=("buy",), impression=("seen",))
    chunk = read(event("BUY"), event("seen"), event("click"), actions=actions)
    assert chunk.events["kind"].to_list() == ["click", "impression", "action"]
    with pytest.raises(UsageError, match="not the same"):
        ubi.Actions(click=("x",), impression=("X",))


RECORDS = [
    query(query_response_hit_ids=['d"1', "d\n2"], user_query='a \\"[{],'),
    event("impression", doc="d1"),
    event("click", doc="}\\"),
    event("search", doc=None),
]


def as_array(**options):
    return json.dumps(RECORDS * 30, **options).encode()


FORMS = {
    "lines": "".join(json.dumps(r) + "\n" for r in RECORDS * 30).encode(),
    "array": as_array(),
    "pretty array": as_array(indent=2),
    "gzip": gzip.compress(as_array()),
    "zstd": pa.compress(as_array(indent=1), "zstd", asbytes=True),
    "bulk": "".join('{"create":{}}\n' + json.dumps(r) + "\n" for r in RECORDS * 30).encode(),
}


def parquet(path, **changes):
    frame = pl.DataFrame(RECORDS * 30, infer_schema_length=None).with_columns(**changes)
    frame.write_parquet(path)


def events_of(path):
    chunks = list(ubi.read(path))
    assert sum(c.rejects.height for c in chunks) == 0
    return pl.concat([c.events for c in chunks]).drop("line").rows()


@pytest.mark.parametrize("block", [700, raw.BLOCK_BYTES])
def test_every_form_of_file_gives_the_same_events(tmp_path, monkeypatch, block):
    monkeypatch.setattr(raw, "BLOCK_BYTES", block)
    found = {}
    for form, data in FORMS.items():
        (tmp_path / form).write_bytes(data)
        found[form] = events_of(tmp_path / form)
    attributes, time = pl.col("event_attributes"), pl.col("timestamp")
    parquet(tmp_path / "parquet")
    parquet(tmp_path / "parquet json", event_attributes=attributes.struct.json_encode())
    parquet(tmp_path / "parquet time", timestamp=time.str.to_datetime(time_zone="UTC"))
    for form in ("parquet", "parquet json", "parquet time"):
        found[form] = events_of(tmp_path / form)
    assert all(len(rows) == 90 for rows in found.values())
    assert all(rows == found["lines"] for rows in found.values())


def test_one_bad_line_leaves_the_others_as_they_are(read):
    lines = [*RECORDS, event("impression", rank=3.0), query(text=12), event("click", doc=4.5)]
    good, bad = read(*lines), read(*lines, "{")
    assert bad.events.equals(good.events)
    assert (bad.rejects.height, good.rejects.height) == (1, 0)


@pytest.mark.parametrize("shift", range(4))
def test_a_bad_line_of_other_letters_than_ascii(read, shift):
    """DuckDB's message quotes it, cut within a letter, which is then no text."""
    line = '{"user_query": "' + "x" * shift + "日本語é" * 40 + '" 1}'
    chunk = read(query(), line, query(query_id="q9"))
    assert chunk.used == 2
    assert chunk.rejects["text"].to_list() == [line]


ODD = [
    "{}", "[1]", "5", "null", '"text"', '{"a": NaN}', '{"query_id": "q", "query_id": "r"}',
    '{"user_query": "x", "query_response_hit_ids": "d", "query_response_objects_ids": ["e"]}',
    '{"user_query": "x", "query_response_hit_ids": null, "query_response_objects_ids": ["e", 1]}',
    '{"user_query": "x", "query_response_hit_ids": [], "query_response_objects_ids": {"e": 1}}',
    '{"user_query": "x", "query_response_objects_ids": 7}',
    '{"user_query": "x", "action_name": "", "query_response_hit_ids": {}}',
    '{"event_attributes": {"object": {"object_id": [1]}, "position": {"ordinal": "2"}}}',
    '{"event_attributes": {"object": "d", "position": {"ordinal": 3}}}',
    '{"user_query": "\\u00e9 \\n é", "index": {}} ', '{"user_query": "x"}\r',
]  # fmt: skip


def records(*lines):
    data = "".join(line + "\n" for line in lines).encode()
    with ubi_rows.parser() as connection:
        return ubi_rows.json_lines(connection, raw.Block(5, data, len(data), len(lines)))


def test_lines_are_read_alike_beside_good_and_bad_ones():
    """Where all lines are JSON they are parsed where they lie, and one by one else."""
    good = records(*ODD)
    for bad in ("", "{", '{"a" 1}', "\x00"):
        found = records(*ODD, bad)
        assert found.frame.rows() == good.frame.rows()
        assert found.texts().head(len(ODD)).rows() == good.texts().rows()
        assert (found.ignored + found.rejects.height, found.lines) == (1, good.lines + 1)
    assert good.texts()["text"].to_list() == [line.removesuffix("\r") for line in ODD]
    assert good.frame["line"].to_list() == list(range(5, 5 + len(ODD)))
    assert good.rejects.height == 0


def test_hits_are_of_the_first_name_that_tells_some():
    found = records(*ODD).frame.select("hits", "is_hit_list").rows()
    assert found[7:12] == [(None, False), (["e", "1"], True), ([], True), (None, False),
                           (None, False)]  # fmt: skip


def test_json_beyond_all_measure_is_a_reject(read, monkeypatch):
    monkeypatch.setattr(ubi_rows, "MEMORY", "40MB")
    deep = '{"query_response_hit_ids": ' + "[" * 500_000 + "]" * 500_000 + "}"
    chunk = read(query(), deep, event("click"), "", "{")
    assert chunk.events["line"].to_list() == [1, 3]
    assert chunk.rejects.select("line", "reason").rows() == [
        (2, ubi_rows.TOO_LARGE), (5, ubi_rows.NOT_JSON),
    ]  # fmt: skip
    assert chunk.ignored == 1


def test_what_stands_beside_the_objects_of_an_array(tmp_path):
    path = tmp_path / "log"
    path.write_text(f'[{json.dumps(query())}, 5, "x", null,{json.dumps(event("click"))} junk]')
    (chunk,) = ubi.read(path)
    assert (chunk.lines, chunk.used, chunk.rejects["line"].to_list()) == (6, 2, [2, 3, 4, 6])


def test_a_table_that_is_not_ubi(tmp_path):
    pl.DataFrame({"event_attributes": ["{]"], "action_name": ["click"]}).write_parquet(
        tmp_path / "x.parquet"
    )
    with pytest.raises(DataError, match="what UBI's fields do"):
        list(ubi.read(tmp_path / "x.parquet"))


def test_times():
    same = ["2026-01-02T03:04:05Z", "2026-01-02 03:04:05", "2026-01-02T05:04:05.000+02:00",
            "1767323045000", "2026-01-02T03:04:05+0000", "2026-01-02 03:04:05 UTC"]  # fmt: skip
    assert set(moments(pl.Series(same))) == {datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)}
    day = ["2026-01-02", "2026-01-02T00:00"]
    assert set(moments(pl.Series(day))) == {datetime(2026, 1, 2, tzinfo=UTC)}
    bad = ["", "soon", "2026-13-01", "9" * 30, "1e5", "0001-01-01T00:00:00Z", None]
    assert moments(pl.Series(bad)).null_count() == len(bad)


def test_the_sample_becomes_lists(real_data, tmp_path):
    """Real queries, simulated events: an action line before each document."""
    path, lake = real_data / "ubi" / "bulk_simulated.ndjson", tmp_path / "lake"
    result = ingest([path], lake=lake, config=IngestConfig(format="ubi"))
    assert (result["lines"], result["used"], result["ignored"]) == (760, 380, 380)
    assert (result["sessions"], result["impressions"], result["clicks"]) == (60, 300, 20)
    assert result["ordinal_base"] == {"esci_ubi_sample": 0}
    assert (result["pages_by_impressions"], result["pages_by_hits"]) == (60, 0)
    assert (result["rejects"], result["waiting"]) == (0, 0)
    made = build_lists(lake, config=ListsConfig(period="week"), quiet=True)
    assert (made["sessions"], made["clicks"]) == (60, 20)
    positions = ultr.open_lake(lake).read("sessions")["position"].to_pylist()
    assert positions == [[1, 2, 3, 4, 5]] * 60
