"""What the analyses say of the tiny lake and of two runs beside it, counted by hand."""

import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ultr.lake import create_lake
from ultr.sql import connect, load
from ultr.sql.connection import run


def answer(lake, name, runs=(), **given):
    named = load(name)
    relation = run(connect(lake, runs=runs), named.sql, named.bind(given))
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


def columns(rows, *names):
    return [tuple(r[n] for n in names) for r in rows]


@pytest.fixture
def runs(tmp_path):
    """Runs `naive` and `dla` as training and evaluation leave them, and one that did not finish."""
    root = tmp_path / "runs"
    measured = {"naive": [0.5, 0.25], "dla": [1.0, 0.0]}
    for name, values in measured.items():
        folder = root / name
        folder.mkdir(parents=True)
        config = {"settings": {"method": name, "ranker": "mlp", "seed": 3}, "lake": {"version": 1}}
        (folder / "config.json").write_text(json.dumps(config))
        (folder / "summary.json").write_text(json.dumps({"sessions": 2, "epochs": 5}))
        line = {"phase": "joint", "epoch": 1, "rank_loss": 2.5, "steps": 4}
        (folder / "metrics.jsonl").write_text(json.dumps(line) + "\n")
        curve = {"position": pa.array([1, 2], pa.int16()), "propensity": [1.0, 0.5]}
        pq.write_table(pa.table(curve), folder / "propensities.parquet")
        metrics = {"query_id": [7, 8], "ndcg@10": values, "n_relevant": [1, 1]}
        pq.write_table(pa.table(metrics), folder / "per_query.parquet")
    (root / "broken").mkdir()
    (root / "broken" / "config.json").write_text("{}")
    return root


@pytest.fixture
def timed_lake(lake, make_rows):
    """Pages on two devices with a bias context and dwell times, beside those of `lake`."""
    page = {"source": "t", "query_id": 9, "period": "all", "doc_id": [1, 2], "position": [1, 2]}
    pages = [
        page | {"ordinal": 1, "click": [1, 0], "device": "phone", "dwell_s": [10.0, None]},
        page | {"ordinal": 2, "click": [1, 1], "device": "phone", "dwell_s": [40.0, 5.0]},
        page | {"ordinal": 3, "click": [0, 0], "device": "desk"},
    ]
    seen = {"query_id": 9, "doc_id": 1, "position": 1, "impressions": 2}
    exposures = [seen | {"context": "phone", "clicks": 2}, seen | {"context": "desk", "clicks": 1}]
    with lake.commit("test") as change:
        change.write("sessions", make_rows("sessions", pages), source="t")
        change.write("exposures", make_rows("exposures", exposures), period="all")
    return create_lake(lake.root)


def test_ctr_by_context_is_relative_within_the_context(timed_lake):
    found = answer(timed_lake, "ctr_by_context", period="all")
    names = ("context", "position", "ctr", "ctr_relative")
    assert columns(found, *names) == [("desk", 1, 0.5, 1), ("phone", 1, 1, 1)]
    assert columns(answer(timed_lake, "ctr_by_context", period="2026-01-01"), *names) == [
        ("", 1, 1 / 2, 1),
        ("", 2, 0, 0),
    ]


def test_ctr_and_abandonment_by_device(timed_lake):
    found = answer(timed_lake, "ctr_by_device", period="all")
    names = ("device", "position", "impressions", "clicks", "ctr_relative")
    assert columns(found, *names) == [
        ("desk", 1, 1, 0, None),
        ("desk", 2, 1, 0, None),
        ("phone", 1, 2, 2, 1),
        ("phone", 2, 2, 1, 1 / 2),
    ]
    found = answer(timed_lake, "abandonment_by_device")
    assert columns(found, "device", "documents", "sessions", "abandonment_rate") == [
        ("desk", 2, 1, 1),
        ("phone", 2, 2, 0),
        (None, 1, 1, 0),
        (None, 2, 2, 1 / 2),
    ]


def test_dwell_by_position(timed_lake):
    first, second = answer(timed_lake, "dwell_by_position")
    assert (first["clicks"], first["timed_clicks"]) == (4, 2)  # the tiny lake has no times
    assert (first["mean_dwell_s"], first["short_share"]) == (25, 1 / 2)
    assert (second["median_dwell_s"], second["short_share"]) == (5, 1)
    assert answer(timed_lake, "dwell_by_position", short_s=5)[1]["short_share"] == 0


def test_abandonment_by_query(lake):
    found = answer(lake, "abandonment_by_query", min_sessions=2)
    assert columns(found, "query", "sessions", "abandonment_rate") == [("seven", 2, 1 / 2)]
    assert answer(lake, "abandonment_by_query") == []


def test_attention_to_top_queries(lake):
    seven, eight = answer(lake, "attention_to_top_queries")
    assert (seven["query"], seven["impressions"], seven["impression_share"]) == ("seven", 4, 4 / 5)
    assert (seven["clicks"], seven["click_share"], seven["ctr_first"]) == (1, 1 / 2, 1 / 2)
    assert (eight["first_click_share"], eight["mean_click_position"]) == (1, 1)
    assert answer(lake, "attention_to_top_queries", top=1) == [seven]


def test_click_entropy_is_that_of_the_shares(lake, make_rows):
    seen = {"query_id": 7, "position": 1, "context": "", "impressions": 9}
    more = [seen | {"doc_id": 2, "clicks": 2}, seen | {"doc_id": 3, "clicks": 1}]
    with lake.commit("test") as change:
        change.write("exposures", make_rows("exposures", more), period="2026-01-03")
    seven, eight = answer(create_lake(lake.root), "click_entropy")
    shares = (1 / 4, 2 / 4, 1 / 4)  # of the documents 1, 2 and 3
    assert seven["entropy_bits"] == pytest.approx(-sum(s * math.log2(s) for s in shares))
    assert (seven["documents_clicked"], seven["top_document_share"]) == (3, 1 / 2)
    assert (eight["clicks"], eight["entropy_bits"]) == (1, 0)


def test_drift_by_period(lake):
    first, second = answer(lake, "drift_by_period")
    assert (first["period"], first["queries"], first["new_queries"]) == ("2026-01-01", 1, 1)
    # Rank 1 is clicked 2 times of 3 over all periods, rank 2 never.
    assert (first["ctr"], first["ctr_expected"]) == (1 / 4, pytest.approx(2 * (2 / 3) / 4))
    assert first["ctr_ratio"] == pytest.approx(3 / 4)
    assert (second["ctr"], second["ctr_ratio"]) == (1, pytest.approx(3 / 2))


def test_drift_counts_a_query_as_new_once(lake, make_rows):
    row = {"query_id": 7, "n": 1, "weight": 1.0, "weight_sq": 1.0}
    row |= {"row": [0], "position": [1], "click": [0]}
    seen = {"query_id": 7, "doc_id": 1, "position": 1, "context": "", "impressions": 1, "clicks": 0}
    with lake.commit("test") as change:
        change.write("lists", make_rows("lists", [row]), bucket=0, period="2026-01-03")
        change.write("exposures", make_rows("exposures", [seen]), period="2026-01-03")
    found = answer(create_lake(lake.root), "drift_by_period")
    assert columns(found, "queries", "new_queries") == [(1, 1), (1, 1), (1, 0)]


def test_propensities_beside_ctr(lake, runs):
    found = answer(lake, "propensities_beside_ctr", [runs], run="dla")
    names = ("run", "position", "propensity", "ctr_relative", "ratio")
    assert columns(found, *names) == [("dla", 1, 1, 1, 1), ("dla", 2, 0.5, 0, 0)]
    assert len(answer(lake, "propensities_beside_ctr", [runs])) == 4


def test_lift_between_runs(lake, runs):
    found = answer(lake, "lift_by_query", [runs])
    assert columns(found, "query", "impressions", "baseline", "value", "lift") == [
        ("seven", 4, 0.5, 1, 0.5),
        ("eight", 1, 0.25, 0, -0.25),
    ]
    assert len(answer(lake, "lift_by_query", [runs], top=1)) == 1
    (band,) = answer(lake, "lift_by_traffic", [runs])
    assert (band["impressions_from"], band["queries"]) == (1, 2)
    assert (band["baseline"], band["value"], band["lift"]) == (0.375, 0.5, 0.125)
    # Of the lifts 1/2 and -1/4: deviation 3/4 / √2, and √2 once more for the mean.
    assert band["standard_error"] == pytest.approx(3 / 8)
    assert (band["better"], band["worse"]) == (1, 1)
    assert answer(lake, "lift_by_traffic", [runs], run="nobody") == []


def test_pairs_count_over_ranks_and_periods(lake):
    found = connect(lake).sql("select * exclude first_period from pairs order by all").fetchall()
    assert found == [(7, 1, 2, 2, 1), (7, 2, 2, 2, 0), (8, 3, 1, 1, 1)]
