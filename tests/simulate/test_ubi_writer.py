"""A simulated UBI log says what the Yandex log of the same seed says."""

import json

import pyarrow.parquet as pq
import pytest

import ultr
from ultr.etl.ingest import IngestConfig, ingest


def sessions(folder, form, **settings):
    (log,) = [p for p in folder.iterdir() if p.name.startswith("log.")]
    lake = folder / "lake"
    result = ingest([log], lake=lake, config=IngestConfig(format=form, **settings), quiet=True)
    assert (result["rejects"], result["repeated"], result["ignored"]) == (0, 0, 0)
    assert result["waiting"] == 0
    opened = ultr.open_lake(lake)
    keys = {r["query_id"]: r["key"] for r in opened.read("queries").to_pylist()}
    pages = sorted(opened.read("sessions").to_pylist(), key=lambda r: r["ordinal"])
    return result, [
        (keys[p["query_id"]].removesuffix(":0"), p["doc_id"], p["position"], p["click"])
        for p in pages
    ]


@pytest.mark.parametrize("settings", [{}, {"logging": "plackett-luce", "seed": 3}])
def test_round_trip(run, settings):
    result, pages = sessions(run("ubi", format="ubi", **settings), "ubi")
    _, expected = sessions(run("yandex", format="yandex", **settings), "yandex")
    assert len(pages) == 300
    assert pages == expected
    assert result["ordinal_base"] == {"ultr-simulate": 0}
    assert result["pages_by_impressions"] == 300


def test_keys_that_need_escaping(run, letor):
    letor.write_text('2 qid:7 1:1 #docid = a"\\b\n0 qid:7 1:0 #docid = ü,{}\n')
    folder = run(letor=(letor,), format="ubi", sessions=20)
    _, pages = sessions(folder, "ubi")
    assert {tuple(p[2]) for p in pages} == {(1, 2)}
    keys = ultr.open_lake(folder / "lake").read("documents")["key"].to_pylist()
    assert sorted(keys) == ['a"\\b', "ü,{}"]


def test_lines_are_ubi(run):
    folder = run(format="ubi", sessions=2)
    records = [json.loads(line) for line in (folder / "log.ndjson").read_text().splitlines()]
    kinds = [r.get("action_name", "query") for r in records]
    assert kinds[:11] == ["query", *["impression"] * 10]
    assert set(kinds) <= {"query", "impression", "click"}
    assert [r["event_attributes"]["position"]["ordinal"] for r in records[1:11]] == [*range(10)]
    assert records[0]["timestamp"] == "2026-01-01T00:00:00.000Z"


def test_features_fit_the_log(run):
    folder = run(format="ubi")
    sessions(folder, "ubi")
    keys = pq.read_table(folder / "features.parquet", columns=["query_id", "doc_id"])
    opened = ultr.open_lake(folder / "lake")
    assert opened.manifest.ids == {"query": "integer", "doc": "integer"}
    shown = {(p["query_id"], d) for p in opened.read("sessions").to_pylist() for d in p["doc_id"]}
    assert shown <= {tuple(r.values()) for r in keys.to_pylist()}
