"""Scores in bulk: of a lake and of a feature file."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ultr.cli import main
from ultr.data import load_lists
from ultr.errors import DataError, UsageError
from ultr.eval.evaluate import evaluate
from ultr.lake import create_lake, open_lake
from ultr.serve import score as module
from ultr.serve.score import score
from ultr.train import fit

QUERIES = 12


@pytest.fixture(scope="module")
def arrays():
    """query_id [Q, 3], doc_id [Q, 3], features [Q, 3, 2]."""
    rng = np.random.default_rng(0)
    return {
        "query_id": np.repeat(np.arange(100, 100 + QUERIES), 3).reshape(-1, 3),
        "doc_id": rng.permutation(QUERIES * 3).reshape(-1, 3),
        "features": rng.normal(size=(QUERIES, 3, 2)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def lake(tmp_path_factory, arrays):
    """Two buckets; each query shows its three documents and gets a click on the first."""
    root = tmp_path_factory.mktemp("serve") / "lake"
    splits = ["train", "validation", "train", "test", "train", "train"]
    with create_lake(root).commit("test") as change:
        for bucket in range(2):
            half = slice(bucket * QUERIES // 2, (bucket + 1) * QUERIES // 2)
            n = QUERIES // 2
            change.write("candidates", pa.table({
                "query_id": arrays["query_id"][half].reshape(-1),
                "doc_id": arrays["doc_id"][half].reshape(-1),
                "row": np.arange(3 * n),
                "features": arrays["features"][half].reshape(-1, 2).tolist(),
            }), bucket=bucket)  # fmt: skip
            change.write("lists", pa.table({
                "query_id": arrays["query_id"][half, 0],
                "query_split": splits,
                "session_split": splits,
                "row": np.arange(3 * n).reshape(-1, 3).tolist(),
                "position": [[1, 2, 3]] * n,
                "context": pa.nulls(n, pa.list_(pa.string())),
                "click": [[1, 0, 0]] * n,
                "n": np.full(n, 5),
                "weight": np.full(n, 5.0),
                "weight_sq": np.full(n, 5.0),
            }), bucket=bucket, period="all")  # fmt: skip
        change.manifest.meta["transform"] = {
            "kind": "standardise", "names": ["a", "b"], "mean": [0.5, 0.0], "scale": [2.0, 1.0],
            "clip": 10.0,
        }  # fmt: skip
    return root


def train(lake, path, ranker):
    quick = {"evaluations": 1, "min_steps": 1}
    return fit(load_lists(lake), run=path, ranker=ranker, **quick)


@pytest.fixture(scope="module")
def run(lake, tmp_path_factory):
    return train(lake, tmp_path_factory.mktemp("run") / "linear", "linear")


@pytest.fixture(scope="module")
def table_run(lake, tmp_path_factory):
    return train(lake, tmp_path_factory.mktemp("run") / "table", "table")


def scores_of(path):
    table = pq.read_table(path)
    assert table.column_names == ["query_id", "doc_id", "score"]
    assert table["score"].type == pa.float32()
    pairs = zip(table["query_id"].to_pylist(), table["doc_id"].to_pylist(), strict=True)
    return dict(zip(pairs, table["score"].to_pylist(), strict=True))


def wanted(arrays, run):
    values = run.score(arrays["features"].reshape(-1, 2))
    pairs = zip(
        arrays["query_id"].reshape(-1).tolist(), arrays["doc_id"].reshape(-1).tolist(), strict=True
    )
    return dict(zip(pairs, values.tolist(), strict=True))


def test_every_candidate_of_a_lake_gets_its_score(lake, run, arrays, tmp_path):
    out = tmp_path / "scores.parquet"
    result = score(run.root, lake=lake, out=out)
    assert result["documents"] == 3 * QUERIES
    assert scores_of(out) == pytest.approx(wanted(arrays, run))
    assert list(tmp_path.iterdir()) == [out]


def test_a_table_ranker_scores_the_pairs_of_its_lake(lake, table_run, tmp_path):
    score(table_run, lake=lake, out=tmp_path / "s.parquet")
    got = scores_of(tmp_path / "s.parquet")
    assert len(got) == 3 * QUERIES
    assert len(set(got.values())) > 1


def test_a_real_run_can_be_evaluated(lake, run, table_run):
    for trained, by in ((run, "query"), (table_run, "session")):
        got = evaluate(trained.root, lake=lake)
        f, g = trained.list_logits(load_lists(lake).split("test", by=by))
        joint = (f + g).astype(np.float64)
        want = -(joint[:, 0] - np.log(np.exp(joint).sum(axis=1))).mean()
        assert got["click_nll_listwise"] == pytest.approx(want, rel=1e-5)
        assert got["held_out_by"] == by


def feature_file(path, arrays, **columns):
    n = 3 * QUERIES
    table = {
        "query_id": [f"q{i // 3}" for i in range(n)],
        "doc_id": [f"d{i}" for i in range(n)],
        "features": pa.array(arrays["features"].reshape(-1, 2).tolist(), pa.list_(pa.float64())),
    } | columns
    table = {name: values for name, values in table.items() if values is not None}
    pq.write_table(pa.table(table), path)
    return path


def by_row(run, arrays):
    values = run.score(arrays["features"].reshape(-1, 2)).tolist()
    return {(f"q{i // 3}", f"d{i}"): v for i, v in enumerate(values)}


@pytest.mark.parametrize("batch", [1, 4, 1000])
def test_a_feature_file_is_scored_under_its_own_ids(run, arrays, tmp_path, monkeypatch, batch):
    monkeypatch.setattr(module, "_BATCH", batch)
    source = feature_file(tmp_path / "f.parquet", arrays)
    score(run, features=source, out=tmp_path / "s.parquet")
    assert scores_of(tmp_path / "s.parquet") == pytest.approx(by_row(run, arrays))


def test_a_query_is_never_cut(run, arrays, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 4)
    source = feature_file(tmp_path / "f.parquet", arrays)
    with pq.ParquetFile(source) as file:
        blocks = list(module.feature_batches(file, run=run, path=source))
    assert len(blocks) > 3
    queries = [set(b["query_id"].to_pylist()) for b in blocks]
    assert sum(map(len, queries)) == QUERIES == len(set.union(*queries))


@pytest.mark.parametrize("kind", [pa.large_list(pa.float32()), pa.list_(pa.int64(), 2)])
def test_any_kind_of_list_will_do(run, arrays, tmp_path, kind):
    whole = np.round(arrays["features"].reshape(-1, 2))
    values = pa.array(whole.astype(int).tolist(), kind)
    source = feature_file(tmp_path / "f.parquet", arrays, features=values)
    score(run, features=source, out=tmp_path / "s.parquet")
    got = list(scores_of(tmp_path / "s.parquet").values())
    assert got == pytest.approx(run.score(whole).tolist())


def test_a_column_per_feature_is_found_by_name(run, arrays, tmp_path):
    flat = arrays["features"].reshape(-1, 2)
    columns = {"features": None, "b": flat[:, 1], "other": flat[:, 0], "a": flat[:, 0]}
    source = feature_file(tmp_path / "f.parquet", arrays, **columns)
    score(run, features=source, out=tmp_path / "s.parquet")
    assert scores_of(tmp_path / "s.parquet") == pytest.approx(by_row(run, arrays))


def test_a_document_without_features_is_scored_as_the_mean(run, arrays, tmp_path):
    values = [None, *arrays["features"].reshape(-1, 2).tolist()[1:]]
    source = feature_file(tmp_path / "f.parquet", arrays, features=values)
    with pytest.raises(DataError, match=r"f\.parquet: query 'q0', document 'd0'"):
        score(run, features=source, out=tmp_path / "s.parquet")
    score(run, features=source, out=tmp_path / "s.parquet", allow_missing=True)
    mean = run.score(np.array([[0.5, 0.0]], np.float32))[0]
    assert scores_of(tmp_path / "s.parquet")["q0", "d0"] == pytest.approx(mean)


N = 3 * QUERIES


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"features": [[1.0]] * N}, r"has 2 features(.|\n)*document with 1"),
        ({"features": [[1.0, 2.0]] * (N - 1) + [[1.0]]}, "document with 1"),
        ({"features": [1.0] * N}, "not numbers"),
        ({"features": [["x", "y"]] * N}, "not numbers"),
        ({"features": None, "a": [1.0] * N}, "no column b"),
        ({"doc_id": None}, "no column doc_id"),
        ({"query_id": [None] * N}, "null"),
        ({"query_id": [], "doc_id": [], "features": []}, "no rows"),
        ({"features": [[1.0, 2.0]] * (N - 1) + [[1.0, np.inf]]}, "finite(.|\n)*query 'q11'"),
        ({"features": [[1.0, 1e300]] + [[1.0, 2.0]] * (N - 1)}, "finite"),
        ({"features": [[np.nan, np.nan]] * N}, "allow-missing"),
        ({"features": [[1.0, None]] * N}, "allow-missing"),
        ({"doc_id": ["d0", "d0", *(f"d{i}" for i in range(2, N))]}, "comes once(.|\n)*'d0'"),
        ({"query_id": ["q1", "q2", "q1", *["q3"] * (N - 3)]}, "side by side(.|\n)*'q1'"),
    ],
)
def test_a_wrong_feature_file_is_told_and_writes_nothing(run, arrays, tmp_path, columns, words):
    source = feature_file(tmp_path / "f.parquet", arrays, **columns)
    out = tmp_path / "s.parquet"
    out.write_bytes(b"old")
    with pytest.raises(DataError, match=words):
        score(run, features=source, out=out)
    assert out.read_bytes() == b"old"
    assert set(tmp_path.iterdir()) == {source, out}


@pytest.mark.parametrize("content", [None, b"not parquet"])
def test_an_unreadable_feature_file_is_told(run, tmp_path, content):
    path = tmp_path / "f.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=r"f\.parquet"):
        score(run, features=path, out=tmp_path / "s.parquet")


def test_a_failure_on_the_way_leaves_the_old_scores(lake, run, tmp_path, monkeypatch):
    out = tmp_path / "s.parquet"
    out.write_bytes(b"old")
    made = iter([np.zeros(N // 2, np.float32)])
    monkeypatch.setattr(type(run), "score_candidates", lambda *_: next(made))
    with pytest.raises((StopIteration, RuntimeError)):
        score(run, lake=lake, out=out)
    assert out.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("batch", [1, 2])
def test_a_query_that_comes_back_in_a_later_block_is_told(
    run, arrays, tmp_path, batch, monkeypatch
):
    monkeypatch.setattr(module, "_BATCH", batch)
    ids = [*(f"q{i // 3}" for i in range(N - 1)), "q0"]
    source = feature_file(tmp_path / "f.parquet", arrays, query_id=ids)
    with pytest.raises(DataError, match="side by side"):
        score(run, features=source, out=tmp_path / "s.parquet")


def test_a_result_never_replaces_what_it_is_made_from(run, lake, arrays, tmp_path):
    source = feature_file(tmp_path / "f.parquet", arrays)
    owned = [source, lake / "manifest.json", lake / "candidates" / "new.parquet"]
    owned += [run.root / "propensities.parquet", run.root / "checkpoint" / "new.parquet"]
    before = {p: p.read_bytes() for p in owned if p.exists()}
    for out in owned:
        with pytest.raises(UsageError, match=r"into a lake|made from"):
            score(run, features=source, out=out)
    assert {p: p.read_bytes() for p in owned if p.exists()} == before


def test_scores_as_csv_and_nothing_else(run, lake, arrays, tmp_path):
    score(run, lake=lake, out=tmp_path / "s.csv")
    table = pa.csv.read_csv(tmp_path / "s.csv")
    rows = zip(*(table[c].to_pylist() for c in ("query_id", "doc_id", "score")), strict=True)
    assert {(q, d): s for q, d, s in rows} == pytest.approx(wanted(arrays, run), rel=1e-6)
    with pytest.raises(UsageError, match="as its name says"):
        score(run, lake=lake, out=tmp_path / "s.txt")


def test_a_table_ranker_says_what_it_knows(table_run, lake, tmp_path):
    counts = {"known_documents": 3 * QUERIES, "of_documents": 3 * QUERIES}
    assert score(table_run, lake=lake, out=tmp_path / "s.parquet").items() >= counts.items()
    shutil.copytree(lake, tmp_path / "other")
    with open_lake(tmp_path / "other").commit("test") as change:
        for file in open_lake(lake).files("candidates"):
            table = pq.ParquetFile(lake / file.path).read()
            ids = pa.array(table["doc_id"].to_numpy() + 1000)
            change.remove("candidates", lambda f, path=file.path: f.path == path)
            change.write("candidates", table.set_column(1, "doc_id", ids), **file.keys)
    with pytest.raises(DataError, match="none of the 36 documents"):
        score(table_run, lake=tmp_path / "other", out=tmp_path / "new.parquet")
    assert not (tmp_path / "new.parquet").exists()
    with pytest.raises(DataError, match="none of the"):
        evaluate(table_run, lake=tmp_path / "other")


def test_a_damaged_lake_is_told(run, lake, tmp_path):
    shutil.copytree(lake, tmp_path / "lake")
    for table in ("candidates", "lists"):
        path = open_lake(tmp_path / "lake").paths(table)[0]
        path.write_bytes(path.read_bytes()[:100])
        for use in (
            lambda: score(run, lake=tmp_path / "lake", out=tmp_path / "s.parquet"),
            lambda: load_lists(tmp_path / "lake"),
        ):
            with pytest.raises(DataError, match=r"readable Parquet(.|\n)*\.parquet"):
                use()


def test_a_table_ranker_cannot_score_a_feature_file(table_run, arrays, tmp_path):
    source = feature_file(tmp_path / "f.parquet", arrays)
    with pytest.raises(DataError, match="one parameter per"):
        score(table_run, features=source, out=tmp_path / "s.parquet")


def test_an_output_folder_must_exist(lake, run, tmp_path):
    with pytest.raises(UsageError, match="folder that exists"):
        score(run, lake=lake, out=tmp_path / "none" / "s.parquet")


def test_a_lake_without_candidates_names_the_next_command(run, tmp_path):
    create_lake(tmp_path / "empty")
    with pytest.raises(DataError, match="ultr lists"):
        score(run, lake=tmp_path / "empty", out=tmp_path / "s.parquet")


def test_a_lake_or_a_file(lake, run, tmp_path):
    with pytest.raises(UsageError, match="neither"):
        score(run, out=tmp_path / "s.parquet")
    with pytest.raises(UsageError, match="both"):
        score(run, lake=lake, features=lake, out=tmp_path / "s.parquet")


def test_the_command(capsys, lake, run, tmp_path):
    out = tmp_path / "s.parquet"
    arguments = ["score", "--run", run.root, "--lake", lake, "--out", out, "--json"]
    main(list(map(str, arguments)))
    assert json.loads(capsys.readouterr().out)["documents"] == 3 * QUERIES
    assert len(scores_of(out)) == 3 * QUERIES
