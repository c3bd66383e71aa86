import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ultr.errors import DataError, UsageError
from ultr.sql import query
from ultr.sql.runs import RUN_TABLES, default_runs, find_runs
from ultr.sql.tables import duckdb_type

SETTINGS = {"method": "dla", "ranker": "mlp", "seed": 3}


def make_run(folder):
    folder.mkdir(parents=True)
    config = {"settings": SETTINGS, "lake": {"version": 4}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "summary.json").write_text(json.dumps({"sessions": 9, "epochs": 5, "seconds": 0.5}))
    lines = [{"phase": "joint", "epoch": 1, "rank_loss": 2.5, "steps": 4}, {"rank_loss": 1}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    curve = {"position": [1, 1], "propensity": [1.0, 0.5], "device": ["phone", "desk"]}
    pq.write_table(pa.table(curve), folder / "propensities.parquet")
    metrics = {"query_id": [7, 8], "ndcg@10": [1.0, None], "n": [1, 2]}
    pq.write_table(pa.table(metrics), folder / "per_query.parquet")
    return folder


@pytest.fixture
def run(tmp_path):
    return make_run(tmp_path / "it's" / "runs" / "a" / "b")


def asked(lake, sql, *folders):
    return query(lake, sql, runs=folders).fetchall()


def test_a_run_is_known_from_its_folder_and_from_those_above(lake, run):
    assert asked(lake, "select run from runs", run) == [("b",)]
    assert asked(lake, "select run from runs", run.parents[1]) == [("a/b",)]
    found = asked(lake, "select * exclude settings from runs", run)
    assert found == [("b", "dla", "mlp", 3, 4, 9, 5, None, None, 0.5)]
    assert json.loads(asked(lake, "select settings from runs", run)[0][0]) == SETTINGS


def test_what_a_run_measured_is_in_rows(lake, run):
    assert asked(lake, "from run_metrics", run) == [
        ("b", 1, "joint", 1, "rank_loss", 2.5),
        ("b", 1, "joint", 1, "steps", 4),
        ("b", 2, None, None, "rank_loss", 1),
    ]
    assert asked(lake, "from run_propensities", run) == [
        ("b", "device=phone", 1, 1.0),
        ("b", "device=desk", 1, 0.5),
    ]
    assert asked(lake, "from run_queries order by all", run) == [
        ("b", 7, "n", 1),
        ("b", 7, "ndcg@10", 1),
        ("b", 8, "n", 2),
    ]


@pytest.mark.parametrize("name", RUN_TABLES)
def test_views_have_the_declared_columns_with_and_without_runs(lake, run, name):
    expected = [(c.name, duckdb_type(c.type).upper()) for c in RUN_TABLES[name].columns]
    for folders in ([], [run]):
        view = query(lake, f"from {name}", runs=folders)
        assert list(zip(view.columns, map(str, view.types), strict=True)) == expected
    assert asked(lake, f"from {name}") == []


def test_runs_of_several_folders_stand_beside_each_other(lake, run, tmp_path):
    other = make_run(tmp_path / "other")
    found = asked(lake, "select run, count(*) from run_queries group by 1 order by 1", run, other)
    assert found == [("b", 3), ("other", 3)]
    assert list(find_runs([run, run])) == ["b"]
    with pytest.raises(UsageError, match="name of its own"):
        find_runs([run, make_run(tmp_path / "c" / "b")])


def test_what_is_no_finished_run_is_left_out(run):
    (run / "summary.json").unlink()
    assert find_runs([run]) == {}
    with pytest.raises(UsageError, match="no folder"):
        find_runs([run / "none"])


def test_a_run_judged_on_letor_files_has_no_queries_of_the_lake(lake, run):
    table = pa.table({"query_id": ["q1"], "mrr": [1.0]})
    pq.write_table(table, run / "per_query.parquet")
    assert asked(lake, "from run_queries", run) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("summary.json", b"{"),
        ("config.json", b"[]"),
        ("metrics.jsonl", b"{}\n7\n"),
        ("propensities.parquet", b"PAR1"),
        ("per_query.parquet", b""),
    ],
)
def test_a_damaged_file_of_a_run_is_named(lake, run, name, content):
    (run / name).write_bytes(content)
    with pytest.raises(DataError, match="files of a run"):
        asked(lake, "select 1", run)


def test_without_a_folder_given_the_one_beside_the_lake_is_taken(lake, run):
    assert default_runs(lake.root) == []
    beside = lake.root.parent / "runs"
    shutil.move(run.parents[1], beside)
    assert default_runs(lake.root) == [beside.resolve()]
