"""The mappings that come with the project: each is one, and real files go through to lists."""

from __future__ import annotations

from pathlib import Path

import pytest

import ultr
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.lists import ListsConfig, build_lists
from ultr.logs.mapping import read_mapping

MAPPINGS = Path(__file__).parents[2] / "pipelines" / "mappings"


@pytest.mark.parametrize("path", sorted(MAPPINGS.glob("*.toml")), ids=lambda p: p.stem)
def test_each_is_a_mapping(path):
    assert read_mapping(path).columns.click is not None


def test_the_shops_example_reads_its_own_columns(tmp_path):
    names = "search_id,search_term,sku,product_name,rank,clicked,customer_id,shown_at,device,"
    rows = ["s,shoes,k1,Red,1,no,c,2026-01-01,phone,10.5,3,0",
            "s,shoes,k2,Blue,2,yes,c,2026-01-01,phone,20,0,1"]  # fmt: skip
    (tmp_path / "a.csv").write_text("\n".join([names + "price_eur,stock,cart", *rows]))
    config = IngestConfig(format="table", mapping=MAPPINGS / "shop.toml")
    ingest([tmp_path / "a.csv"], lake=tmp_path / "lake", config=config)
    lake = ultr.open_lake(tmp_path / "lake")
    (page,) = lake.read("sessions").to_pylist()
    assert page["log_features"] == [[10.5, 3.0], [20.0, 0.0]]
    assert page["feedback"] == [{"action": "add_to_cart", "count": [0, 1]}]
    assert (page["page_id"], page["click"]) == ("s", [0, 1])
    assert lake.manifest.meta["log_features"] == {"names": ["price", "stock"]}
    documents = lake.read("documents").to_pylist()
    assert {(d["key"], d["title"]) for d in documents} == {("k1", "Red"), ("k2", "Blue")}


REAL = {
    "open_bandit": ("open_bandit/random_men.csv", {"sessions": 1000, "clicks": 5}, 3),
    "trec2014": ("trec2014/sessions.txt", {"sessions": 363, "clicks": 165}, 10),
}


@pytest.mark.parametrize("name", REAL)
def test_real_tables_go_from_ingest_to_lists(real_data, tmp_path, name):
    (file, counts, positions), lake = REAL[name], tmp_path / "lake"
    config = IngestConfig(format="table", mapping=MAPPINGS / f"{name}.toml")
    result = ingest([real_data / file], lake=lake, config=config)
    assert {k: result[k] for k in counts} == counts
    assert result["rejects"] == 0
    lists = build_lists(lake, config=ListsConfig())
    assert {k: lists[k] for k in counts} == counts
    assert lists["positions"] == positions
