"""Only what is new or changed is read; what is damaged or gone is told."""

from __future__ import annotations

import gzip
import os

import pytest

import ultr
from tests.test_cli import call
from ultr.errors import DataError
from ultr.etl.changes import is_same
from ultr.etl.ingest import IngestConfig, ingest

YANDEX = {"format": "yandex"}
GOOD = b"".join(
    b"%d\t0\tQ\tq%d\t0\ta\tb\tc\n%d\t4\tC\tb\n" % (s, s % 3, s) for s in range(30)
)  # fmt: skip


@pytest.fixture
def run(tmp_path):
    def ingest_all(source="logs", **settings):
        config = IngestConfig(**(YANDEX | settings))
        return ingest([tmp_path / source], lake=tmp_path / "lake", config=config)

    (tmp_path / "logs").mkdir()
    for name in "ab":
        (tmp_path / "logs" / f"{name}.tsv").write_bytes(GOOD)
    return ingest_all


def sources(root):
    return sorted(set(ultr.open_lake(root).read("sessions")["source"].to_pylist()))


def rejects(root):
    return ultr.open_lake(root).read("rejects").to_pylist()


def touch(path, second=1):
    os.utime(path, ns=(second * 10**9, second * 10**9))


def test_a_touched_file_is_not_read_again_where_content_is_checked(run, tmp_path):
    run(check_content=True)
    touch(tmp_path / "logs" / "a.tsv")
    again = run(check_content=True)
    assert (again["files"], again["files_skipped"]) == (0, 2)
    # What it was is noted, so that the next call without the option skips it too.
    assert run()["files_skipped"] == 2
    touch(tmp_path / "logs" / "a.tsv", 2)
    assert run()["files"] == 1


def test_content_tells_a_change_that_size_and_time_do_not(run, tmp_path):
    path = tmp_path / "logs" / "a.tsv"
    touch(path)
    run(check_content=True)
    path.write_bytes(GOOD.replace(b"\tC\tb", b"\tC\tc"))
    touch(path)
    assert run()["files"] == 0
    assert run(check_content=True)["files"] == 1
    rows = ultr.open_lake(tmp_path / "lake").read("sessions").to_pylist()
    assert {r["source"]: r["click"] for r in rows} == {
        "logs/a.tsv": [0, 0, 1], "logs/b.tsv": [0, 1, 0],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("known", "mark", "same"),
    [
        (None, {"size": 1}, False),
        ({"size": 1, "mtime_ns": 2, "lines": 9}, {"size": 1, "mtime_ns": 2}, True),
        ({"size": 1, "mtime_ns": 2}, {"size": 1, "mtime_ns": 3}, False),
        ({"size": 1, "mtime_ns": 2}, {"size": 1, "mtime_ns": 2, "content": "x"}, True),
        ({"size": 1, "mtime_ns": 2, "content": "y"}, {"size": 1, "mtime_ns": 2, "content": "x"},
         False),
        ({"size": 1, "mtime_ns": 2, "content": "x", "mapping": "m"},
         {"size": 1, "mtime_ns": 2, "content": "x", "mapping": "n"}, False),
    ],
)  # fmt: skip
def test_what_is_the_same(known, mark, same):
    assert is_same(known, mark) is same


@pytest.mark.parametrize("source", ["logs", "logs/*.tsv", "l*/*"])
def test_a_file_that_vanished_is_told_and_its_rows_stay(run, tmp_path, source):
    run()
    (tmp_path / "logs" / "a.tsv").unlink()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "c.tsv").write_bytes(GOOD)
    run("other")
    again = run(source)
    assert again["files_vanished"] == ["logs/a.tsv"]
    assert sources(tmp_path / "lake") == ["logs/a.tsv", "logs/b.tsv", "other/c.tsv"]


BAD = {
    "truncated gzip": gzip.compress(GOOD * 50)[:-20],
    "wrong format": b"a,b\n1,2\n",
    "binary": bytes(range(256)) * 20,
    "empty": b"",
}


@pytest.mark.parametrize("case", ["truncated gzip", "wrong format", "binary", "empty"])
def test_a_bad_file_is_left_out_whole_noted_and_tried_again(run, tmp_path, monkeypatch, case):
    from ultr.logs import raw

    monkeypatch.setattr(raw, "BLOCK_BYTES", 2000)  # some of it is written before it breaks
    bad = tmp_path / "logs" / "a.tsv"
    run()
    bad.write_bytes(BAD[case])
    with pytest.raises(DataError):
        run()
    assert len(sources(tmp_path / "lake")) == 2
    result = run(on_bad_file="skip")
    assert (result["files_rejected"], result["files_skipped"], result["files"]) == (1, 1, 0)
    assert sources(tmp_path / "lake") == ["logs/b.tsv"]
    (reject,) = rejects(tmp_path / "lake")
    assert (reject["source"], reject["line"], reject["text"]) == ("logs/a.tsv", 0, "")
    assert reject["reason"].startswith("file left out: a ")
    assert run(on_bad_file="skip")["files_rejected"] == 1
    bad.write_bytes(GOOD)
    assert run(on_bad_file="skip")["files"] == 1
    assert rejects(tmp_path / "lake") == []
    assert sources(tmp_path / "lake") == ["logs/a.tsv", "logs/b.tsv"]


def test_an_unreadable_file_is_a_bad_file(run, tmp_path, monkeypatch):
    import pathlib

    opened = pathlib.Path.open

    def refuse(path, *arguments, **options):
        if path.name == "a.tsv":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *arguments, **options)

    monkeypatch.setattr(pathlib.Path, "open", refuse)
    with pytest.raises(DataError, match="Permission denied"):
        run()
    assert run(on_bad_file="skip")["files_rejected"] == 1
    assert sources(tmp_path / "lake") == ["logs/b.tsv"]


def test_a_bad_file_decides_no_id_rule(run, tmp_path):
    (tmp_path / "logs" / "a.tsv").write_bytes(
        gzip.compress(GOOD.replace(b"a\tb\tc", b"1\t2\t3").replace(b"C\tb", b"C\t2") * 400)[:-9]
    )
    result = run(on_bad_file="skip")
    assert (result["files"], result["files_rejected"]) == (1, 1)
    assert ultr.open_lake(tmp_path / "lake").manifest.ids == {"query": "xxh3", "doc": "xxh3"}


def test_another_set_of_features_is_refused(tmp_path):
    (tmp_path / "a.csv").write_text("q,d,p,c,x,y\nq,d,1,0,1,2\n")
    (tmp_path / "b.csv").write_text("q,d,p,c,x,y\nq,d,1,0,1,2\n")
    base = '[columns]\nquery="q"\ndocument="d"\nposition="p"\nclick="c"\n[features]\n'

    def run(source, features):
        (tmp_path / "m.toml").write_text(base + features)
        config = IngestConfig(format="table", mapping=tmp_path / "m.toml")
        ingest([tmp_path / source], lake=tmp_path / "lake", config=config)
        return ultr.open_lake(tmp_path / "lake").manifest.meta["log_features"]["names"]

    assert run("a.csv", 'x="x"\ny="y"\n') == ["x", "y"]
    for other in ('x="x"\n', 'y="y"\nx="x"\n', 'x="x"\nz="y"\n'):
        with pytest.raises(DataError, match="the same features"):
            run("b.csv", other)
    assert run("b.csv", 'x="y"\ny="x"\n') == ["x", "y"]
    with pytest.raises(DataError, match="the same features"):
        run("a.csv", 'z="x"\n')


def test_a_dry_run_shows_examples_and_files_that_cannot_be_read(run, tmp_path, capsys):
    (tmp_path / "logs" / "b.tsv").write_bytes(GOOD + b"junk\n" * 5)
    (tmp_path / "logs" / "c.tsv").write_bytes(BAD["truncated gzip"])
    result = run(is_dry_run=True)
    assert result["reject_examples"] == {
        "fewer than 4 columns": [f"logs/b.tsv:{n}: junk" for n in (61, 62, 63)]
    }
    assert (result["files"], result["files_rejected"]) == (2, 1)
    assert "must be whole" in result["bad_files"]["logs/c.tsv"]
    assert not (tmp_path / "lake").exists()
    arguments = ["ingest", tmp_path / "logs", "--format", "yandex", "--lake", tmp_path / "lake"]
    code, out, _ = call(capsys, *arguments, "--dry-run")
    assert code == 0
    assert "rejected, fewer than 4 columns:\n  logs/b.tsv:61: junk" in out


def test_a_dry_run_reads_what_an_ingest_would_read(run, tmp_path):
    run()
    (tmp_path / "logs" / "c.tsv").write_bytes(GOOD)
    result = run(is_dry_run=True)
    assert (result["files"], result["files_skipped"], result["sessions"]) == (1, 2, 30)
