"""A file written piece by piece: nothing is lost at the borders, and nothing stays of a failure."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ultr.etl import table_file
from ultr.etl.table_file import TableFile
from ultr.lake import create_lake, open_lake
from ultr.schema import TABLES


def rejects(first, count):
    lines = range(first, first + count)
    return pa.table(
        {"text": ["x"] * count, "line": lines, "source": ["s"] * count, "reason": ["r"] * count}
    )


@pytest.mark.parametrize("rows", [1, 5, 1000])
def test_pieces_become_row_groups_of_one_file(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(table_file, "ROW_GROUP_ROWS", rows)
    with create_lake(tmp_path / "lake").commit("test") as change:
        file = TableFile(change, "rejects", source="s")
        for first in range(0, 30, 3):
            file.write(rejects(first, 3))
        file.close()
    lake = open_lake(tmp_path / "lake")
    assert lake.read("rejects")["line"].to_pylist() == list(range(30))
    (entry,) = lake.files("rejects", source="s")
    assert entry.rows == 30
    groups = pq.ParquetFile(lake.root / entry.path).metadata.num_row_groups
    assert groups == {1: 10, 5: 5, 1000: 1}[rows]


def test_columns_follow_the_registry_and_optional_ones_may_lack(tmp_path):
    with create_lake(tmp_path / "lake").commit("test") as change:
        file = TableFile(change, "documents", source="s")
        file.write(pa.table({"key": ["a"], "doc_id": [7]}))
        file.close()
    (path,) = open_lake(tmp_path / "lake").paths("documents")
    table = pq.read_table(path)
    assert table.schema.remove_metadata() == TABLES["documents"].arrow()
    assert table.to_pylist() == [{"doc_id": 7, "key": "a", "title": None, "text": None}]


def test_no_rows_no_file(tmp_path):
    with create_lake(tmp_path / "lake").commit("test") as change:
        TableFile(change, "documents", source="s").close()
    assert not open_lake(tmp_path / "lake").files("documents")


def test_a_failed_commit_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(table_file, "ROW_GROUP_ROWS", 1)

    def fail():
        with create_lake(tmp_path / "lake").commit("test") as change:
            file = TableFile(change, "rejects", source="s")
            file.write(rejects(0, 3))
            file.abandon()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list((tmp_path / "lake").rglob("*.parquet"))


def test_what_is_abandoned_is_gone_and_what_was_finished_stays(tmp_path, monkeypatch):
    monkeypatch.setattr(table_file, "ROW_GROUP_ROWS", 1)
    with create_lake(tmp_path / "lake").commit("test") as change:
        files = [TableFile(change, "rejects", source=s) for s in ("good", "bad")]
        for file in files:
            file.write(rejects(0, 3))
        files[0].close()
        for file in files:
            file.abandon()
    lake = open_lake(tmp_path / "lake")
    assert list(lake.root.rglob("*.parquet")) == lake.paths("rejects")
    assert [f.keys["source"] for f in lake.files("rejects")] == ["good"]


def test_texts_that_hardly_repeat_get_no_dictionary_and_their_lengths_apart(tmp_path):
    with create_lake(tmp_path / "lake").commit("test") as change:
        file = TableFile(change, "documents", source="s")
        file.write(pa.table({"key": ["a", "b"], "doc_id": [7, 8], "title": ["t", None]}))
        file.close()
    lake = open_lake(tmp_path / "lake")
    group = pq.ParquetFile(lake.paths("documents")[0]).metadata.row_group(0)
    columns = [group.column(i) for i in range(group.num_columns)]
    encoding = {c.path_in_schema: c.encodings for c in columns}
    assert all("DELTA_LENGTH_BYTE_ARRAY" in encoding[n] for n in ("key", "title", "text"))
    assert not any("DICTIONARY" in e for found in encoding.values() for e in found)
    rows = [(7, "a", "t", None), (8, "b", None, None)]
    assert lake.sql("select doc_id, key, title, text from documents").fetchall() == rows
    assert sorted(lake.table("documents").collect().rows()) == rows
