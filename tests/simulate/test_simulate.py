"""The whole simulation: files, their agreement, seeds, and folders that stay whole."""

import json
from hashlib import md5

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from ultr.clicks import EXAMINATION
from ultr.errors import DataError, UsageError
from ultr.etl.ids import detect_rule
from ultr.logs import baidu, table, yandex
from ultr.logs.mapping import read_mapping
from ultr.simulate import SimulateConfig, Synthetic, sessions, simulate
from ultr.simulate import run as module

YANDEX = {"log.tsv", "features.parquet", "judgments.parquet", "truth.json"}
TABLE = {"log.parquet", "mapping.toml", *YANDEX} - {"log.tsv"}


def names(folder):
    return {p.name for p in folder.iterdir()}


def pages(folder, reader=yandex):
    """All pages as our own readers see them; nothing may be rejected."""
    if (folder / "log.tsv").exists():
        chunks = list(reader.read(folder / "log.tsv"))
    else:
        mapping = read_mapping(folder / "mapping.toml")
        chunks = list(table.read(folder / "log.parquet", mapping=mapping))
    assert sum(c.rejects.height for c in chunks) == 0
    assert all(c.repeated == 0 and c.ignored == 0 for c in chunks)
    columns = ("query_key", "doc_key", "position", "click")
    return pl.concat([c.pages.select(columns) for c in chunks])


def text(frame):
    return frame.select(
        pl.col("query_key").cast(pl.String).str.replace(":0$", ""),
        pl.col("doc_key").cast(pl.List(pl.String)),
        pl.col("position", "click").cast(pl.List(pl.Int64)),
    )


def test_a_yandex_log_and_a_table_tell_the_same(run):
    one, other = run("a", format="yandex"), run("b", format="table")
    assert (names(one), names(other)) == (YANDEX, TABLE)
    first = text(pages(one))
    assert first.height == 300
    assert_frame_equal(first, text(pages(other)))
    assert first["click"].list.sum().sum() > 0


def test_table_columns(run):
    folder = run(format="table")
    log = pl.read_parquet(folder / "log.parquet")
    assert dict(log.schema) == {
        "query_id": pl.Int64,
        "session_id": pl.Int64,
        "doc_id": pl.List(pl.Int64),
        "position": pl.List(pl.Int16),
        "click": pl.List(pl.Int8),
    }
    assert log["session_id"].to_list() == list(range(300))
    for name, column in (("features", pl.List(pl.Float32)), ("judgments", pl.Int16)):
        frame = pl.read_parquet(folder / f"{name}.parquet")
        assert frame.schema["query_id"] == pl.Int64
        assert frame.dtypes[-1] == column
        assert frame.select("query_id", "doc_id").is_unique().all()


def test_a_baidu_log_tells_it_too(run):
    one, other = run("a", format="yandex"), run("b", format="baidu")
    assert names(other) == YANDEX
    first, second = text(pages(one)), text(pages(other, baidu))
    digest = {key: md5(key.encode()).hexdigest() for key in first["doc_key"].explode().unique()}
    in_digests = first.with_columns(
        pl.col("doc_key").list.eval(pl.element().replace_strict(digest, return_dtype=pl.String))
    )
    assert_frame_equal(in_digests, second)
    assert detect_rule(second["doc_key"].explode()) == "hex"


@pytest.mark.parametrize("form", ["yandex", "baidu", "table"])
def test_every_shown_pair_has_features_and_a_grade(run, form):
    folder = run(format=form)
    reader = baidu if form == "baidu" else yandex
    shown = (
        pages(folder, reader).explode("doc_key", "position", "click").select("query_key", "doc_key")
    )
    shown = shown.cast(pl.String).unique()
    for name in ("features", "judgments"):
        keys = pl.read_parquet(folder / f"{name}.parquet").select(
            query_key=pl.col("query_id").cast(pl.String), doc_key=pl.col("doc_id").cast(pl.String)
        )
        assert shown.join(keys, on=["query_key", "doc_key"], how="anti").height == 0
        assert keys["query_key"].n_unique() == 26  # 20 logged, 30% more only judged
    assert shown["query_key"].n_unique() <= 20


def test_letor_short_pages_are_padded(run, letor):
    folder = run(letor=(letor,), sessions=40)
    lines = (folder / "log.tsv").read_text().splitlines()
    kinds = [line.split("\t")[2] for line in lines]
    assert {len(line.split("\t")) for line in lines} == {4, 15}
    assert kinds.count("Q") == 40
    times = [int(line.split("\t")[1]) for line in lines]
    assert times == sorted(set(times))
    seen = pages(folder)
    assert set(seen["query_key"]) == {"7:0", "9:0"}
    sizes = dict(zip(seen["query_key"], seen["doc_key"].list.len(), strict=True))
    assert sizes == {"7:0": 3, "9:0": 2}
    features = pl.read_parquet(folder / "features.parquet")
    assert features.rows()[0] == ("7:0", "a", [1.0, 0.5])
    assert json.loads((folder / "truth.json").read_text())["y_max"] == 2


def test_truth(run):
    truth = json.loads((run(eta=2, positions=4, format="table") / "truth.json").read_text())
    assert truth["examination"] == pytest.approx([r**2 for r in EXAMINATION[:4]])
    assert truth["relative_propensity"] == pytest.approx(
        [(r / EXAMINATION[0]) ** 2 for r in EXAMINATION[:4]]
    )
    assert (truth["click_model"], truth["eta"], truth["epsilon"]) == ("pbm", 2, 0.1)


def test_randomised_log_shows_the_planted_propensities(run):
    """CTR of a uniformly shuffled log is proportional to examination."""
    n = 60_000
    folder = run(logger="random", logging="plackett-luce", sessions=n, format="table",
                 synthetic=Synthetic(queries=20, docs=30, features=2))  # fmt: skip
    log = pl.read_parquet(folder / "log.parquet", columns=["click"])
    clicks = np.stack(log["click"].to_numpy()).sum(0, dtype=np.int64)
    expected = np.array(EXAMINATION) / EXAMINATION[0]
    error = expected * np.sqrt(1 / clicks + 1 / clicks[0])
    assert (np.abs(clicks / clicks[0] - expected)[1:] < 5 * error[1:]).all()


@pytest.mark.parametrize("logging", ["deterministic", "plackett-luce"])
def test_a_longer_log_begins_with_the_shorter(run, monkeypatch, logging):
    short = (run("a", sessions=50, logging=logging) / "log.tsv").read_bytes()
    monkeypatch.setattr(sessions, "_CELLS", 21 * 7)
    folder = run("b", sessions=90, logging=logging)
    assert (folder / "log.tsv").read_bytes().startswith(short)
    for name in ("features.parquet", "judgments.parquet"):
        assert (folder / name).read_bytes() == (folder.parent / "a" / name).read_bytes()


def test_a_low_temperature_keeps_pages_as_they_are(run):
    """Towards the fixed order of the deterministic logger, and towards chance."""
    fixed = pages(run("fixed", sessions=300))["doc_key"].to_list()

    def agreement(temperature):
        folder = run(f"t{temperature}", sessions=300, logging="plackett-luce",
                     temperature=temperature)  # fmt: skip
        drawn = pages(folder)["doc_key"].to_list()
        return np.mean([a == b for one, two in zip(fixed, drawn, strict=True)
                        for a, b in zip(one, two, strict=True)])  # fmt: skip

    found = [agreement(temperature) for temperature in (0.05, 0.3, 1.0, 100.0)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0.7
    assert found[-1] < 0.3


def test_seed_decides(run):
    one, same, other = run("a"), run("b"), run("c", seed=1)
    assert all((one / n).read_bytes() == (same / n).read_bytes() for n in YANDEX)
    assert all((one / n).read_bytes() != (other / n).read_bytes() for n in YANDEX)


def test_bias_changes_clicks_only(run):
    one, other = (pages(run(n, eta=e)) for n, e in (("a", 0.0), ("b", 2.0)))
    assert_frame_equal(one.drop("click"), other.drop("click"))
    assert one["click"].list.sum().sum() > other["click"].list.sum().sum()


def test_counts(tmp_path):
    config = SimulateConfig(
        out=tmp_path / "s", synthetic=Synthetic(queries=10, docs=8, features=3), sessions=100
    )
    result = simulate(config, quiet=True)
    seen = pages(tmp_path / "s")
    assert result["sessions"] == seen.height == 100
    assert result["impressions"] == seen["doc_key"].list.len().sum()
    assert result["clicks"] == seen["click"].list.sum().sum()
    assert (result["queries"], result["queries_judged_only"]) == (10, 3)
    assert result["bytes"] == (tmp_path / "s" / "log.tsv").stat().st_size


def test_an_earlier_simulation_is_replaced(run):
    run(format="table")
    assert names(run(format="yandex")) == YANDEX


def test_other_files_are_safe(run, tmp_path):
    (tmp_path / "sim").mkdir()
    (tmp_path / "sim" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds something else"):
        run()
    assert names(tmp_path / "sim") == {"thesis.txt"}
    assert names(run(is_forced=True)) == YANDEX | {"thesis.txt"}
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="holds something else"):
        run("file", is_forced=True)


def test_a_failure_leaves_nothing(run, tmp_path, monkeypatch):
    before = (run() / "log.tsv").read_bytes()
    monkeypatch.setattr(module, "write_judged", lambda *_, **__: 1 / 0)
    for name in ("sim", "new"):
        with pytest.raises(ZeroDivisionError):
            run(name, seed=5)
    assert names(tmp_path) == {"sim"}
    assert (tmp_path / "sim" / "log.tsv").read_bytes() == before


def test_a_judged_set_without_relevance(run, letor):
    letor.write_text("0 qid:1 1:1\n")
    with pytest.raises(DataError, match="above 0"):
        run(letor=(letor,))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"format": "xml"}, "yandex, baidu, ubi, table"),
        ({"click_model": "magic"}, "pbm"),
        ({"logger": "clever"}, "weak, strong, random"),
        ({"logging": "none"}, "plackett-luce"),
        ({"temperature": 0.0}, "0.05 to 100"),
        ({"temperature": float("nan")}, "0.05 to 100"),
        ({"positions": 11}, "1 to 10"),
        ({"sessions": 0}, "from 1"),
        ({"seed": -1}, "from 0"),
        ({"eta": -1.0}, "η"),
        ({"epsilon": 1.0}, "ε"),
        ({"synthetic": None}, "neither"),
    ],
)
def test_bad_settings(tmp_path, settings, message):
    with pytest.raises(UsageError, match=message):
        SimulateConfig(out=tmp_path, **{"synthetic": Synthetic(), **settings})
