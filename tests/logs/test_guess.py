"""A proposal can be used as it is, says what is uncertain, and is right where the file is clear."""

from __future__ import annotations

import json
import tomllib

import polars as pl
import pytest

from tests.test_cli import call
from ultr.config import from_mapping
from ultr.errors import DataError
from ultr.logs import table
from ultr.logs.mapping import Mapping
from ultr.logs.propose import propose


@pytest.fixture
def guess(tmp_path):
    def run(content, name="log"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        text = propose(path)
        mapping = from_mapping(Mapping, tomllib.loads(text), where="guess")
        return mapping, text, list(table.read(path, mapping=mapping))

    return run


def rows(n=12, places=3):
    return [(s, p) for s in range(n) for p in range(1, places + 1)]


def named(mapping):
    return {k: v for k, v in vars(mapping.columns).items() if v is not None}


def test_names_that_people_use(guess):
    head = "searchId;search_term;sku;Rank;clicked;event_time;unit price;cart\n"
    body = "".join(
        f"x{s};red shoes {s % 4};k{p};{p};{int(p == s % 3)};2026-01-0{1 + s % 9} 10:00:00;{p}.5;0\n"
        for s, p in rows()
    )
    mapping, text, (chunk,) = guess(head + body)
    assert named(mapping) == {
        "page": "searchId", "query": "search_term", "document": "sku", "position": "Rank",
        "click": "clicked", "time": "event_time",
    }  # fmt: skip
    assert (mapping.delimiter, mapping.feedback) == (";", {"cart": "cart"})
    assert '# "unit price" = "unit price"' in text
    assert (chunk.pages.height, chunk.rejects.height) == (12, 0)
    assert "12 pages of 3.0 results" in text


def test_positions_from_zero_and_times_in_milliseconds(guess):
    body = "".join(f"q,d{p},{p - 1},{int(p == 1)},v{s},17000000{s:02d}000\n" for s, p in rows())
    mapping, _, (chunk,) = guess("query,doc,position,click,visit_id,ts\n" + body)
    assert mapping.options.position_base == 0
    assert mapping.options.time_unit == "ms"
    assert (chunk.pages.height, chunk.rejects.height) == (12, 0)


def test_values_alone_where_there_are_no_names(guess):
    body = "".join(f"{s + 500}\td{s}{p}\t{p}\t{int(p == s % 9)}\n" for s, p in rows(40))
    mapping, text, (chunk,) = guess(body)
    assert (mapping.options.header, mapping.delimiter) == (False, "\t")
    assert named(mapping) == {"page": 0, "document": 1, "position": 2, "click": 3}
    assert mapping.constants.query == "all"
    assert text.count("?") > 3
    assert (chunk.pages.height, chunk.rejects.height) == (40, 0)


def test_python_lists_without_a_header(guess):
    body = "".join(
        f"{s // 2}\t{s}\t['a{s}', 'b']\t[{int(s == 1)}, {int(s == 3)}]\n" for s in range(9)
    )
    mapping, _, (chunk,) = guess(body)
    assert (mapping.layout, mapping.options.list_position) == ("page", True)
    assert named(mapping) == {"session": 0, "query": 1, "document": 2, "click": 3}
    assert chunk.rejects.height == 0


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_lists_in_json_lines_and_parquet(guess, tmp_path, kind):
    pages = [
        {"userId": f"u{s}", "query": "q", "item_ids": ["a", "b"], "ranks": [1, 2],
         "clicks": [0, s % 2], "price": [1.5, 2.0], "purchase": [0, s % 2]}
        for s in range(8)
    ]  # fmt: skip
    if kind == "parquet":
        pl.DataFrame(pages).write_parquet(tmp_path / "made")
        content = (tmp_path / "made").read_bytes()
    else:
        content = "".join(json.dumps(p) + "\n" for p in pages)
    mapping, text, (chunk,) = guess(content)
    assert mapping.layout == "page"
    assert mapping.columns.document == "item_ids"
    assert mapping.columns.position == "ranks"
    assert mapping.feedback == {"purchase": "purchase"}
    assert '# "price" = "price"' in text
    assert chunk.pages["feedback"].null_count() == 0
    assert (chunk.pages.height, chunk.rejects.height) == (8, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a b c\nd e f\n", "no delimiter"),
        ("\n\n", "no line"),
        ("query,doc,position\n" + "".join(f"q{i},d{i},{i}\n" for i in range(5)), "for the click"),
        ("query,doc,clicked\n" + "".join(f"q{i},d{i},{i % 2}\n" for i in range(5)), "the position"),
        ('{"a": 1}\n', "for the click"),
    ],
)
def test_what_cannot_be_guessed_is_told_with_what_there_is(guess, content, message):
    with pytest.raises(DataError, match=message) as error:
        guess(content)
    assert error.value.hint


def test_names_from_a_file_cannot_break_out_of_the_toml(guess):
    evil = 'x"\n[columns]\nquery = 0\n#\x7f'
    lines = [
        {evil: 1.5 + s, "query": "q", "doc": f"d{s}", "position": 1 + s % 3, "click": int(s == 2)}
        for s in range(6)
    ]
    mapping, text, _ = guess("".join(json.dumps(x) + "\n" for x in lines))
    assert mapping.columns.query == "query"
    assert text.count("[columns]\n") == 1


def test_the_command_prints_and_writes_nothing(capsys, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("query,doc,position,click\n" + "".join(f"q,d,{p},{p % 2}\n" for p in (1, 2, 3)))
    code, out, err = call(capsys, "ingest", path, "--format", "table", "--guess")
    assert (code, err) == (0, "")
    assert from_mapping(Mapping, tomllib.loads(out), where="x").columns.document == "doc"
    assert [p.name for p in tmp_path.iterdir()] == ["log.csv"]
    assert call(capsys, "ingest", path, "--format", "yandex", "--guess")[0] == 2


def test_real_tables(real_data):
    bandit = propose(real_data / "open_bandit" / "random_men.csv")
    assert 'time = "timestamp"' in bandit
    assert "0 are rejected" in bandit
    assert 'query = "all"' in bandit
    trec = propose(real_data / "trec2014" / "sessions.txt")
    mapping = from_mapping(Mapping, tomllib.loads(trec), where="guess")
    assert named(mapping) == {"session": 0, "query": 1, "document": 2, "click": 4}
    assert "363 pages of 10.0 results" in trec
