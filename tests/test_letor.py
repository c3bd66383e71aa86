"""LETOR files: what is read, and what is refused with its line."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

from ultr.errors import DataError
from ultr.letor import read, read_letor, read_letor_files, svmlight

REAL = Path(__file__).parents[2] / "shared" / "data" / "mq2008"


@pytest.fixture
def write(tmp_path):
    def write(text, name="x.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_example():
    assert doctest.testmod(read).failed == 0


def test_dense_rows_with_docids(write):
    a = read_letor(
        write(
            "2 qid:10 1:0.5 2:-1e-3 #docid = GX8 inc = 1 prob = 0.1\n"
            "0 qid:10 1:0 2:7 #docid = GX9 inc = 1\n"
            "1 qid:q-b 1:1 2:2 # nothing\n"
        )
    )
    assert a.features.dtype == np.float32
    np.testing.assert_array_equal(a.features, np.float32([[0.5, -1e-3], [0, 7], [1, 2]]))
    assert a.grade.tolist() == [2, 0, 1]
    assert a.qid.tolist() == ["10", "10", "q-b"]
    assert a.doc.tolist() == ["GX8", "GX9", "q-b-1"]
    assert a.offsets.tolist() == [0, 2, 3]


def test_missing_features_are_zero_and_order_is_free(write):
    a = read_letor(write("0 qid:1 3:3 1:1\n1 qid:1\n2.0 qid:1 2:5"))
    np.testing.assert_array_equal(a.features, [[1, 0, 3], [0, 0, 0], [0, 5, 0]])
    assert a.grade.tolist() == [0, 1, 2]
    assert a.doc.tolist() == ["1-1", "1-2", "1-3"]


def test_rows_without_any_feature(write):
    assert read_letor(write("0 qid:1\n1 qid:1\n")).features.shape == (2, 0)


def test_spaces_blank_lines_and_comments_are_passed_over(write):
    text = "# head\r\n\n 2  qid:1\t1:1   2:2 \r\n\n0 qid:1 2:4\t# c:d 9:9\n# end"
    a = read_letor(write(text))
    np.testing.assert_array_equal(a.features, [[1, 2], [0, 4]])


def test_blocks_do_not_matter(write, monkeypatch):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((60, 4)).astype(np.float32)
    lines = [
        f"{i % 3} qid:{i // 7} " + " ".join(f"{j + 1}:{v}" for j, v in enumerate(row[: i % 5]))
        for i, row in enumerate(values)
    ]
    path = write("\n".join(lines))
    whole = read_letor(path)
    monkeypatch.setattr(read, "_BLOCK_BYTES", 37)
    cut = read_letor(path)
    for name in ("features", "grade", "qid", "doc"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(cut, name))
    mask = np.arange(4) < (np.arange(60) % 5)[:, None]
    np.testing.assert_array_equal(whole.features, np.where(mask, values, 0))


@pytest.mark.parametrize("name", ["x.txt.query", "x.query", "x.txt.group", "x.group"])
def test_side_file_of_query_sizes(write, name):
    write("2\n1\n", name)
    a = read_letor(write("0 1:1\n1 1:2\n2 1:3\n"))
    assert a.qid.tolist() == ["1", "1", "2"]
    assert a.doc.tolist() == ["1-1", "1-2", "2-1"]


def test_side_file_given(write):
    side = write("1\n2\n", "sizes")
    assert read_letor(write("0 1:1\n1 1:2\n2 1:3\n"), query_file=side).qid.tolist() == [
        "1",
        "2",
        "2",
    ]


def test_several_files_share_a_width(write):
    write("1\n1\n", "a.query")
    write("2\n", "b.query")
    paths = [write("0 1:1\n1 1:2\n", "a.txt"), write("2 3:3\n0 1:4\n", "b.txt")]
    a = read_letor_files(paths)
    assert a.qid.tolist() == ["1", "2", "3", "3"]
    np.testing.assert_array_equal(a.features, [[1, 0, 0], [2, 0, 0], [0, 0, 3], [4, 0, 0]])
    assert read_letor_files(paths, n_features=5).features.shape == (4, 5)
    with pytest.raises(DataError, match="have 2 features"):
        read_letor_files(paths, n_features=2)


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("x qid:1 1:1", "a grade is a whole number"),
        ("-1 qid:1 1:1", "a grade is a whole number"),
        ("1.5 qid:1 1:1", "a grade is a whole number"),
        ("nan qid:1 1:1", "a grade is a whole number"),
        ("31 qid:1 1:1", "a grade is a whole number"),
        ("qid:1 1:1", "a grade is a whole number"),
        ("1 qid:1 11", "pairs fid:value"),
        ("1 qid:1 1:1 2", "pairs fid:value"),
        ("1 qid:1 1:1:1", "pairs fid:value"),
        ("1 qid:1 :1", "pairs fid:value"),
        ("1 qid:1 1: 2:2", "pairs fid:value"),
        ("1 qid:1 1:", "pairs fid:value"),
        ("1 qid:1 1 :2", "pairs fid:value"),
        ("1 qid:1 1:a", "are numbers"),
        ("1 qid:1 a:1", "are numbers"),
        ("1 qid:1 1:1_0", "are numbers"),
        ("1 qid:1 0:1", "a feature id is"),
        ("1 qid:1 -3:1", "a feature id is"),
        ("1 qid:1 1.5:1", "a feature id is"),
        ("1 qid:1 1000000000:1", "a feature id is"),
        ("1 qid:1 nan:1", "a feature id is"),
        ("1 qid:1 1:nan", "finite"),
        ("1 qid:1 1:inf", "finite"),
        ("1 qid:1 1:1e39", "finite"),
        ("1 qid:1 1:1 1:2", "stands once"),
        ("1 qid:1 1:1 2:2 1:2", "stands once"),
        ("1 qid:2 1:1\n1 qid:1 1:1", "side by side"),
        ("1 1:1", "all lines of a file have a qid"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_a_bad_line_is_named(write, line, rule):
    text = f"# head\n0 qid:1 1:1 2:2\n\n{line}\n0 qid:1 1:1"
    number = 4 + line.count("\n")
    with pytest.raises(DataError, match=re.escape(rule)) as error:
        read_letor(write(text))
    assert f"x.txt, line {number}: " in str(error.value)


def test_line_numbers_go_on_over_blocks(write, monkeypatch):
    monkeypatch.setattr(read, "_BLOCK_BYTES", 16)
    text = "0 qid:1 1:1\n" * 9 + "0 qid:1 1:oops\n" + "0 qid:1 1:1\n"
    with pytest.raises(DataError, match="line 10: 1:oops"):
        read_letor(write(text))


def test_a_docid_twice_in_a_query(write):
    with pytest.raises(DataError, match="line 2: docid a again in query 1"):
        read_letor(write("0 qid:1 #docid = a\n0 qid:1 #docid = a\n"))
    shared = read_letor(write("0 qid:1 #docid = a\n0 qid:2 #docid = a\n"))
    assert shared.doc.tolist() == ["a", "a"]


@pytest.mark.parametrize("key", [b"a\xfe", b"a\0"])
def test_keys_that_would_become_another_key(write, key):
    first = b"0 qid:a 1:1 #docid = a\n"
    for second in (b"0 qid:" + key + b" 1:1\n", b"0 qid:a 1:1 #docid = " + key + b"\n"):
        with pytest.raises(DataError, match="line 2") as error:
            read_letor(write(first + second))
        assert "UTF-8 text without NUL" in str(error.value)


@pytest.mark.parametrize("text", ["", "\n\n", "# only this\n"])
def test_an_empty_file(write, text):
    with pytest.raises(DataError, match="has none"):
        read_letor(write(text))


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="No such file"):
        read_letor(tmp_path / "absent.txt")
    with pytest.raises(DataError, match="Is a directory"):
        read_letor(tmp_path)


def test_no_queries_at_all(write):
    with pytest.raises(DataError, match=r"x\.txt\.query"):
        read_letor(write("0 1:1\n"))


@pytest.mark.parametrize("sizes", ["", "1\n", "2\n1\n", "3\n-1\n", "2\n0\n", "two\n"])
def test_sizes_that_do_not_fit(write, sizes):
    write(sizes, "x.query")
    with pytest.raises(DataError, match=r"x\.query"):
        read_letor(write("0 1:1\n0 1:1\n"))


def test_side_file_and_qid(write):
    with pytest.raises(DataError, match="from the lines or from a side file"):
        read_letor(write("0 qid:1 1:1\n"), query_file=write("1\n", "sizes"))


def test_a_query_in_two_files(write):
    paths = [write("0 qid:1 1:1\n", "a.txt"), write("0 qid:1 1:1\n", "b.txt")]
    with pytest.raises(DataError, match="qid 1 in two"):
        read_letor_files(paths)
    with pytest.raises(DataError, match="at least one"):
        read_letor_files([])


def test_every_bytes_gives_arrays_or_an_error_of_ours(write):
    rng = np.random.default_rng(1)
    base = bytearray(b"2 qid:10 1:0.5 2:-1e-3 #docid = GX8\n0 qid:10 1:0 2:7\n1 qid:11 2:1\n")
    for _ in range(300):
        text = bytearray(base)
        for at in rng.integers(0, len(text), rng.integers(1, 4)):
            text[at] = rng.choice(list(b"\0\t\n\r\v :#0-.a\xff")) if rng.random() < 0.7 else 32
        try:
            a = read_letor(write(bytes(text)))
        except DataError:
            continue
        assert len(a.features) == len(a.grade) == len(a.qid) == len(a.doc)
        assert np.isfinite(a.features).all()


def test_the_limit_of_feature_ids(write):
    last = svmlight.MAX_FEATURE
    assert read_letor(write(f"0 qid:1 {last}:1")).features.shape == (1, last)


@pytest.mark.skipif(not REAL.is_dir(), reason="../shared/data/mq2008 is absent")
def test_mq2008():
    a = read_letor_files([REAL / f"S{i}.txt" for i in (1, 2, 3)])
    assert a.features.shape == (9630, 46)
    assert len(a.offsets) - 1 == 471
    assert set(a.grade.tolist()) == {0, 1, 2}
    first = (REAL / "S1.txt").read_text().split("\n", 1)[0].split()
    np.testing.assert_array_equal(
        a.features[0], np.float32([pair.split(":")[1] for pair in first[2:48]])
    )
    assert a.doc[0] == first[50]
