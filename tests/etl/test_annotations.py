"""Expert annotations meet the log by their text, and what the log does not know is added."""

from __future__ import annotations

import gzip
import hashlib

import pytest

from ultr.errors import DataError
from ultr.etl.ids import to_id
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.judgments import add_judgments
from ultr.lake import open_lake

URLS = [hashlib.md5(b"%d" % n).hexdigest() for n in range(3)]
IDS = [int.from_bytes(bytes.fromhex(u)[:8], "big", signed=True) for u in URLS]


def shown(position, url, title, abstract):
    head = [str(position), url, title, abstract, "-", "0"]
    return "\t".join([*head, *["-"] * 26])


LOG = "\n".join(
    [
        "1\t5\x016\t-",
        shown(1, URLS[0], "1\x012", "3"),
        shown(2, URLS[1], "1\x012", "-"),
        shown(3, URLS[2], "21429", "-"),
        "",
    ]
)


@pytest.fixture
def lake(tmp_path):
    (tmp_path / "part-0").write_text(LOG)
    ingest([tmp_path / "part-0"], lake=tmp_path / "lake", config=IngestConfig(format="baidu"))
    return tmp_path / "lake"


@pytest.fixture
def annotate(tmp_path, lake):
    def run(*lines, compress=False):
        data = "".join(line + "\n" for line in lines).encode()
        path = tmp_path / "annotations"
        path.write_bytes(gzip.compress(data) if compress else data)
        return add_judgments(lake, source=path, format="baidu")

    return run


def rows(lake, table, key):
    return sorted(open_lake(lake).read(table).to_pylist(), key=lambda row: row[key])


@pytest.mark.parametrize("compress", [False, True])
def test_a_document_is_found_by_its_text(lake, annotate, compress):
    result = annotate("9\t5\x016\t1\x012\t3\t4\t7", "9\t5\x016\t1\x012\t-\t2\t7", compress=compress)
    assert [result[k] for k in ("documents", "documents_in_log", "documents_added")] == [2, 2, 0]
    assert (result["queries_in_log"], result["queries_added"]) == (1, 0)
    found = {
        r["doc_id"]: (r["grade"], r["frequency_bucket"]) for r in rows(lake, "judgments", "grade")
    }
    assert found == {IDS[0]: (4, 7), IDS[1]: (2, 7)}


def test_what_the_log_does_not_know_is_added_with_its_text(lake, annotate):
    for _ in range(2):  # a second time replaces the first
        result = annotate("9\t8\x019\t1\x012\t4\x015\t1\t0")
        assert (result["documents_added"], result["queries_added"]) == (1, 1)
        assert (result["documents_in_log"], result["queries_in_log"]) == (0, 0)
        key = hashlib.md5(b"1 2\t4 5").hexdigest()
        (added,) = [r for r in rows(lake, "documents", "key") if r["key"] not in URLS]
        assert (added["key"], added["title"], added["text"]) == (key, "1 2", "4 5")
        (judged,) = rows(lake, "judgments", "doc_id")
        assert judged["doc_id"] == added["doc_id"] == to_id(_series(key), "hex", column="doc")[0]
        assert [r["text"] for r in rows(lake, "queries", "text")] == ["5 6", "8 9"]


def _series(*keys):
    import polars as pl

    return pl.Series(keys)


def test_queries_that_share_a_qid_are_two(annotate):
    assert annotate("9\t5\t1\t2\t1\t0", "9\t6\t1\t2\t0\t3")["queries"] == 2


def test_a_lost_document_tells_nothing(annotate):
    result = annotate("9\t5\t21429\t-\t1\t0")
    assert (result["documents_in_log"], result["documents_added"]) == (0, 1)


def test_several_grades_of_one_text_are_counted(lake, annotate):
    result = annotate(*[f"{n}\t5\t1\t2\t{grade}\t0" for n, grade in enumerate((1, 3, 3, 0))])
    assert (result["rows"], result["conflicts"], result["repeated"]) == (1, 2, 3)
    assert [r["grade"] for r in rows(lake, "judgments", "grade")] == [3]


def test_other_judgments_take_back_what_was_added(tmp_path, lake, annotate):
    annotate("9\t8\t7\t7\t1\t0")
    (tmp_path / "q.txt").write_text(f"5 0 {URLS[0]} 1\n")
    add_judgments(lake, source=tmp_path / "q.txt", format="qrels")
    assert [r["key"] for r in rows(lake, "documents", "key")] == sorted(URLS)
    assert open_lake(lake).rows("queries") == 1


@pytest.mark.parametrize(
    "line", ["9\t5\t1\t2\t1", "9\t5\t1\t2\t1\t10", "9\t5\t1\t2\t1\tx", "9\t\t1\t2\t1\t0", "",
             "9\t5\t1\t2\t1\t0\t0", "9\t5\t1\t2\tgood\t0"]
)  # fmt: skip
def test_a_wrong_line_is_refused(lake, annotate, line):
    before = (lake / "manifest.json").read_bytes()
    with pytest.raises(DataError, match=r"an annotation has|a grade is") as error:
        annotate("9\t5\t1\t2\t1\t0", line)
    assert "annotations" in error.value.got
    assert (lake / "manifest.json").read_bytes() == before
