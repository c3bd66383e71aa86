"""Ingest is all or nothing, reads each file once, and leaves a lake as it was when it fails."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

import ultr
from ultr.errors import DataError, UltrError, UsageError
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.sources import find_files

YANDEX = IngestConfig(format="yandex")


def session(number: int, *, clicked: int = 11) -> str:
    return f"{number}\t0\tQ\t7\t0\t10\t11\t12\n{number}\t4\tC\t{clicked}\n"


def log(path: Path, sessions: range, **options: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(session(s, **options) for s in sessions))
    return path


def contents(lake: Path) -> list[tuple[object, ...]]:
    table = ultr.open_lake(lake).read("sessions")
    return sorted(
        (r["source"], r["ordinal"], r["session_id"], tuple(r["doc_id"]), tuple(r["click"]))
        for r in table.to_pylist()
    )


def files(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_counts_add_up_and_rows_are_there(tmp_path):
    result = ingest([log(tmp_path / "a.tsv", range(5))], lake=tmp_path / "lake", config=YANDEX)
    assert (result["lines"], result["sessions"], result["clicks"]) == (10, 5, 5)
    assert result["impressions"] == 15
    kinds = ("used", "repeated", "ignored", "rejects")
    assert sum(result[k] for k in kinds) == result["lines"]
    lake = ultr.open_lake(tmp_path / "lake")
    assert {t: lake.rows(t) for t in ("sessions", "queries", "documents", "rejects")} == {
        "sessions": 5, "queries": 1, "documents": 3, "rejects": 0,
    }  # fmt: skip
    assert lake.manifest.ids == {"query": "xxh3", "doc": "integer"}
    row = lake.read("sessions").to_pylist()[0]
    assert (row["doc_id"], row["position"], row["click"]) == ([10, 11, 12], [1, 2, 3], [0, 1, 0])
    assert row["source"] == "a.tsv"


def test_a_second_ingest_reads_only_what_is_new_or_changed(tmp_path):
    lake, first = tmp_path / "lake", log(tmp_path / "a.tsv", range(3))
    ingest([first], lake=lake, config=YANDEX)
    second = log(tmp_path / "b.tsv", range(3, 5))
    again = ingest([first, second], lake=lake, config=YANDEX)
    assert (again["files"], again["files_skipped"], again["sessions"]) == (1, 1, 2)
    assert len(contents(lake)) == 5
    log(first, range(10, 14))
    os.utime(first, ns=(1, 1))
    changed = ingest([first, second], lake=lake, config=YANDEX)
    assert (changed["files"], changed["sessions"]) == (1, 4)
    assert [r[2] for r in contents(lake)] == ["10", "11", "12", "13", "3", "4"]


def test_two_nights_with_one_file_name_are_two_sources(tmp_path):
    for night in ("mon", "tue"):
        path = log(tmp_path / night / "log.tsv", range(2))
        ingest([path], lake=tmp_path / "lake", config=YANDEX)
    assert {r[0] for r in contents(tmp_path / "lake")} == {"mon/log.tsv", "tue/log.tsv"}


def test_one_file_has_one_name_however_it_is_given(tmp_path, monkeypatch):
    path = log(tmp_path / "a.tsv", range(2))
    ingest([path], lake=tmp_path / "lake", config=YANDEX)
    monkeypatch.chdir(tmp_path)
    again = ingest([Path("./a.tsv")], lake=Path("lake"), config=YANDEX)
    assert again["files_skipped"] == 1


def test_folders_and_globs(tmp_path):
    made = [log(tmp_path / "logs" / n, range(1)) for n in ("b.tsv", "a.tsv", "c.txt")]
    (tmp_path / "logs" / ".hidden").write_text("x")
    assert find_files([tmp_path / "logs"]) == sorted(made)
    assert find_files([tmp_path / "logs" / "*.tsv"]) == sorted(made[:2])
    for missing in (tmp_path / "no", tmp_path / "logs" / "*.gz"):
        with pytest.raises(UsageError, match="a source is a file"):
            find_files([missing])


def test_a_folder_of_logs_may_hold_the_lake_and_what_is_hidden(tmp_path):
    made = log(tmp_path / "a.tsv", range(2))
    ingest([tmp_path], lake=tmp_path / "lake", config=YANDEX)
    log(tmp_path / ".checkpoints" / "b.tsv", range(2))
    (tmp_path / "_SUCCESS").write_text("")
    again = ingest([tmp_path], lake=tmp_path / "lake", config=YANDEX)
    assert (again["files"], again["files_skipped"]) == (0, 1)
    assert find_files([made, tmp_path / ".checkpoints" / ".." / "a.tsv", tmp_path / "*.tsv"]) == [
        made
    ]


def test_a_name_that_is_not_text(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.tsv"))
    ingest([log(path, range(2))], lake=tmp_path / "lake", config=YANDEX)
    assert {r[0] for r in contents(tmp_path / "lake")} == {"\\xff.tsv"}


@pytest.mark.parametrize("name", ['it\'s "odd".tsv', "new\nline.tsv", "$(touch x);.tsv", "a=b.tsv"])
def test_names_of_files_are_only_names(tmp_path, name):
    ingest([log(tmp_path / name, range(2))], lake=tmp_path / "lake", config=YANDEX)
    assert {r[0] for r in contents(tmp_path / "lake")} == {name}
    assert ultr.open_lake(tmp_path / "lake").sql(
        "select count(*) from sessions where source = $s", {"s": name}
    ).fetchall() == [(2,)]


BAD = {
    "empty file": (b"", "must not be empty"),
    "wrong format": (b"a,b\n1,2\n", "right --format"),
    "binary": (bytes(range(256)) * 20, "right --format"),
    "truncated gzip": (gzip.compress(session(1).encode() * 500)[:-20], "must be whole"),
    "too many rejects": (session(1).encode() + b"junk\n" * 3, "may be rejected"),
    "mixed ids": (b"1\t0\tQ\t7\t0\tx\ty\tz\n", "may not mix rules"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_error_and_leaves_the_lake_as_it_was(tmp_path, case):
    content, message = BAD[case]
    lake = tmp_path / "lake"
    ingest([log(tmp_path / "good.tsv", range(30))], lake=lake, config=YANDEX)
    before = files(lake)
    (tmp_path / "bad.tsv").write_bytes(content)
    other = log(tmp_path / "other.tsv", range(2))
    with pytest.raises(DataError, match=message) as error:
        ingest([other, tmp_path / "bad.tsv"], lake=lake, config=YANDEX)
    assert error.value.hint
    assert files(lake) == before


@pytest.mark.parametrize("existed", [False, True])
def test_a_failed_first_ingest_leaves_no_lake(tmp_path, existed):
    lake = tmp_path / "lake"
    if existed:
        lake.mkdir()
    (tmp_path / "bad.tsv").write_bytes(b"junk\n")
    with pytest.raises(DataError):
        ingest([tmp_path / "bad.tsv"], lake=lake, config=YANDEX)
    assert lake.exists() == existed
    assert not existed or not any(lake.iterdir())


def test_rejects_are_kept_as_a_table(tmp_path):
    path = log(tmp_path / "a.tsv", range(50))
    path.write_text(path.read_text() + "9\t1\tC\t999\n")
    result = ingest([path], lake=tmp_path / "lake", config=YANDEX)
    assert result["rejects"] == 1
    (reject,) = ultr.open_lake(tmp_path / "lake").read("rejects").to_pylist()
    assert (reject["source"], reject["line"], reject["text"]) == ("a.tsv", 101, "9\t1\tC\t999")
    assert result["rejects_by_reason"] == {reject["reason"]: 1}


def test_a_dry_run_writes_nothing(tmp_path):
    path = log(tmp_path / "a.tsv", range(3))
    config = IngestConfig(format="yandex", is_dry_run=True)
    assert ingest([path], lake=tmp_path / "lake", config=config)["sessions"] == 3
    assert not (tmp_path / "lake").exists()


def test_id_rules_can_be_chosen_for_a_new_lake_only(tmp_path):
    path, lake = log(tmp_path / "a.tsv", range(2)), tmp_path / "lake"
    config = IngestConfig(format="yandex", id_rules={"doc": "xxh3"})
    ingest([path], lake=lake, config=config)
    assert ultr.open_lake(lake).manifest.ids["doc"] == "xxh3"
    other = IngestConfig(format="yandex", id_rules={"doc": "integer"})
    with pytest.raises(UltrError, match="fixed by its first ingest"):
        ingest([log(tmp_path / "b.tsv", range(2))], lake=lake, config=other)


def test_the_same_rule_may_be_given_every_night(tmp_path):
    config = IngestConfig(format="yandex", id_rules={"doc": "xxh3"})
    for name in ("a.tsv", "b.tsv"):
        ingest([log(tmp_path / name, range(2))], lake=tmp_path / "lake", config=config)
    assert len(contents(tmp_path / "lake")) == 4


def test_the_rule_is_decided_over_all_files_of_the_first_ingest(tmp_path):
    numbers = log(tmp_path / "a.tsv", range(3))
    words = tmp_path / "b.tsv"
    words.write_text("9\t0\tQ\t7\t0\tx\ty\tz\n")
    result = ingest([numbers, words], lake=tmp_path / "lake", config=YANDEX)
    lake = ultr.open_lake(tmp_path / "lake")
    assert (result["files"], result["sessions"], lake.rows("sessions")) == (2, 4, 4)
    assert lake.manifest.ids["doc"] == "xxh3"
    assert len(list((tmp_path / "lake" / "sessions").iterdir())) == 2


def test_a_chosen_rule_that_does_not_hold_is_an_error(tmp_path):
    path = tmp_path / "b.tsv"
    path.write_text("9\t0\tQ\t7\t0\tx\ty\tz\n")
    config = IngestConfig(format="yandex", id_rules={"doc": "integer"})
    with pytest.raises(DataError, match="may not mix rules"):
        ingest([path], lake=tmp_path / "lake", config=config)
    assert not (tmp_path / "lake").exists()


def test_a_corrected_mapping_reads_the_file_again(tmp_path):
    path, mapping = tmp_path / "a.csv", tmp_path / "map.toml"
    path.write_text("q,d,rank,top,c\n1,5,1,2,0\n")
    result = []
    for position in ("rank", "top", "top"):
        mapping.write_text(
            f'[columns]\nquery="q"\ndocument="d"\nposition="{position}"\nclick="c"\n'
        )
        config = IngestConfig(format="table", mapping=mapping)
        counts = ingest([path], lake=tmp_path / "lake", config=config)
        rows = ultr.open_lake(tmp_path / "lake").read("sessions").to_pylist()
        result.append((counts["files"], [r["position"] for r in rows]))
    assert result == [(1, [[1]]), (1, [[2]]), (0, [[2]])]


def test_folders_made_for_a_failed_lake_go_too(tmp_path):
    (tmp_path / "bad.tsv").write_bytes(b"junk\n")
    with pytest.raises(DataError):
        ingest([tmp_path / "bad.tsv"], lake=tmp_path / "x" / "y" / "lake", config=YANDEX)
    assert not (tmp_path / "x").exists()


def test_a_full_disk_is_a_clear_error(tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ultr.etl.table_file.pq.ParquetWriter", full)
    with pytest.raises(DataError, match="No space left"):
        ingest([log(tmp_path / "a.tsv", range(2))], lake=tmp_path / "lake", config=YANDEX)
    assert not (tmp_path / "lake").exists()


def test_clara2(real_data, tmp_path):
    """Part of a real log: every count is known."""
    path = real_data / "clara2" / "search_log.tsv"
    result = ingest([path], lake=tmp_path / "lake", config=YANDEX)
    assert (result["sessions"], result["clicks"]) == (6380, 1777)
    assert result["used"] == 6380 + 1777
    assert (result["repeated"], result["rejects"]) == (318, 137)
    assert result["clicks"] + result["repeated"] == 2095
    assert result["ignored"] == 0
    assert result["lines"] == 8612


def test_a_night_of_which_no_file_can_be_read_is_no_success(tmp_path):
    lake, good = tmp_path / "lake", log(tmp_path / "a.tsv", range(3))
    bad = tmp_path / "b.tsv.gz"
    bad.write_bytes(b"no gzip")
    skip = IngestConfig(format="yandex", on_bad_file="skip")
    with pytest.raises(DataError, match="at least one file must be readable"):
        ingest([bad], lake=lake, config=skip)
    assert not lake.exists()
    assert ingest([good, bad], lake=lake, config=skip)["files_rejected"] == 1
    before = files(lake)
    with pytest.raises(DataError, match=r"1 of 1 .*b\.tsv\.gz"):
        ingest([bad], lake=lake, config=skip)
    assert files(lake) == before


def test_the_summary_says_by_which_rule_ids_are_made(tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("query_id,doc_id,position,click\n7,1,1,0\n7,x,1,1\n")
    result = ingest([table], lake=tmp_path / "lake", config=IngestConfig(format="table"))
    assert result["id_rules"] == {"query": "integer", "doc": "xxh3"}
