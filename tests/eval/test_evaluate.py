"""Evaluation of a whole run on a lake and on LETOR files."""

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ultr.cli import main
from ultr.errors import DataError, UsageError
from ultr.eval.evaluate import evaluate
from ultr.eval.ranking import ranking_metrics
from ultr.lake import open_lake
from ultr.split import SPLITS, query_split


def expected(source, *, split, scores, gain="exponential"):
    """Metrics of the queries of a split from the arrays themselves; document 4 is unjudged."""
    of_split = np.arange(len(source["query_id"]))
    if split != "all":
        of_split = np.flatnonzero(query_split(source["query_id"]) == SPLITS.index(split))
    grades = source["grades"][of_split].copy()
    grades[:, 4] = 0
    n, k = grades.shape
    return n, ranking_metrics(
        scores[of_split].reshape(-1),
        grades.reshape(-1),
        query=np.repeat(np.arange(n), k),
        document=source["doc_id"][of_split].reshape(-1),
        max_grade=4,
        gain=gain,
    )


def by_quality(source):
    scores = source["features"][:, :, 0].copy()
    scores[[0, 1], 0] = 0  # the first document of each bucket has no features
    return scores


@pytest.mark.parametrize("split", [*SPLITS, "all"])
@pytest.mark.parametrize("gain", ["exponential", "linear"])
def test_a_lake_is_ranked_by_features(lake, feature_run, source, split, gain):
    got = evaluate(feature_run, lake=lake, queries=split, gain=gain)
    n, want = expected(source, split=split, scores=by_quality(source), gain=gain)
    assert (got["queries"], got["gain"], got["max_grade"]) == (split, gain, 4)
    assert got["n_queries"] == len(want["query"])
    assert got["n_queries"] + got["n_queries_without_relevant"] == n
    for name in ("ndcg@1", "ndcg@3", "ndcg@5", "ndcg@10", "err@10", "mrr", "map", "precision@5"):
        assert got[name] == pytest.approx(want[name].mean()), name


def test_test_queries_are_the_default(lake, feature_run):
    got = evaluate(feature_run, lake=lake)
    assert got == evaluate(feature_run, lake=lake, queries="test")
    assert got["queries"] == "test"


def test_a_lake_is_ranked_by_pairs_without_reading_features(lake, table_run, source):
    got = evaluate(table_run, lake=lake, queries="all")
    scores = (source["doc_id"] % 7).astype(np.float32)
    _, want = expected(source, split="all", scores=scores)
    assert got["ndcg@10"] == pytest.approx(want["ndcg@10"].mean())


def test_per_query_values_average_to_the_result(lake, feature_run, tmp_path):
    out = tmp_path / "per_query.parquet"
    got = evaluate(feature_run, lake=lake, per_query=out)
    table = pq.read_table(out)
    assert table.num_rows == got["n_queries"]
    assert (query_split(table["query_id"].to_numpy()) == SPLITS.index("test")).all()
    assert table["ndcg@10"].to_numpy().mean() == pytest.approx(got["ndcg@10"])
    assert [p.name for p in tmp_path.glob("*per_query*")] == [out.name]


def test_max_grade_can_be_given(lake, feature_run):
    wide, narrow = (
        evaluate(feature_run, lake=lake, queries="all", max_grade=g)["err@10"] for g in (5, 2)
    )
    assert narrow > wide


def listwise(source, lists, *, scores):
    """−Σ c log softmax(f + g) / Σ c over (query, list) pairs, in a loop."""
    total = clicks = 0.0
    for q, i in lists:
        joint = scores[q, 1:4] - 0.5 * np.array([1, 2, 3])
        log_softmax = joint - np.log(np.exp(joint).sum())
        c = source["clicks"][q, i] * 3
        total, clicks = total - (c * log_softmax).sum(), clicks + c.sum()
    return total / clicks


def test_clicks_are_held_out_by_query_for_rankers_on_features(lake, feature_run, source):
    got = evaluate(feature_run, lake=lake)
    kept = np.flatnonzero(query_split(source["query_id"]) == SPLITS.index("test"))
    lists = [(q, i) for q in kept for i in range(2)]
    want = listwise(source, lists, scores=by_quality(source))
    assert got["click_nll_listwise"] == pytest.approx(want, rel=1e-5)
    assert (got["held_out_by"], got["n_sessions"]) == ("query", 3 * len(lists))
    assert not {"click_nll", "perplexity", "propensity_rmse"} & set(got)


def test_clicks_are_held_out_by_session_for_rankers_by_pair(lake, table_run, source):
    got = evaluate(table_run, lake=lake)
    n = len(source["query_id"])
    numbers = [(q // 2 * 2 + i, q, i) for q in range(n) for i in range(2)]
    lists = [(q, i) for number, q, i in numbers if number % 3 == SPLITS.index("test")]
    scores = (source["doc_id"] % 7).astype(np.float32)
    assert got["click_nll_listwise"] == pytest.approx(listwise(source, lists, scores=scores))
    assert got["held_out_by"] == "session"


def test_clicks_are_held_out_as_they_were_in_training(lake, feature_run):
    feature_run.config["selected_by"] = "session"
    assert evaluate(feature_run, lake=lake)["held_out_by"] == "session"


def test_click_nll_is_for_methods_that_predict_probabilities(lake, feature_run, source):
    feature_run.config["predicts_probability"] = True
    got = evaluate(feature_run, lake=lake, queries="all")
    logits = by_quality(source)[:, None, 1:4] - 0.5 * np.array([1, 2, 3])
    p = 1 / (1 + np.exp(-logits))
    nll = -np.log(np.where(source["clicks"] == 1, p, 1 - p))
    assert got["click_nll"] == pytest.approx(nll.mean(), rel=1e-5)
    ranks = np.exp(nll.mean(axis=(0, 1)))
    assert [got[f"perplexity@{k}"] for k in (1, 2, 3)] == pytest.approx(ranks, rel=1e-5)
    assert got["perplexity"] == pytest.approx(ranks.mean(), rel=1e-5)
    assert "held_out_by" not in got


def test_without_grades_only_the_clicks_are_evaluated(lake, feature_run, change):
    change(lambda commit: commit.remove("judgments"))
    got = evaluate(feature_run, lake=lake)
    assert got["click_nll_listwise"] > 0
    assert "n_queries" not in got


def test_without_lists_only_the_grades_are_evaluated(lake, feature_run, change):
    change(lambda commit: commit.remove("lists"))
    got = evaluate(feature_run, lake=lake)
    assert got["n_queries"] > 0
    assert "click_nll_listwise" not in got


def test_with_neither_the_next_command_is_named(lake, feature_run, change):
    change(lambda commit: (commit.remove("judgments"), commit.remove("lists")))
    with pytest.raises(DataError, match="ultr judgments FILE"):
        evaluate(feature_run, lake=lake)


def test_grades_without_lists_name_the_next_command(lake, feature_run, change):
    change(lambda commit: commit.remove("candidates"))
    with pytest.raises(DataError, match="ultr lists"):
        evaluate(feature_run, lake=lake)


def test_grades_that_are_newer_than_the_lists_are_told(lake, feature_run, change, source):
    test = source["query_id"][query_split(source["query_id"]) == SPLITS.index("test")][:1]
    new = pa.table({"query_id": test, "doc_id": [1], "grade": [1]})
    change(lambda commit: commit.write("judgments", new))
    with pytest.raises(DataError, match=r"1 of .* are not\b[^$]*ultr lists"):
        evaluate(feature_run, lake=lake)


def test_a_split_without_judged_queries_is_told(lake, feature_run, change, source):
    train = source["query_id"][query_split(source["query_id"]) == 0][:1]
    change(lambda commit: commit.remove("judgments"))
    rows = pa.table({"query_id": train, "doc_id": [1], "grade": [1]})
    change(lambda commit: commit.write("judgments", rows))
    with pytest.raises(DataError, match="--queries all"):
        evaluate(feature_run, lake=lake)


@pytest.mark.parametrize(
    ("names", "words"), [(["quality", "other"], "other"), (["noise", "quality"], "another order")]
)
def test_other_features_in_the_lake_are_told(lake, feature_run, names, words):
    feature_run.transform = SimpleNamespace(names=tuple(names))
    with pytest.raises(DataError, match=words):
        evaluate(feature_run, lake=lake)


def test_a_grade_above_the_given_scale_is_told(lake, feature_run):
    with pytest.raises(DataError, match="grades go up to 1"):
        evaluate(feature_run, lake=lake, queries="all", max_grade=1)


@pytest.fixture
def letor(tmp_path):
    """Two files; the first feature ranks qid 1 backwards, qid 2 perfectly, qid 3 has no grade."""
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text(
        "2 qid:1 1:0.1 2:5 # docid = x\n0 qid:1 1:0.9 2:5 # docid = y\n"
        "1 qid:2 1:0.7 2:5\n0 qid:2 1:0.2 2:5\n"
    )
    second.write_text("0 qid:3 1:0.3 2:1\n0 qid:3 1:0.4 2:1\n")
    return [first, second]


def test_letor_files_are_ranked_whole(letor, feature_run):
    got = evaluate(feature_run, letor=letor)
    assert (got["n_queries"], got["n_queries_without_relevant"]) == (2, 1)
    assert got["queries"] == "all"
    assert got["mrr"] == pytest.approx((1 / 2 + 1) / 2)
    assert got["ndcg@10"] == pytest.approx((1 / np.log2(3) + 1) / 2)
    assert got["err@10"] == pytest.approx((3 / 4 / 2 + 1 / 4) / 2)  # the top grade is 2
    features, query = feature_run.seen[0]
    assert features[:, 0].tolist() == pytest.approx([0.1, 0.9, 0.7, 0.2, 0.3, 0.4])
    assert query.tolist() == [0, 0, 1, 1, 2, 2]
    assert query.dtype == np.int32


def test_equal_scores_in_letor_rank_by_docid_from_the_last(tmp_path, feature_run):
    path = tmp_path / "ties.txt"
    path.write_text("1 qid:1 1:0 2:1 # docid = GX1\n0 qid:1 1:0 2:1 # docid = GX2\n")
    assert evaluate(feature_run, letor=[path])["mrr"] == pytest.approx(1 / 2)


def test_letor_without_any_relevant_document(letor, feature_run):
    got = evaluate(feature_run, letor=letor[1:])
    assert (got["n_queries"], got["n_queries_without_relevant"]) == (0, 1)
    assert "ndcg@10" not in got


def test_letor_per_query_has_the_qids(letor, feature_run, tmp_path):
    evaluate(feature_run, letor=letor, per_query=tmp_path / "q.parquet")
    table = pq.read_table(tmp_path / "q.parquet")
    assert table["query_id"].to_pylist() == ["1", "2"]
    assert table["n_documents"].to_pylist() == [2, 2]


def test_letor_with_another_number_of_features(letor, feature_run):
    feature_run.config["n_features"] = 46
    with pytest.raises(DataError, match=r"46 features(.|\n)*2 in .*(.|\n)*46:0"):
        evaluate(feature_run, letor=letor)


def test_propensity_error_against_the_truth(letor, feature_run, tmp_path):
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps({"relative_propensity": [1, 0.7]}))
    got = evaluate(feature_run, letor=letor, truth=truth)
    assert got["propensity_rmse"] == pytest.approx(np.sqrt(0.2**2 / 2))


@pytest.mark.parametrize("both", [True, False])
def test_a_lake_or_letor_files(lake, letor, feature_run, both):
    with pytest.raises(UsageError, match="both" if both else "neither"):
        evaluate(feature_run, lake=lake if both else None, letor=letor if both else ())


def test_unknown_settings_are_told(lake, feature_run):
    with pytest.raises(UsageError, match="gain"):
        evaluate(feature_run, lake=lake, gain="cubic")


def test_the_result_is_plain_json(lake, feature_run):
    got = evaluate(feature_run, lake=lake)
    assert json.loads(json.dumps(got)) == got


def test_a_result_that_cannot_be_written_is_told(lake, feature_run, tmp_path):
    with pytest.raises(UsageError, match="folder that exists"):
        evaluate(feature_run, lake=lake, per_query=tmp_path / "no" / "q.parquet")
    with pytest.raises(UsageError, match="is a folder"):
        evaluate(feature_run, lake=lake, per_query=tmp_path)


def call(capsys, *arguments):
    try:
        main(list(map(str, arguments)))
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def opened(monkeypatch, feature_run):
    """`open_run` gives the known run."""
    monkeypatch.setattr("ultr.eval.evaluate.open_run", lambda _: feature_run)


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("repeated", [True, False])
def test_the_command_takes_several_files(capsys, letor, repeated):
    files = ["--letor", letor[0], *(["--letor"] if repeated else []), letor[1]]
    code, out, err = call(capsys, "evaluate", "--run", "r", *files, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["n_queries_without_relevant"] == 1


@pytest.mark.usefixtures("opened")
def test_the_command_says_which_queries_and_what_is_missing(capsys, lake, change):
    code, out, _ = call(capsys, "evaluate", "--run", "r", "--lake", lake)
    assert code == 0
    assert out.splitlines()[1].split() == ["queries", "test"]
    change(lambda commit: commit.remove("judgments"))
    _, out, err = call(capsys, "evaluate", "--run", "r", "--lake", lake, "--json")
    assert "ndcg@10" not in json.loads(out)
    assert "ultr judgments" in err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--lake", "none"], 1, "run is a folder"),
        (["file.txt"], 2, "--letor file.txt"),
        ([], 2, "either --lake LAKE or --letor FILE"),
        (["--lake", "x", "--max-grade", "99"], 2, "max-grade"),
    ],
)
def test_wrong_calls_name_the_rule(capsys, tmp_path, arguments, code, words):
    got, _, err = call(capsys, "evaluate", "--run", tmp_path / "none", *arguments)
    assert got == code
    assert words in err


@pytest.mark.usefixtures("opened")
def test_a_missing_file_is_told(capsys, tmp_path):
    code, _, err = call(capsys, "evaluate", "--run", "r", "--letor", tmp_path / "none.txt")
    assert code == 1
    assert "none.txt" in err


def test_the_lake_is_only_read(lake, feature_run):
    before = open_lake(lake).manifest.version
    evaluate(feature_run, lake=lake)
    assert open_lake(lake).manifest.version == before
