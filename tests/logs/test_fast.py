"""The columnar parsers and the exact ones say the same, or the columnar ones say nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.logs.family import FAMILY, PIECES, mutated
from ultr.errors import DataError
from ultr.logs import raw, rows, table

TABLES = [n for n in FAMILY if "csv" in n or "json" in n or n == "clean quotes"]
EDIT = st.tuples(st.floats(0, 1), st.integers(0, 3), st.sampled_from(PIECES))


def told(member, path):
    """Everything that a reader says of a file, or its error."""
    try:
        chunks = list(member.read(path))
    except DataError as error:
        return str(error)
    return [
        (c.lines, c.used, c.ignored, c.pages.sort("ordinal").rows(), c.rejects.rows(),
         None if c.documents is None else sorted(c.documents.rows(), key=repr))
        for c in chunks
    ]  # fmt: skip


def only_exact(patch):
    patch.setattr(rows, "csv_columns", lambda *_a, **_k: None)
    patch.setattr(rows, "json_columns", lambda *_a, **_k: None)


@pytest.mark.parametrize("reader", TABLES)
@settings(max_examples=25, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(edits=st.lists(EDIT, max_size=3), size=st.sampled_from([150, raw.BLOCK_BYTES]))
def test_fast_and_exact_agree(tmp_path, reader, edits, size):
    member = FAMILY[reader]
    path = member.place(tmp_path, mutated(member.data, edits))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "BLOCK_BYTES", size)
        fast = told(member, path)
        only_exact(patch)
        assert fast == told(member, path)


@pytest.mark.parametrize("reader", [n for n in TABLES if n != "quoted csv"])
def test_a_clean_file_takes_the_fast_way(tmp_path, monkeypatch, reader):
    member = FAMILY[reader]
    path = member.place(tmp_path, member.data)

    def exact(*_arguments, **_settings):
        raise AssertionError("the exact parser was asked")

    monkeypatch.setattr(rows, "cells_of", exact)
    monkeypatch.setattr(rows, "_parsed", exact)
    assert sum(c.pages.height for c in member.read(path)) > 0


ROW = {"session_id": "s", "query_id": "q", "doc_id": "d", "position": 1, "click": 0}


@pytest.mark.parametrize(
    "second",
    [
        {**ROW, "query_id": 7},
        {**ROW, "query_id": 7.0},
        {**ROW, "doc_id": None},
        {**ROW, "position": "2"},
        {**ROW, "position": 1.5},
        {**ROW, "position": 10**30},
        {**ROW, "click": True},
        {**ROW, "click": {"a": 1}},
        {**ROW, "click": [1]},
        {**ROW, "device": "phone"},
        {**ROW, "doc_id": "\ud800"},
        {**ROW, "shown_at": "2026-01-01 00:00:00"},
        {**ROW, "other": [{"deep": None}]},
        [ROW],
        7,
    ],
    ids=repr,
)
def test_odd_values_are_read_in_one_way(tmp_path, second):
    path = tmp_path / "log"
    lines = [ROW, {**ROW, "session_id": "t"} | second if isinstance(second, dict) else second]
    path.write_text("".join(json.dumps(x) + "\n" for x in lines))
    member = FAMILY["json impressions"]
    fast = told(member, path)
    with pytest.MonkeyPatch.context() as patch:
        only_exact(patch)
        assert fast == told(member, path)
    assert sum(c.lines for c in table.read(path)) == 2


@pytest.mark.parametrize("text", ["{}{}\n", '{"a":\n1}\n', '{"a": 1}{"a":\n2}\n', "{\n}\n"])
def test_an_object_is_one_line(tmp_path, text):
    path = tmp_path / "log"
    path.write_text(json.dumps(ROW) + "\n" + text)
    (chunk,) = table.read(path)
    assert chunk.pages.height == 1
    assert chunk.rejects.height == text.count("\n")
