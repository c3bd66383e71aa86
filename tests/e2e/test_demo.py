"""The demo, small: the whole way from raw log to page, as `ultr demo` goes it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ultr.demo import DemoConfig, demo
from ultr.errors import UsageError


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    config = DemoConfig(out=out, sessions=20_000, queries=150, docs=20, features=12)
    return config, demo(config)


def test_the_bias_is_found_from_clicks(made):
    _, result = made
    assert result["methods"]["dla"]["propensity_rmse"] < 0.1
    no_bias = result["methods"]["naive"]["propensity_rmse"]
    assert no_bias > 0.5
    assert result["methods"]["ipw"]["propensity_rmse"] < 1e-6


def test_nothing_is_lost_on_the_way(made):
    config, _ = made
    import ultr

    lake = ultr.open_lake(config.lake)
    assert lake.rows("sessions") == 20_000
    assert lake.rows("rejects") == 0
    counted = lake.read("lists", columns=["n"])["n"].to_numpy().sum()
    assert counted == 20_000


def test_training_refuses_lists_that_are_older_than_the_features(made, tmp_path):
    import shutil

    from ultr.errors import DataError
    from ultr.etl.features import add_features
    from ultr.train import TrainConfig, train_lake

    config, _ = made
    lake = tmp_path / "lake"
    shutil.copytree(config.lake, lake)
    add_features(lake, source=config.simulation / "features.parquet")
    with pytest.raises(DataError, match=r"features of .* changed since"):
        train_lake(lake=lake, run=tmp_path / "run", config=TrainConfig())
    assert not (tmp_path / "run").exists()


def test_the_page_tells_the_numbers(made):
    config, result = made
    html = config.report.read_text(encoding="utf-8")
    for method in result["methods"].values():
        assert f"{method['ndcg@10']:.4f}" in html
    truth = json.loads(config.truth.read_text())["relative_propensity"]
    assert all(f"{p:.3f}" in html for p in np.asarray(truth))


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError):
        demo(DemoConfig(out=tmp_path, sessions=1000))
    assert (tmp_path / "mine.txt").read_text() == "keep"
