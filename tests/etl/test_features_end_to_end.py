"""From a log with texts and times to a trained, evaluated and scored ranker, features included."""

import pyarrow.parquet as pq
import pytest

from ultr.etl.features import add_features
from ultr.etl.lists import ListsConfig, build_lists
from ultr.eval.evaluate import evaluate
from ultr.lake import open_lake
from ultr.serve.score import score
from ultr.train import TrainConfig
from ultr.train.fit import train_lake


@pytest.mark.parametrize("ranker", ["linear", "table"])
def test_behaviour_and_texts_per_query(tmp_path, pages, make_lake, make_rows, ranker):
    log = pages(900, timed=True)
    lake = make_lake(tmp_path / "lake", log)
    pairs = {(p["query_id"], d) for p in log for d in p["doc_id"]}
    with open_lake(lake).commit("test") as change:
        texts = [{"query_id": q, "key": str(q), "text": f"w{q % 3}"} for q, _ in pairs]
        change.write("queries", make_rows("queries", texts))
        texts = [{"doc_id": d, "key": str(d), "title": f"w{d % 4} w0"} for _, d in pairs]
        change.write("documents", make_rows("documents", texts))
        judged = [{"query_id": q, "doc_id": d, "grade": d % 2} for q, d in pairs]
        change.write("judgments", make_rows("judgments", judged))
    fields = {"fields": ["title"]}
    transforms = {"lexical": "per-query", "behaviour.pair.clicks": "log1p"}
    add_features(lake, lexical=fields, behaviour={}, transforms=transforms)
    build_lists(lake, config=ListsConfig(buckets=2), quiet=True)
    config = TrainConfig(ranker=ranker, evaluations=1, min_steps=1)
    train_lake(lake=lake, run=tmp_path / "run", config=config)
    found = evaluate(tmp_path / "run", lake=lake, queries="all")
    assert found["n_queries"] + found["n_queries_without_relevant"] == 30
    assert found["click_nll_listwise"] > 0
    assert score(tmp_path / "run", lake=lake, out=tmp_path / "s.parquet")["documents"] == len(pairs)
    rows = pq.read_table(tmp_path / "s.parquet").to_pylist()
    assert {(r["query_id"], r["doc_id"]) for r in rows} == pairs
    if ranker == "table":
        known = pq.read_table(tmp_path / "run" / "documents.parquet")
        assert known.num_rows == len({(r["query_id"], r["doc_id"]) for r in known.to_pylist()})
