"""A query whose lists are spread over buckets, in training, scoring and evaluation."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ultr.data import load_lists
from ultr.data.load import concatenate, list_buckets, load_buckets
from ultr.etl.lists import ListsConfig, build_lists
from ultr.eval.evaluate import evaluate
from ultr.lake import create_lake, open_lake
from ultr.schema import TABLES
from ultr.serve.score import score
from ultr.train import fit, open_run
from ultr.train.pair_rows import pair_rows, pairs_of

QUICK = {"evaluations": 1, "min_steps": 1}
DOCUMENTS = 6


def rows(table, records):
    schema = TABLES[table].arrow()
    return pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in records], schema)


@pytest.fixture(scope="module")
def lake(tmp_path_factory):
    """Query 0 has most sessions and is split; queries show six documents, one more is judged."""
    root, rng = tmp_path_factory.mktemp("split") / "lake", np.random.default_rng(0)
    pages = []
    for i, query in enumerate(np.where(rng.random(600) < 0.7, 0, rng.integers(0, 30, 600))):
        docs = (10 * query + rng.permutation(DOCUMENTS)[:3]).tolist()
        click = [int(c) for c in rng.random(3) < (0.5, 0.3, 0.2)]
        page = {"source": "a", "ordinal": i + 1, "query_id": int(query), "period": "all"}
        pages.append(page | {"doc_id": docs, "position": [1, 2, 3], "click": click, "weight": 1.0})
    pairs = [(q, 10 * q + d) for q in range(30) for d in range(DOCUMENTS + 1)]
    with create_lake(root).commit("test") as change:
        change.manifest.ids.update({"query": "integer", "doc": "integer"})
        change.write("sessions", rows("sessions", pages), source="a")
        judged = [{"query_id": q, "doc_id": d, "grade": d % 3} for q, d in pairs]
        change.write("judgments", rows("judgments", judged))
        given = [{"query_id": q, "doc_id": d, "features": [d % 10, q % 7]} for q, d in pairs]
        change.write("features", rows("features", given))
        change.manifest.meta["features"] = {"names": ["a", "b"]}
    config = ListsConfig(lists_per_query=50, buckets=2)
    assert build_lists(root, config=config, quiet=True)["split_queries"] == 1
    return root


@pytest.mark.parametrize("ranker", ["linear", "table"])
def test_each_document_is_scored_once(lake, tmp_path, ranker):
    run = fit(load_lists(lake), run=tmp_path / "run", ranker=ranker, **QUICK)
    score(run.root, lake=lake, out=tmp_path / "scores.parquet")
    found = pq.read_table(tmp_path / "scores.parquet")
    pairs = list(zip(found["query_id"].to_pylist(), found["doc_id"].to_pylist(), strict=True))
    assert len(pairs) == len(set(pairs)) == 30 * (DOCUMENTS + 1)
    by_pair = dict(zip(pairs, found["score"].to_pylist(), strict=True))
    # What training learned about the documents of query 0 is found again.
    data = load_lists(lake)
    shown = np.unique(data.doc_row[data.document[data.query_id[data.list_query] == 0]])
    values = np.array([by_pair[0, int(d)] for d in data.doc_id[shown]])
    assert len(values) == DOCUMENTS
    assert np.ptp(values) > 0
    again = open_run(run.root).score_candidates(
        np.zeros(len(shown), np.int64), data.doc_id[shown], data.features[shown]
    )
    np.testing.assert_allclose(again, values, rtol=1e-5)


def test_rows_counted_bucket_by_bucket_are_those_of_the_whole(lake):
    source = open_lake(lake)
    whole = load_lists(source).one_row_per_pair()
    buckets = list_buckets(source)
    parts = [load_buckets(source, [b]).one_row_per_pair() for b in buckets]
    rows = pair_rows(parts)
    np.testing.assert_array_equal(rows.pairs, pairs_of(whole))
    np.testing.assert_array_equal(rows.row, whole.doc_row)
    assert len(rows.pairs.doc_id) < len(rows.row)
    places = [3, 0, 2]
    chosen = [parts[place] for place in places]
    joined = rows.numbered(
        concatenate(chosen), places, documents=[part.n_documents for part in chosen]
    )
    np.testing.assert_array_equal(rows.pairs.doc_id[joined.doc_row], joined.doc_id)
    query = joined.query_id[joined.doc_query]
    np.testing.assert_array_equal(rows.pairs.query_id[joined.doc_row], query)


def test_each_query_is_evaluated_once(lake, tmp_path):
    run = fit(load_lists(lake), run=tmp_path / "run", ranker="linear", **QUICK)
    out = tmp_path / "queries.parquet"
    found = evaluate(run.root, lake=lake, queries="all", per_query=out)
    assert found["n_queries"] == 30
    assert sorted(pq.read_table(out)["query_id"].to_pylist()) == list(range(30))
    assert found["n_sessions"] == 600


def test_the_transform_and_the_counts_see_a_document_once(lake):
    opened = open_lake(lake)
    repeated = [f for f in opened.files("candidates") if "repeats" in f.keys]
    assert {int(f.keys["bucket"]) for f in repeated} == set(range(2, 2 + len(repeated)))
    made = opened.manifest.meta
    assert made["lists"]["candidates"] == 30 * (DOCUMENTS + 1)
    own = [f for f in opened.files("candidates") if "repeats" not in f.keys]
    assert sum(f.rows for f in own) == made["lists"]["candidates"]
    features = np.stack(opened.read("candidates", bucket=2)["features"].to_pylist())
    assert np.isfinite(features).all()


def test_a_night_more_keeps_the_query_split(lake):
    with create_lake(lake).commit("test") as change:
        page = {"source": "b", "ordinal": 1, "query_id": 0, "period": "all", "weight": 1.0}
        shown = {"doc_id": [7777, 1, 2], "position": [1, 2, 3], "click": [1, 0, 0]}
        change.write("sessions", rows("sessions", [page | shown]), source="b")
    before = open_lake(lake).manifest.meta["lists"]["layout"]
    build_lists(lake, config=ListsConfig(lists_per_query=50), quiet=True)
    assert open_lake(lake).manifest.meta["lists"]["layout"] == before
    data = load_lists(lake)
    places = np.flatnonzero(data.doc_id == 7777)
    assert len(places) == 2  # in its query's bucket, and with the list
    assert len(set(data.doc_row[places])) == 1
    assert (data.doc_row[places] == places.min()).all()
