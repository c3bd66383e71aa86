"""`ultr train` says what the curve rests on, and shows none that rests on nothing."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from ultr.cli import main
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.lists import ListsConfig, build_lists
from ultr.simulate import SimulateConfig, Synthetic, simulate


def lake_of(folder, **settings):
    judged = Synthetic(queries=60, docs=12, features=3)
    simulate(
        SimulateConfig(out=folder / "sim", synthetic=judged, sessions=4000, **settings), quiet=True
    )
    log = folder / "sim" / "log.tsv"
    ingest([log], lake=folder / "lake", config=IngestConfig(format="yandex"), quiet=True)
    build_lists(folder / "lake", config=ListsConfig(), quiet=True)
    return folder / "lake"


def train(capsys, lake, run, *options):
    words = ["--ranker", "table", "--set", "evaluations=1", "--overwrite", *options]
    main(["train", "--lake", str(lake), "--run", str(run), *words])
    out, err = capsys.readouterr()
    return out, err


@pytest.fixture(scope="module")
def fixed(tmp_path_factory):
    return lake_of(tmp_path_factory.mktemp("fixed"))


def test_a_curve_that_rests_on_nothing_is_not_printed(fixed, tmp_path, capsys):
    out, err = train(capsys, fixed, tmp_path / "run", "--json")
    result = json.loads(out)
    assert "propensities" not in result
    assert result["identification"]["state"] == "none"
    assert "not identified" in err
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["identification"] == result["identification"]
    schema = pq.read_schema(tmp_path / "run" / "propensities.parquet")
    assert schema.metadata[b"identification"] == b"none"


def test_unless_it_is_asked_for(fixed, tmp_path, capsys):
    out, err = train(capsys, fixed, tmp_path / "run", "--json", "--force")
    assert len(json.loads(out)["propensities"]) == 10
    assert "not identified" in err


def test_nothing_is_said_of_methods_that_learn_no_curve(fixed, tmp_path, capsys):
    out, err = train(capsys, fixed, tmp_path / "run", "--json", "--method", "naive")
    assert "propensities" in json.loads(out)
    assert "identified" not in err


def test_swaps_identify_a_curve(tmp_path, capsys):
    out, err = train(capsys, lake_of(tmp_path, logging="plackett-luce"), tmp_path / "run", "--json")
    result = json.loads(out)
    assert (result["identification"]["state"], len(result["propensities"])) == ("swaps", 10)
    assert "identified by swaps" in err
