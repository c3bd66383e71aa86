"""The nightly job on a small log in Yandex's format, whole and interrupted."""

import json
import random
from pathlib import Path

import pytest

from ultr.cli import main
from ultr.errors import UsageError
from ultr.jobs import JOBS, run_job
from ultr.jobs.nightly import stages
from ultr.jobs.nightly_config import NightlyConfig, plan
from ultr.jobs.stages import STATE, SUMMARY
from ultr.lake import open_lake

PIPELINES = Path(__file__).parents[2] / "pipelines"
EXAMINED = [1.0, 0.6, 0.4, 0.3, 0.25, 0.2, 0.2, 0.15, 0.15, 0.1]


def write_log(path, *, pages, seed):
    """Pages of 30 queries; a document is clicked when examined and its number is small."""
    draw = random.Random(seed)
    lines = []
    for session in range(pages):
        query = draw.randrange(30)
        urls = draw.sample(range(10), 10)
        shown = [f"{100 * query + u}" for u in urls]
        lines.append("\t".join([f"{seed}-{session}", "0", "Q", str(query), "1", *shown]))
        for rank, (url, name) in enumerate(zip(urls, shown, strict=True)):
            if draw.random() < EXAMINED[rank] * (1 - url / 10):
                lines.append("\t".join([f"{seed}-{session}", str(rank + 1), "C", name]))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "logs").mkdir()
    write_log(tmp_path / "logs" / "day1.tsv", pages=300, seed=1)
    return tmp_path


def nightly(place, **changes):
    paths = {k: str(place / k) for k in ("logs", "lake", "work")}
    quick = {"train.evaluations": 2, "train.min_steps": 1, "train.patience": 1}
    return run_job("nightly", PIPELINES / "nightly.toml", changes={**paths, **quick, **changes})


def statuses(summary):
    return {s["stage"]: s["status"] for s in summary["stages"]}


def test_the_whole_way_then_a_new_log_and_then_nothing_to_do(place):
    first = nightly(place)
    assert first["ok"], first["error"]
    assert set(statuses(first).values()) == {"done"}
    results = {s["stage"]: s["result"] for s in first["stages"]}
    assert results["ingest"]["sessions"] == 300
    assert (Path(results["train"]["run"]) / "config.json").exists()
    assert results["evaluate"]["click_nll_listwise"] > 0
    assert json.loads((place / "work" / SUMMARY).read_text())["stages"] == first["stages"]

    assert set(statuses(nightly(place)).values()) == {"skipped"}

    retrained = statuses(nightly(place, **{"train.seed": 2}))
    assert [s for s, status in retrained.items() if status == "done"] == ["train", "evaluate"]

    write_log(place / "logs" / "day2.tsv", pages=100, seed=2)
    second = nightly(place)
    assert set(statuses(second).values()) == {"done"}
    assert open_lake(place / "lake").rows("sessions") == 400


def test_bad_data_fails_at_its_stage_and_the_next_run_starts_there(place):
    bad = place / "logs" / "bad.tsv"
    bad.write_text("not a log\n" * 500)
    summary = nightly(place)
    assert (summary["ok"], summary["exit_code"]) == (False, 1)
    assert statuses(summary) == {"ingest": "failed"}
    bad.unlink()
    assert nightly(place)["ok"]


def test_a_failure_is_told_once(place, capsys):
    (place / "logs" / "day1.tsv").write_text("not a log\n" * 500)
    sets = [f"--set={k}={place / k}" for k in ("logs", "lake", "work")]
    with pytest.raises(SystemExit) as stop:
        main(["job", "nightly", "--config", str(PIPELINES / "nightly.toml"), *sets])
    out, err = capsys.readouterr()
    assert stop.value.code == 1
    assert (out + err).count("next:") == 1


def test_a_corrected_mapping_and_missing_values_reach_their_stages(place):
    mapping = place / "mapping.toml"
    mapping.write_text("[columns]\n")
    table = {"ingest": {"format": "table", "mapping": str(mapping)}}
    features = {"source": str(place / "f.parquet"), "allow_missing": True}
    folders = {k: place / k for k in ("logs", "lake", "work")}
    typed = plan(NightlyConfig(**folders, **table, features=features), "test")
    assert typed.features.allow_missing
    ingest, *_ = stages(typed)
    before = ingest.inputs()
    mapping.write_text("[columns]\nquery = 'q'\n")
    assert ingest.inputs() != before


def test_no_logs_are_told(tmp_path):
    (tmp_path / "logs").mkdir()
    summary = nightly(tmp_path)
    assert summary["exit_code"] == 1
    assert "pattern" in summary["error"]


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("train.method", "magic", r"\[train\]: method"),
        ("lists.period", 3, r"\[lists\]: period"),
        ("ingest.formt", "table", "did you mean 'format'"),
        ("evaluate.queries", "some", r"\[evaluate\]: queries"),
        ("features.source", 3, r"\[features\]: source"),
        ("logs.folder", "x", "goes into a table"),
        ("lgs", "x", "did you mean 'logs'"),
    ],
)
def test_a_mistake_in_any_table_shows_before_the_first_stage(place, key, value, words):
    with pytest.raises(UsageError, match=words):
        nightly(place, **{key: value})
    assert not (place / "work" / STATE).exists()
    assert not (place / "lake").exists()


def test_each_job_has_a_toml_and_a_module_in_pipelines():
    for name in JOBS:
        assert (PIPELINES / f"{name}.toml").exists()
        assert (PIPELINES / f"{name}.py").exists()
