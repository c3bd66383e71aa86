"""Whole diagnoses: simulated lakes, what is missing, files, and the command."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ultr
from tests.diagnose import logs
from ultr.cli import main
from ultr.diagnose import DiagnoseConfig, write_diagnosis
from ultr.errors import DataError, UsageError
from ultr.lake import create_lake, open_lake

QUICK = DiagnoseConfig(replicates=40, weak_impressions=100)


def columns(query, _document):
    rng = np.random.default_rng(0)
    return rng.normal(size=(len(query), 3)).astype(np.float32)


def test_a_log_with_swaps(simulated):
    found = ultr.diagnose(simulated(features=columns), config=QUICK)
    assert found.state == "swaps"
    assert found.finding("identifiability").severity == "ok"
    assert found.finding("logging_policy").severity == "ok"  # the features are noise
    assert np.abs(np.array(list(found.auc.values())) - 0.5).max() < 0.2
    assert list(found.shown) == list(range(1, 11))
    assert sum(n for n, _ in found.shown.values()) == 40_000
    assert "randomised" not in found.curves.estimates
    assert found.finding("randomisation").numbers["rank_correlation"] > 0.1
    flat = found.flat()
    assert flat["all_pairs@1"] == 1
    assert flat["all_pairs@2_low"] < flat["all_pairs@2"] < flat["all_pairs@2_high"]
    assert all(isinstance(v, int | float | str | None) for v in flat.values())


def test_the_same_lake_gives_the_same_diagnosis(simulated):
    root = simulated(sessions=500)
    assert ultr.diagnose(root, config=QUICK).flat() == ultr.diagnose(root, config=QUICK).flat()


def test_shuffled_pages_are_recognised_and_give_the_planted_curve(simulated):
    found = ultr.diagnose(simulated(temperature=np.inf, sessions=6000), config=QUICK)
    curve = found.curves.estimates["randomised"]
    inside = (curve.low <= logs.planted()) & (logs.planted() <= curve.high)
    assert inside.sum() >= 9
    assert "look uniformly shuffled" in found.finding("randomisation").meaning


def test_what_is_called_shuffled_and_is_not_is_a_problem(simulated):
    root = simulated()
    found = ultr.diagnose(root, config=DiagnoseConfig(replicates=20, is_randomised=True))
    assert found.finding("randomisation").severity == "problem"
    assert "randomised" in found.curves.estimates


def test_drift_between_days_is_found(make_lake, tmp_path):
    rng = np.random.default_rng(0)
    query, document, grades = logs.pages(rng, queries=60, sessions=12_000)
    day = np.arange(12_000) % 3
    clicks = [logs.pbm(rng, grades, user=logs.User(eta=eta)) for eta in (1.0, 1.0, 0.3)]
    changed = np.where((day == 2)[:, None], clicks[2], clicks[0])
    root = make_lake(tmp_path / "changed", query, document, changed, day=day)
    found = ultr.diagnose(root, config=QUICK)
    assert found.finding("drift").severity == "warning"
    assert "2026-01-03" in found.finding("drift").meaning
    root = make_lake(tmp_path / "same", query, document, clicks[0], day=day)
    assert ultr.diagnose(root, config=QUICK).finding("drift").severity == "ok"


def test_train_takes_the_harvested_file(simulated, tmp_path):
    from ultr.train.propensities import read_propensities

    written = write_diagnosis(ultr.diagnose(simulated(), config=QUICK), tmp_path / "out")
    path = tmp_path / "out" / "propensities_all_pairs.parquet"
    assert path in written
    found = read_propensities(path, cells=np.arange(1, 11)[:, None])
    assert np.abs(found / logs.planted() - 1).max() < 0.6
    table = pq.read_table(path)
    assert table.column_names == ["position", "propensity", "low", "high"]
    told = json.loads((tmp_path / "out" / "findings.json").read_text())
    assert told["state"] == "swaps"
    assert set(told["findings"][0]) == {"name", "severity", "meaning", "advice", "numbers"}


def test_fixed_pages_have_no_swaps(make_lake, tmp_path):
    rng = np.random.default_rng(0)
    document = np.tile(np.arange(3), (600, 1))
    query, click = np.arange(600) % 30, rng.integers(0, 2, (600, 3))
    root = make_lake(tmp_path / "none", query, document, click)
    found = ultr.diagnose(root, config=QUICK)
    assert found.state == "none"
    assert found.finding("identifiability").severity == "problem"
    assert "Not measured" in found.finding("harvesting").meaning
    root = make_lake(tmp_path / "features", query, document, click, features=columns)
    assert ultr.diagnose(root, config=QUICK).state == "features only"


def test_an_empty_lake_says_what_it_needs(tmp_path):
    create_lake(tmp_path / "lake")
    found = ultr.diagnose(tmp_path / "lake")
    assert [f.name for f in found.findings] == ["log"]
    assert "ultr ingest" in found.findings[0].advice


def test_a_lake_without_lists_shows_the_log(simulated):
    root = simulated(sessions=50)
    with open_lake(root).commit("test") as change:
        change.remove("exposures")
    found = ultr.diagnose(root)
    assert found.state == "unknown"
    assert found.finding("clicks").severity == "ok"
    assert "ultr lists" in found.finding("identifiability").advice


def test_a_lake_without_clicks_shows_the_rest(make_lake, tmp_path):
    rng = np.random.default_rng(0)
    query, document, _ = logs.pages(rng, queries=10, sessions=400)
    root = make_lake(tmp_path / "lake", query, document, np.zeros((400, 10), np.int8))
    found = ultr.diagnose(root, config=QUICK)
    assert found.finding("clicks").severity == "problem"
    assert found.finding("swap_coverage").severity == "ok"
    assert found.curves.estimates == {}


def test_one_position_only(make_lake, tmp_path):
    click = np.random.default_rng(0).integers(0, 2, (50, 1))
    root = make_lake(tmp_path / "lake", np.arange(50) % 5, np.arange(50)[:, None], click)
    found = ultr.diagnose(root, config=QUICK)
    assert found.finding("identifiability").severity == "problem"
    assert "rank 1" in found.finding("identifiability").meaning
    assert found.shown == {1: (50, int(click.sum()))}


def test_programs_repeats_and_gaps_are_seen(make_lake, tmp_path):
    n = 40
    position = np.tile([1, 2, 4], (n, 1))
    click = np.ones((n, 3), np.int8)
    root = make_lake(tmp_path / "lake", np.zeros(n, int), np.tile([1, 2, 3], (n, 1)), click,
                     position=position)  # fmt: skip
    found = ultr.diagnose(root, config=QUICK)
    assert found.finding("clicks").severity == "warning"  # every result is clicked
    assert found.finding("position_gaps").numbers["share"] == 1
    # Visits are four pages of the same list: three of them repeat the first.
    assert found.finding("repeated_pages").numbers["share"] == 0.75
    users = open_lake(root).read("sessions")
    users = users.set_column(users.schema.get_field_index("user_id"), "user_id",
                             pa.array(["robot"] * 30 + ["a"] * 10))  # fmt: skip
    with open_lake(root).commit("test") as change:
        change.remove("sessions")
        change.write("sessions", users, source="a.tsv")
    eager = ultr.diagnose(root, config=QUICK).finding("eager_users")
    assert (eager.severity, eager.numbers["eager"]) == ("problem", 2)


def test_a_run_is_looked_at(simulated, tmp_path):
    run = tmp_path / "run"
    root = simulated(sessions=1000)
    with pytest.raises(DataError, match="a run is a folder"):
        ultr.diagnose(root, run=run)
    run.mkdir()
    table = {"position": np.arange(1, 11, dtype=np.int16), "propensity": np.ones(10)}
    pq.write_table(pa.table(table), run / "propensities.parquet")
    found = ultr.diagnose(root, run=run, config=QUICK)
    assert found.finding("effective_sample_size").numbers["share"] == 1
    assert "Not measured" in found.finding("residuals").meaning


@pytest.mark.parametrize("field", ["replicates", "weak_impressions", "memory_gib", "overlap_auc"])
def test_settings_out_of_range_are_usage_errors(field):
    with pytest.raises(UsageError):
        DiagnoseConfig(**{field: 0})


def test_the_command_prints_findings_or_json(simulated, tmp_path, capsys):
    root, out = simulated(sessions=800), tmp_path / "out"
    arguments = ["diagnose", "--lake", str(root), "--replicates", "20"]
    main([*arguments, "--out", str(out)])
    text = capsys.readouterr().out
    assert "position bias is identified by" in text
    assert "→" in text
    assert max(map(len, text.splitlines()[:-3])) <= 160
    main([*arguments, "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["state"] in ("swaps", "none")
    assert told["clicks.pages"] == 800
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--out", str(root / "x")])
    assert stop.value.code == 2
