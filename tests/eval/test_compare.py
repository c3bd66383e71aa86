"""Runs against the first one, on the same queries."""

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.eval.conftest import FakeRun
from ultr.errors import DataError, UsageError
from ultr.eval import compare as module
from ultr.eval.compare import as_table, compare
from ultr.eval.evaluate import EvaluateConfig, evaluate
from ultr.eval.frequency import thirds
from ultr.lake import open_lake


class Opposite(FakeRun):
    """Ranks the other way round."""

    def score(self, features, query=None):
        return -super().score(features, query)


ALL = EvaluateConfig(queries="all")


@pytest.fixture
def found(lake, feature_run):
    other = Opposite(feature_run.config)
    return {(c.run, c.metric): c for c in compare([feature_run, renamed(other)], lake=lake,
                                                   config=ALL)}  # fmt: skip


def renamed(run):
    return replace(run, root=run.root.with_name("other"))


def test_values_are_those_of_evaluation(found, lake, feature_run):
    want = evaluate(feature_run, lake=lake, queries="all")
    for metric in ("ndcg@10", "dcg@10", "err@10", "mrr", "map", "click_nll_listwise"):
        assert found["fake", metric].value == pytest.approx(want[metric]), metric


def test_the_first_run_does_not_differ_from_itself(found):
    own = found["fake", "ndcg@10"]
    assert (own.difference, own.low, own.high, own.p) == (0, 0, 0, 1)


def test_differences_are_those_of_the_values(found):
    for metric in ("ndcg@10", "click_nll_listwise"):
        other, own = found["other", metric], found["fake", metric]
        assert other.difference == pytest.approx(other.value - own.value)
        assert other.low <= other.difference <= other.high
        assert 0 < other.p <= 1


def test_without_grades_clicks_are_compared(lake, feature_run, change):
    change(lambda c: c.remove("judgments"))
    found = compare([feature_run, renamed(Opposite(feature_run.config))], lake=lake, config=ALL)
    assert {c.metric for c in found} == {"click_nll_listwise"}


def test_one_run_is_no_comparison(lake, feature_run):
    with pytest.raises(UsageError, match="at least two runs"):
        compare([feature_run], lake=lake)


def test_neither_grades_nor_clicks(lake, feature_run, change):
    change(lambda c: [c.remove(name) for name in ("judgments", "lists")])
    with pytest.raises(DataError, match="has neither"):
        compare([feature_run, feature_run], lake=lake)


def test_runs_that_hold_out_other_sessions_are_compared_on_grades_only(
    lake, feature_run, table_run
):
    found = compare([feature_run, renamed(table_run)], lake=lake, config=ALL)
    assert "ndcg@10" in {c.metric for c in found}
    assert "click_nll_listwise" not in {c.metric for c in found}


def test_the_command_prints_and_writes_the_same(lake, feature_run, monkeypatch, tmp_path, capsys):
    from ultr.cli import main

    runs = {"a": feature_run, "b": renamed(Opposite(feature_run.config))}
    monkeypatch.setattr(module, "open_run", lambda path: runs[str(path)])
    out = tmp_path / "compared.parquet"
    main(["compare", "a", "b", "--lake", str(lake), "--queries", "all", "--json",
          "--out", str(out)])  # fmt: skip
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows == pq.read_table(out).to_pylist()
    assert as_table(compare(list(runs.values()), lake=lake, config=ALL)).to_pylist() == rows
    main(["compare", "a", "b", "--lake", str(lake), "--queries", "all"])
    text = capsys.readouterr().out
    assert "ndcg@10" in text
    assert "other" in text


def test_frequencies_are_thirds_of_the_sessions(lake, feature_run, tmp_path):
    out = tmp_path / "q.parquet"
    got = evaluate(feature_run, lake=lake, queries="all", per_query=out)
    table = pq.read_table(out)
    n_lists = open_lake(lake).read("lists")["n"].to_numpy().sum()
    assert table["sessions"].to_numpy().sum() <= n_lists
    names = np.asarray(table["frequency"].to_pylist())
    for name in np.unique(names):
        chosen = names == name
        assert got[f"n_queries_{name}"] == chosen.sum()
        want = table["ndcg@10"].to_numpy()[chosen].mean()
        assert got[f"ndcg@10_{name}"] == pytest.approx(want)


def test_one_giant_query_is_the_whole_head():
    assert thirds(np.array([1, 1, 10, 1])).tolist() == [2, 2, 0, 2]
    assert thirds(np.zeros(0, np.int64)).tolist() == []
