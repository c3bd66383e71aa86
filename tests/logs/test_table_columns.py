"""Features, feedback, texts and display columns of a user's table."""

from __future__ import annotations

import json

import polars as pl
import pytest

from ultr.errors import UsageError
from ultr.logs import table
from ultr.logs.mapping import read_mapping

BASE = """
[columns]
page = "id"
query = "q"
document = "d"
position = "r"
click = "c"
"""
NAMES = "id,q,d,r,c"


@pytest.fixture
def read(tmp_path):
    def run(content, mapping):
        (tmp_path / "map.toml").write_text(mapping)
        (tmp_path / "log").write_text(content)
        (chunk,) = table.read(tmp_path / "log", mapping=read_mapping(tmp_path / "map.toml"))
        return chunk

    return run


def test_features_stand_by_document_in_the_order_of_the_mapping(read):
    mapping = BASE + '[features]\nprice = "eur"\nis_new = "new"\n'
    chunk = read(f"{NAMES},new,eur\np,q,a,2,0,true,1.5\np,q,b,1,1,0,-2\np,q,c,3,1,,\n", mapping)
    assert chunk.pages["doc_key"].to_list() == [["b", "a", "c"]]
    assert chunk.pages["log_features"].to_list() == [[[-2.0, 0.0], [1.5, 1.0], [None, None]]]


@pytest.mark.parametrize("value", ["x", "nan", "inf", "1e39"])
def test_a_feature_is_a_finite_number(read, value):
    chunk = read(f"{NAMES},v\np,q,a,1,0,{value}\ns,q,a,1,0,2\n", BASE + '[features]\nv = "v"\n')
    assert chunk.rejects["reason"].to_list() == ["feature v is not a finite number"]
    assert chunk.pages["log_features"].to_list() == [[[2.0]]]


def test_feedback_is_counted_by_action_and_document(read):
    mapping = BASE + '[feedback]\nadd_to_cart = "cart"\npurchase = "buy"\n'
    chunk = read(f"{NAMES},cart,buy\np,q,a,1,1,2,true\np,q,b,2,0,,0\n", mapping)
    assert chunk.pages["feedback"].to_list() == [
        [
            {"action": "add_to_cart", "count": [2, None]},
            {"action": "purchase", "count": [1, 0]},
        ]
    ]


@pytest.mark.parametrize("value", ["-1", "1.5", "x", "3e9"])
def test_feedback_is_a_whole_number(read, value):
    chunk = read(f"{NAMES},v\np,q,a,1,0,{value}\n", BASE + '[feedback]\nbuy = "v"\n')
    assert chunk.rejects["reason"].to_list() == ["feedback buy is not a whole number from 0"]


def test_texts_of_documents_and_ids_of_pages(read):
    mapping = BASE + 'document_title = "t"\ndocument_text = "x"\n'
    chunk = read(f"{NAMES},t,x\np,q,a,1,0,A,\nr,q,a,1,0,,long\nr,q,b,2,0,B,\n", mapping)
    assert sorted(chunk.documents.rows()) == [("a", "A", ""), ("b", "B", "")]
    assert chunk.pages["page_id"].to_list() == ["p", "r"]
    assert read(f"{NAMES}\np,q,a,1,0\n", BASE).documents is None


def test_display_columns(read):
    mapping = BASE + 'max_height_px = "m"\ntop_px = "t"\nabstract_length = "l"\n'
    chunk = read(f"{NAMES},m,t,l\np,q,a,1,0,10.5,3,7\np,q,b,2,0,,,\ns,q,a,1,0,1,1,1.5\n", mapping)
    page = chunk.pages.row(0, named=True)
    assert page["max_height_px"] == [10.5, None]
    assert (page["top_px"], page["abstract_length"]) == ([3.0, None], [7, None])
    assert chunk.rejects["reason"].to_list() == ["abstract_length is not a whole number from 0"]


def test_pages_with_lists_of_features_and_feedback(read, tmp_path):
    mapping = 'layout = "page"\n' + BASE + '[features]\np = "p"\n[feedback]\nf = "f"\n'
    row = {
        "id": 1,
        "q": "q",
        "d": ["a", "b"],
        "r": [2, 1],
        "c": [0, 1],
        "p": [1.0, 2.5],
        "f": [0, 3],
    }
    expected = ([["b", "a"]], [[[2.5], [1.0]]], [[{"action": "f", "count": [3, 0]}]])

    def found(chunk):
        columns = ("doc_key", "log_features", "feedback")
        return tuple(chunk.pages[c].to_list() for c in columns)

    assert found(read(json.dumps(row), mapping)) == expected
    short = read(json.dumps(row | {"p": [1]}), mapping)
    assert short.rejects["reason"].to_list() == ["lists of different lengths"]
    pl.DataFrame([row]).write_parquet(tmp_path / "x")
    (chunk,) = table.read(tmp_path / "x", mapping=read_mapping(tmp_path / "map.toml"))
    assert found(chunk) == expected


@pytest.mark.parametrize(
    "features",
    [
        'x = "c"',
        'x = "r"',
        'x = "dwell"',
        'x = "buy"',
        'clicks = "x"',
        'x = "Clicks"',
        'x = "skip"',
    ],
)
def test_what_tells_of_the_click_or_is_the_position_is_no_feature(read, features):
    mapping = BASE + 'dwell_s = "dwell"\n[feedback]\nbuy = "buy"\n[features]\n' + features
    with pytest.raises(UsageError, match="known before the click"):
        read("x\n", mapping)


@pytest.mark.parametrize("value", ["true", "1.5", "[1]"])
def test_a_feature_names_a_column(read, value):
    with pytest.raises(UsageError, match="gives each name a column"):
        read("x\n", BASE + f"[features]\nx = {value}\n")
