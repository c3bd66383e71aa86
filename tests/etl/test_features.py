"""Features: what is read, what is matched, and what is refused without touching the lake."""

import gzip

import numpy as np
import polars as pl
import pytest

from ultr.errors import DataError, UsageError
from ultr.etl.features import add_features
from ultr.etl.ids import to_id
from ultr.etl.lists import ListsConfig, build_lists
from ultr.lake import create_lake, open_lake

INTEGERS = {"query": "integer", "doc": "integer"}

# Without a time in it: test runners tell tests apart by their parameters.
TRUNCATED = gzip.compress(b"query_id,doc_id,a\n7,1,1.0\n" * 99, mtime=0)[:-20]


@pytest.fixture
def lake(tmp_path, make_lake, one_page):
    """A log of the pairs (7, 1), (7, 2), (8, 3), (8, 4)."""
    pages = [one_page(1, 7, [1, 2], [1, 0]), one_page(2, 7, [2, 1], [0, 0])]
    return make_lake(tmp_path / "lake", [*pages, one_page(3, 8, [3, 4], [0, 0])])


def table(**columns):
    base = {"query_id": [7, 7, 8, 9], "doc_id": [1, 2, 3, 5]}
    lists = {"features": [[0.5, 1.0], [1.5, 2.0], [2.5, 3.0], [3.5, 4.0]]}
    return pl.DataFrame(base | (columns or lists))


def stored(lake):
    rows = open_lake(lake).read("features").to_pylist()
    assert all(row.pop("period") is None for row in rows)  # these do not depend on time
    assert {row.pop("feature_group") for row in rows} <= {"file"}
    return rows


def parquet(tmp_path, frame, name="features.parquet"):
    frame.write_parquet(tmp_path / name)
    return tmp_path / name


def refused(lake, source, words, **options):
    before = (lake / "manifest.json").read_bytes()
    with pytest.raises(DataError, match=words):
        add_features(lake, source=source, **options)
    assert (lake / "manifest.json").read_bytes() == before
    assert not list(lake.rglob("features/**/*.parquet"))


def test_a_list_column(tmp_path, lake):
    result = add_features(lake, source=parquet(tmp_path, table()))
    assert stored(lake) == table().to_dicts()
    assert (result["matched_pairs"], result["log_pairs"], result["match_share"]) == (3, 4, 0.75)
    assert (result["rows"], result["features"], result["missing_values"]) == (4, 2, 0)
    meta = open_lake(lake).manifest.meta["features"]
    assert meta["names"] == ["f1", "f2"]
    assert {k: meta[k] for k in ("rows", "matched_pairs", "log_pairs", "match_share")} == {
        "rows": 4,
        "matched_pairs": 3,
        "log_pairs": 4,
        "match_share": 0.75,
    }


def test_a_column_per_feature(tmp_path, lake):
    frame = table(bm25=[0.5, 1.5, 2.5, 3.5], is_title=[True, False, True, False])
    add_features(lake, source=parquet(tmp_path, frame))
    values = [[a, float(b)] for a, b in frame.select("bm25", "is_title").rows()]
    assert [r["features"] for r in stored(lake)] == values
    assert open_lake(lake).manifest.meta["features"]["names"] == ["bm25", "is_title"]


def test_arrays_and_csv_give_the_same(tmp_path, lake):
    add_features(lake, source=parquet(tmp_path, table()))
    expected = stored(lake)
    arrays = table().cast({"features": pl.Array(pl.Float64, 2)})
    add_features(lake, source=parquet(tmp_path, arrays))
    assert stored(lake) == expected
    wide = table(a=[0.5, 1.5, 2.5, 3.5], b=[1, 2, 3, 4])
    wide.write_csv(tmp_path / "features.csv")
    with gzip.open(tmp_path / "features.tsv.gz", "wt") as out:
        out.write(wide.write_csv(separator="\t"))
    for name in ("features.csv", "features.tsv.gz"):
        add_features(lake, source=tmp_path / name)
        assert stored(lake) == expected


def test_many_blocks_are_one_file(tmp_path, lake):
    n = 150_000
    frame = pl.DataFrame({"query_id": [7] * n, "doc_id": range(n), "a": np.arange(n) / 2})
    assert add_features(lake, source=parquet(tmp_path, frame), min_match=0)["rows"] == n
    found = open_lake(lake).read("features")
    np.testing.assert_array_equal(found["doc_id"].to_numpy(), np.arange(n))
    values = found["features"].combine_chunks().flatten().to_numpy()
    np.testing.assert_array_equal(values, frame["a"].to_numpy())


def test_keys_go_through_the_lakes_rule(tmp_path, make_lake, one_page):
    rules = {"query": "xxh3", "doc": "hex"}
    query = to_id(pl.Series(["2031:0"]), "xxh3", column="query").to_list()[0]
    digest = "00" * 7 + "2a" + "ff" * 8
    root = make_lake(tmp_path / "lake", [one_page(1, query, [42], [0])], ids=rules)
    # Yandex gives query and region apart, and a region may be 0.0.
    frame = pl.DataFrame({"query": [2031], "region": [0.0], "url": [digest], "a": [1.0]})
    assert add_features(root, source=parquet(tmp_path, frame))["match_share"] == 1
    keyed = pl.DataFrame({"query_id": ["2031:0"], "doc_id": [digest], "a": [1.0]})
    assert add_features(root, source=parquet(tmp_path, keyed))["match_share"] == 1


def test_text_keys_of_a_csv_stay_text(tmp_path, make_lake, one_page):
    rules = {"query": "xxh3", "doc": "xxh3"}
    query, doc = (to_id(pl.Series([k]), "xxh3", column="doc")[0] for k in ("007", "1e3"))
    root = make_lake(tmp_path / "lake", [one_page(1, query, [doc], [0])], ids=rules)
    (tmp_path / "f.csv").write_text("query_id,doc_id,a\n007,1e3,1.0\n")
    assert add_features(root, source=tmp_path / "f.csv")["match_share"] == 1


def test_features_are_replaced_and_lists_become_stale(tmp_path, lake):
    assert not add_features(lake, source=parquet(tmp_path, table()))["lists_are_stale"]
    build_lists(lake, config=ListsConfig(), quiet=True)
    again = add_features(lake, source=parquet(tmp_path, table(a=[1.0, 2.0, 3.0, 4.0])))
    assert again["lists_are_stale"]
    assert [r["features"] for r in stored(lake)] == [[1.0], [2.0], [3.0], [4.0]]
    build_lists(lake, config=ListsConfig(), quiet=True)
    assert open_lake(lake).manifest.meta["transform"]["names"] == ["a"]


def test_few_matches_are_refused_with_the_share(tmp_path, lake):
    source = parquet(tmp_path, table().filter(pl.col("query_id") != 7))
    refused(lake, source, r"1 of 4 \(25\.0%\)(.|\n)*--min-match 0")
    assert add_features(lake, source=source, min_match=0)["match_share"] == 0.25
    with pytest.raises(UsageError, match="share"):
        add_features(lake, source=source, min_match=1.5)


@pytest.mark.parametrize("wide", [False, True])
def test_missing_values_are_refused_unless_allowed(tmp_path, lake, wide):
    if wide:
        frame = table(a=[1.0, float("nan"), None, 4.0], b=[1.0, 2.0, 3.0, 4.0])
    else:
        frame = table(features=[[1.0, 1.0], [float("nan"), 2.0], [None, 3.0], [4.0, 4.0]])
    source = parquet(tmp_path, frame)
    refused(lake, source, r"2 rows with NaN(.|\n)*query 7, document 2(.|\n)*--allow-missing")
    assert add_features(lake, source=source, allow_missing=True)["missing_values"] == 2
    found = np.array([r["features"] for r in stored(lake)])
    np.testing.assert_array_equal(found[:, 0], [1.0, np.nan, np.nan, 4.0])


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 1e300])
def test_infinite_values_are_always_refused(tmp_path, lake, value):
    source = parquet(tmp_path, table(a=[1.0, 2.0, value, 4.0]))
    words = r"1 rows with infinite(.|\n)*query 8, document 3"
    refused(lake, source, words)
    refused(lake, source, words, allow_missing=True)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (table(features=[[1.0], [1.0, 2.0], [1.0], [1.0]]), "same number of features"),
        (table(features=[[1.0], None, [1.0], [1.0]]), "same number of features"),
        (table(features=pl.Series([[]] * 4, dtype=pl.List(pl.Float64))), "has rows and features"),
        (table(features=["a", "b", "c", "d"]), "lists of numbers"),
        (table(features=[1.0, 2.0, 3.0, 4.0]), "lists of numbers"),
        (table(a=["x", "y", "z", "w"]), "'a' is String"),
        (table().select("query_id", "doc_id"), "no other column"),
        (table(a=[1, 2, 3, 4], grade=[0, 1, 2, 3]), "ultr judgments"),
        (table().drop("doc_id"), "no doc_id"),
        (table().drop("query_id"), "no query_id"),
        (table().head(0), "has rows and features"),
        (table(a=[1, 2, 3, 4]).head(0), "has rows and features"),
        (pl.concat([table(), table().head(1)]), "1 repeated pairs, the first in row 5"),
        (table().with_columns(doc_id=pl.Series(["1", "x", "2", "3"])), "may not mix rules"),
        (table().with_columns(doc_id=pl.Series([1, None, 2, 3])), "needs a doc id"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path, lake, frame, words):
    refused(lake, parquet(tmp_path, frame), words)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("features.parquet", None, "must exist"),
        ("features.parquet", b"", "must exist"),
        ("features.parquet", b"not parquet at all", "must exist"),
        ("features.csv", b"", "must exist"),
        ("features.csv", b"query_id,doc_id,a\n7,1,1.0\n7,2\n7,2,3,4,5\n", "must exist"),
        ("features.csv", b"query_id,doc_id,a\n7,\xff\xfe,1.0\n", "must exist"),
        ("features.csv.gz", TRUNCATED, "exist"),
        ("features.xlsx", b"", "Parquet, CSV or TSV"),
        ("features", b"", "Parquet, CSV or TSV"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path, lake, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(lake, tmp_path / name, words)


def test_a_folder_and_a_truncated_parquet_are_refused(tmp_path, lake):
    (tmp_path / "folder.parquet").mkdir()
    refused(lake, tmp_path / "folder.parquet", "must exist")
    whole = parquet(tmp_path, table()).read_bytes()
    (tmp_path / "half.parquet").write_bytes(whole[: len(whole) // 2])
    refused(lake, tmp_path / "half.parquet", "must exist")
    (tmp_path / "bent.parquet").write_bytes(whole[:4] + bytes(60) + whole[64:])
    refused(lake, tmp_path / "bent.parquet", "must exist")


def test_features_need_a_log(tmp_path):
    create_lake(tmp_path / "lake")
    with pytest.raises(DataError, match="ultr ingest"):
        add_features(tmp_path / "lake", source=parquet(tmp_path, table()))


def test_a_damaged_log_is_told(tmp_path, lake):
    pl.DataFrame({"query_id": [7], "doc_id": [1], "a": [0.5]}).write_parquet(tmp_path / "f.parquet")
    path = open_lake(lake).paths("sessions")[0]
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = bytes(b ^ 0x5A for b in data[4 : len(data) // 2])
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="readable Parquet"):
        add_features(lake, source=tmp_path / "f.parquet")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("query_id,doc_id,a,b\n7,1,1,2\n7,2,3\n", "Expected 4 columns, got 3"),
        ("query_id,doc_id,a\n7,1,1,2\n", "Expected 3 columns, got 4"),
        ("query_id,doc_id,a,a\n7,1,1,2\n", "has a more than once"),
        ("query_id,doc_id,doc_id,a\n7,1,1,2\n", "has doc_id more than once"),
        ("query_id,doc_id,a\n7,1,1\nquery_id,doc_id,a\n7,2,1\n", "again in row 2"),
    ],
)
def test_rows_and_headers_of_text_files_fit(tmp_path, lake, text, words):
    (tmp_path / "f.csv").write_text(text)
    refused(lake, tmp_path / "f.csv", words)
