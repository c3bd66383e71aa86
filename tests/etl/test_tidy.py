"""Compaction changes no row, vacuum no file that counts, and drop takes what it says."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

import ultr
from tests.test_cli import call
from ultr.errors import DataError, UsageError
from ultr.etl.drop import DropConfig, drop
from ultr.etl.features import add_features
from ultr.etl.features_config import BehaviourConfig
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.judgments import add_judgments
from ultr.etl.lists import ListsConfig, build_lists
from ultr.etl.tidy import compact, vacuum
from ultr.lake_info import describe, sources_of
from ultr.logs import raw
from ultr.staleness import is_stale

CONFIG = IngestConfig(format="table")
HEADER = "page_id,query_id,doc_id,position,click,shown_at\n"


def csv(name, days=(1, 2)):
    rows = [
        f"{name}{d}{i},q{i},{name if i == 3 else ''}d{p},{p},{int(p == i)},2026-01-0{d}\n"
        for d in days
        for i in range(1, 5)
        for p in (1, 2, 3)
    ]
    return HEADER + "".join(rows) + "broken\n"


@pytest.fixture
def lake(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "BLOCK_BYTES", 200)
    root = tmp_path / "lake"
    for name in "abc":
        (tmp_path / f"{name}.csv").write_text(csv(name))
        ingest([tmp_path / f"{name}.csv"], lake=root, config=CONFIG)
    with ultr.open_lake(root).commit("test") as change:  # as many late clicks would leave it
        for file in list(change.manifest.tables["sessions"]):
            pages = pq.ParquetFile(root / file.path).read()
            change.remove("sessions", lambda f, gone=file: f == gone)
            for part in (pages[:3], pages[3:]):
                change.write("sessions", part, **file.keys)
    return root


def rows(root, *tables):
    names = tables or ("sessions", "rejects", "queries", "documents", "judgments")
    opened = ultr.open_lake(root)
    return {t: sorted(map(repr, opened.sql(f"from {t}").fetchall())) for t in names}


def files(root, table):
    return len(ultr.open_lake(root).files(table))


def test_compaction_keeps_every_row_in_fewer_files(lake):
    before = rows(lake)
    assert files(lake, "sessions") > 3
    result = compact(lake)
    assert result["files_after"] < result["files_before"]
    assert rows(lake) == before
    assert [files(lake, t) for t in ("sessions", "queries", "documents")] == [3, 1, 1]
    stored = ultr.open_lake(lake).read("documents")["doc_id"].to_pylist()
    assert len(stored) == len(set(stored))
    assert compact(lake)["files_after"] == result["files_after"]


def test_after_compaction_a_changed_file_replaces_its_own_rows(lake, tmp_path):
    compact(lake)
    (tmp_path / "b.csv").write_text(csv("x"))
    result = ingest([tmp_path / "b.csv"], lake=lake, config=CONFIG)
    compact(lake)
    assert result["files"] == 1
    fresh = tmp_path / "fresh"
    ingest([tmp_path / f"{n}.csv" for n in "abc"], lake=fresh, config=CONFIG)
    assert rows(lake) == rows(fresh)


def test_compaction_leaves_lists_as_fresh_or_as_stale_as_they_were(lake, tmp_path):
    build_lists(lake, config=ListsConfig())
    before = rows(lake, "lists", "exposures", "candidates")
    compact(lake)
    assert not is_stale(ultr.open_lake(lake))
    assert rows(lake, "lists", "exposures", "candidates") == before
    (tmp_path / "d.csv").write_text(csv("d"))
    ingest([tmp_path / "d.csv"], lake=lake, config=CONFIG)
    compact(lake)
    assert is_stale(ultr.open_lake(lake))


def test_large_files_are_not_merged(lake, monkeypatch):
    monkeypatch.setattr("ultr.etl.tidy.TARGET_BYTES", 1)
    before = files(lake, "sessions")
    compact(lake)
    assert files(lake, "sessions") == before


def test_vacuum_deletes_what_no_commit_counts(lake):
    compact(lake)
    counted = {p for t in ("sessions", "queries") for p in ultr.open_lake(lake).paths(t)}
    leftover = lake / "sessions" / "000009-dead-00000.parquet"
    leftover.write_bytes(b"x" * 100)
    kept = vacuum(lake)
    assert (kept["files"], kept["bytes"]) == (1, 100)
    assert kept["files_kept"] > 0
    gone = vacuum(lake, now=True)
    assert (gone["files"], gone["files_kept"]) == (kept["files_kept"], 0)
    assert gone["bytes"] > 0
    assert all(p.exists() for p in counted)
    assert describe(ultr.open_lake(lake))["replaced_files"] == 0
    assert rows(lake)["sessions"]


def test_a_source_goes_with_what_only_it_has(lake, tmp_path):
    compact(lake)
    result = drop(lake, config=DropConfig(sources=("b.csv",)), yes=True)
    assert (result["sessions"], result["sources"], result["rejects"]) == (8, 1, 1)
    assert result["documents"] == 3
    fresh = tmp_path / "fresh"
    ingest([tmp_path / "a.csv", tmp_path / "c.csv"], lake=fresh, config=CONFIG)
    assert rows(lake) == rows(fresh)
    assert list(sources_of(ultr.open_lake(lake))) == ["a.csv", "c.csv"]
    assert ingest([tmp_path / "b.csv"], lake=lake, config=CONFIG)["files"] == 1


def test_sources_go_by_pattern_and_all_of_them_too(lake):
    assert drop(lake, config=DropConfig(sources=("*.csv",)), yes=True)["sources"] == 3
    assert {t: len(r) for t, r in rows(lake).items() if r} == {}


def test_a_period_goes_and_does_not_come_back(lake, tmp_path):
    build_lists(lake, config=ListsConfig())
    result = drop(lake, config=DropConfig(period="2026-01-01"), yes=True)
    assert (result["sessions"], result["lists_are_stale"]) == (12, True)
    kept = ultr.open_lake(lake).read("sessions")["period"].to_pylist()
    assert set(kept) == {"2026-01-02"}
    assert {s["sessions"] for s in sources_of(ultr.open_lake(lake)).values()} == {4}
    again = ingest([tmp_path / "a.csv"], lake=lake, config=CONFIG)
    assert (again["files"], again["files_skipped"]) == (0, 1)


def test_a_table_goes_with_its_settings(lake, tmp_path):
    (tmp_path / "j.csv").write_text("query_id,doc_id,grade\nq1,d1,2\n")
    add_judgments(lake, source=tmp_path / "j.csv", format="table")
    build_lists(lake, config=ListsConfig())
    assert drop(lake, config=DropConfig(table="judgments"), yes=True)["judgments"] == 1
    result = drop(lake, config=DropConfig(table="lists"), yes=True)
    assert set(result) >= {"lists", "candidates", "exposures"}
    assert not {"judgments", "lists", "transform"} & set(ultr.open_lake(lake).manifest.meta)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["a.csv"], "add --yes"),
        (["nope.csv", "--yes"], "a.csv"),
        (["--period", "1999-01-01", "--yes"], "something to drop"),
        (["--table", "sessions", "--yes"], "go with their sources"),
        (["--yes"], "--period or --table"),
        (["a.csv", "--period", "2026-01-01"], "more than one"),
    ],
)
def test_what_drop_refuses_changes_nothing(lake, capsys, arguments, words):
    before = rows(lake)
    code, out, err = call(capsys, "lake", "drop", *arguments, "--lake", lake)
    assert (code, out) == (2, "")
    assert words in err
    assert rows(lake) == before


def test_info_tells_periods_sources_and_what_is_stale(lake, tmp_path, capsys):
    build_lists(lake, config=ListsConfig())
    info = describe(ultr.open_lake(lake))
    assert (info["first_period"], info["last_period"]) == ("2026-01-01", "2026-01-02")
    assert (info["sources"], info["sources_by_format"]) == (3, {"table": 3})
    assert info["stale"] == []
    (tmp_path / "d.csv").write_text(csv("d"))
    ingest([tmp_path / "d.csv"], lake=lake, config=CONFIG)
    assert describe(ultr.open_lake(lake))["stale"] == ["sessions"]
    code, out, _ = call(capsys, "lake", "info", "--sources", "--lake", lake)
    assert code == 0
    assert all(f"{n}.csv" in out for n in "abcd")


def test_the_commands(lake, capsys):
    for arguments in (["compact"], ["vacuum", "--now"], ["drop", "a.csv", "--yes"]):
        code, out, err = call(capsys, "lake", *arguments, "--lake", lake, "--json")
        assert (code, err) == (0, "")
        assert out.startswith("{")
    with pytest.raises(UsageError):
        DropConfig()


def test_compaction_leaves_features_of_the_log_as_fresh_as_they_were(lake, tmp_path):
    add_features(lake, behaviour=BehaviourConfig())
    compact(lake)
    assert build_lists(lake, config=ListsConfig())["features"] > 0
    (tmp_path / "d.csv").write_text(csv("d"))
    ingest([tmp_path / "d.csv"], lake=lake, config=CONFIG)
    compact(lake)
    with pytest.raises(DataError, match="as new as the log"):
        build_lists(lake, config=ListsConfig())
