"""Judgments: three formats, one table; wrong grades are refused without touching the lake."""

import gzip

import polars as pl
import pyarrow as pa
import pytest

from ultr.errors import DataError
from ultr.etl.ids import to_id
from ultr.etl.judgments import add_judgments
from ultr.lake import create_lake, open_lake

TABLE = {"query_id": [8, 7, 7], "doc_id": [3, 2, 1], "grade": [0, 2, 4]}
SORTED = [{"query_id": q, "doc_id": d, "grade": g} for q, d, g in [(7, 1, 4), (7, 2, 2), (8, 3, 0)]]


@pytest.fixture
def lake(tmp_path, make_lake, one_page):
    return make_lake(tmp_path / "lake", [one_page(1, 7, [1, 2], [1, 0])])


def stored(lake):
    rows = open_lake(lake).read("judgments").to_pylist()
    assert all(row.pop("frequency_bucket") is None for row in rows)
    return rows


def refused(lake, source, words, form="table"):
    before = (lake / "manifest.json").read_bytes()
    with pytest.raises(DataError, match=words):
        add_judgments(lake, source=source, format=form)
    assert (lake / "manifest.json").read_bytes() == before
    assert not list(lake.rglob("judgments/**/*.parquet"))


@pytest.mark.parametrize("name", ["j.parquet", "j.csv", "j.tsv"])
def test_a_table(tmp_path, lake, name):
    frame = pl.DataFrame(TABLE)
    match name.rpartition(".")[2]:
        case "parquet":
            frame.write_parquet(tmp_path / name)
        case "csv":
            frame.write_csv(tmp_path / name)
        case "tsv":
            frame.write_csv(tmp_path / name, separator="\t")
    result = add_judgments(lake, source=tmp_path / name, format="table")
    assert stored(lake) == SORTED
    assert result == {
        "rows": 3,
        "queries": 2,
        "repeated": 0,
        "max_grade": 4,
        "queries_in_log": 1,
        "lists_are_stale": False,
    }
    assert open_lake(lake).manifest.meta["judgments"]["max_grade"] == 4


def test_qrels(tmp_path, lake):
    (tmp_path / "q.txt").write_text("7 0 1 4\n7\t0\t2   2\n\n8 0 3 0\n7 0 1 4\n")
    assert add_judgments(lake, source=tmp_path / "q.txt", format="qrels")["repeated"] == 1
    assert stored(lake) == SORTED


def test_letor(tmp_path, lake):
    lines = "4 qid:7 1:0.5 # docid = 1\n2 qid:7 1:0.1 # docid = 2\n0 qid:8 1:0 # docid = 3\n"
    (tmp_path / "s.txt").write_text(lines)
    add_judgments(lake, source=tmp_path / "s.txt", format="letor")
    assert stored(lake) == SORTED


def test_yandex_keys(tmp_path, make_lake, one_page):
    query = to_id(pl.Series(["2031:0"]), "xxh3", column="query")[0]
    rules = {"query": "xxh3", "doc": "integer"}
    root = make_lake(tmp_path / "lake", [one_page(1, query, [5], [0])], ids=rules)
    (tmp_path / "j.csv").write_text("query,region,url,grade\n2031,0,5,1\n2031,0.0,6,0\n")
    assert add_judgments(root, source=tmp_path / "j.csv", format="table")["queries_in_log"] == 1
    assert {r["query_id"] for r in stored(root)} == {query}


def test_judgments_are_replaced(tmp_path, lake):
    for grade in (1, 3):
        frame = pl.DataFrame({"query_id": [7], "doc_id": [1], "grade": [grade]})
        frame.write_parquet(tmp_path / "j.parquet")
        add_judgments(lake, source=tmp_path / "j.parquet", format="table")
        assert [r["grade"] for r in stored(lake)] == [grade]


@pytest.mark.parametrize(
    ("grades", "words"),
    [
        ([0, -1, 2], "whole number from 0"),
        ([0.0, 0.5, 2.0], "whole number from 0"),
        ([0, None, 2], "whole number from 0"),
        ([0.0, float("nan"), 2.0], "whole number from 0"),
        ([0, 40_000, 2], "whole number from 0"),
        (["0", "good", "2"], "'good'"),
    ],
)
def test_wrong_grades_are_refused(tmp_path, lake, grades, words):
    pl.DataFrame(TABLE | {"grade": grades}).write_parquet(tmp_path / "j.parquet")
    refused(lake, tmp_path / "j.parquet", words)


def test_two_grades_of_one_pair_are_refused(tmp_path, lake):
    frame = pl.DataFrame({"query_id": [7, 7], "doc_id": [1, 1], "grade": [0, 1]})
    frame.write_parquet(tmp_path / "j.parquet")
    refused(lake, tmp_path / "j.parquet", "1 pairs have several")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("j.csv", b"query_id,doc_id\n7,1\n", "no grade"),
        ("j.csv", b"query_id,doc_id,grade\n", "is empty"),
        ("j.csv", b"query_id,doc_id,grade\n7,x,1\n", "may not mix rules"),
        ("j.log", b"7 0 1 1\n", "Parquet, CSV or TSV"),
        ("q.txt", b"7 0 1 1\n7 0 1\n", "line 2"),
        ("q.txt", b"", "is empty"),
        ("q.txt", b"7 0 \xff 1\n", "must exist"),
        ("q.txt", None, "must exist"),
        ("j.parquet", None, "must exist"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, lake, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(lake, tmp_path / name, words, "qrels" if name == "q.txt" else "table")


def test_judgments_need_a_log(tmp_path):
    create_lake(tmp_path / "lake")
    (tmp_path / "q.txt").write_text("7 0 1 4\n")
    with pytest.raises(DataError, match="ultr ingest"):
        add_judgments(tmp_path / "lake", source=tmp_path / "q.txt", format="qrels")


@pytest.mark.parametrize("grade", [[[1], [2], [3]], [{"a": 1}] * 3, [0, 2, 31], [0, 1, 2000]])
def test_grades_that_are_none(tmp_path, lake, grade):
    pl.DataFrame({**TABLE, "grade": grade}).write_parquet(tmp_path / "j.parquet")
    refused(lake, tmp_path / "j.parquet", "from 0 to 30")


@pytest.mark.parametrize("key", ["x", [7], None])
def test_a_key_that_does_not_fit_names_the_file(tmp_path, lake, key):
    frame = {"query_id": [key], "doc_id": [1], "grade": [1]}
    pl.DataFrame(frame).write_parquet(tmp_path / "j.parquet")
    refused(lake, tmp_path / "j.parquet", r"j\.parquet(.|\n)*keys that the log has")


def test_compressed_qrels(tmp_path, lake):
    text = b"7 0 1 4\n7 0 2 2\n8 0 3 0\n"
    packed = {"q.gz": gzip.compress(text), "q.txt": pa.Codec("zstd").compress(text, asbytes=True)}
    for name, data in packed.items():
        (tmp_path / name).write_bytes(data)
        add_judgments(lake, source=tmp_path / name, format="qrels")
        assert stored(lake) == SORTED
        (tmp_path / name).write_bytes(data[:-6])
        with pytest.raises(DataError, match=name):
            add_judgments(lake, source=tmp_path / name, format="qrels")


def test_a_damaged_log_is_told(tmp_path, lake):
    pl.DataFrame(TABLE).write_parquet(tmp_path / "j.parquet")
    path = open_lake(lake).paths("sessions")[0]
    path.write_bytes(path.read_bytes()[:100])
    refused(lake, tmp_path / "j.parquet", r"readable Parquet(.|\n)*sessions")
