"""Full disks, two writers, and names that mean something to a shell or to SQL."""

from __future__ import annotations

import csv
import subprocess
import sys
import threading

import pytest

import ultr
from tests.faults.kills import MAIN, contents
from tests.faults.logs import FORMS, write_logs
from ultr.errors import DataError
from ultr.etl.drop import DropConfig, drop
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.lists import ListsConfig, build_lists
from ultr.etl.tidy import compact

YANDEX = IngestConfig(format="yandex")
WRITER = """
import sys
from pathlib import Path
from ultr.lake import open_lake
with open_lake(Path(sys.argv[1])).commit("ultr lists"):
    print("writing", flush=True)
    sys.stdin.read()
"""


def run(*arguments, code=MAIN):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


FULL = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n{MAIN}"
"""No file above 20 kB: what a full disk looks like to a program."""


@pytest.mark.parametrize("form", FORMS)
def test_a_full_disk_leaves_the_lake_as_it_was(tmp_path, form):
    small = write_logs(tmp_path / "logs", files=2, sessions=30, form=form)[0]
    logs = write_logs(tmp_path / "large", files=1, sessions=5000, form=form)
    lake = tmp_path / "lake"
    ingest([small], lake=lake, config=IngestConfig(format=form))
    before = contents(lake), sorted(p.name for p in lake.rglob("*"))
    done = run("ingest", logs[0], "--format", form, "--lake", lake, code=FULL)
    assert done.returncode == 1
    assert "free space" in done.stderr
    assert "Traceback" not in done.stderr
    assert (contents(lake), sorted(p.name for p in lake.rglob("*"))) == before


@pytest.mark.parametrize("command", ["lists", "features"])
def test_a_full_disk_leaves_what_is_derived_as_it_was(tmp_path, command):
    lake = tmp_path / "lake"
    ingest(write_logs(tmp_path / "logs", files=1, sessions=5000), lake=lake, config=YANDEX)
    given = []
    if command == "features":
        pairs = [(q, u) for q in range(200) for u in range(100)]
        rows = "".join(f"{q}:0,{u},{q * u}\n" for q, u in pairs)
        (tmp_path / "f.csv").write_text(f"query_id,doc_id,a\n{rows}")
        given = ["--from", tmp_path / "f.csv", "--min-match", "0"]
    before = contents(lake), sorted(p.name for p in lake.rglob("*"))
    done = run(command, "--lake", lake, *given, code=FULL)
    assert done.returncode == 1
    assert "space" in done.stderr
    assert "Traceback" not in done.stderr
    assert (contents(lake), sorted(p.name for p in lake.rglob("*"))) == before


def test_a_second_process_is_told_who_writes_and_readers_are_not_blocked(tmp_path):
    logs = write_logs(tmp_path / "logs", files=2, sessions=30)
    lake = tmp_path / "lake"
    ingest(logs[:1], lake=lake, config=YANDEX)
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(lake)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout.readline() == b"writing\n"
        with pytest.raises(DataError, match="one job at a time") as error:
            ingest(logs, lake=lake, config=YANDEX)
        assert error.value.got == f"{lake} is being written by: ultr lists, process {writer.pid}"
        assert ultr.open_lake(lake).sql("select count(*) from sessions").fetchall() == [(30,)]
        writer.stdin.close()
        assert writer.wait() == 0
    assert ingest(logs, lake=lake, config=YANDEX)["files"] == 1


def test_readers_see_whole_commits_while_a_lake_is_kept(tmp_path):
    logs = write_logs(tmp_path / "logs", files=3, sessions=40)
    lake = tmp_path / "lake"
    ingest(logs[:1], lake=lake, config=YANDEX)
    torn, reads, stop = [], [], threading.Event()

    def read():
        while not stop.is_set():
            opened = ultr.open_lake(lake)
            sessions = opened.read("sessions")
            known = {name: s["sessions"] for name, s in opened.manifest.sources.items()}
            found = sessions["source"].value_counts().to_pylist()
            if {f["values"]: f["counts"] for f in found} != known:
                torn.append((known, found))
            reads.append(len(known))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(4):
        ingest(logs, lake=lake, config=YANDEX)
        build_lists(lake, config=ListsConfig(), quiet=True)
        compact(lake)
        drop(lake, config=DropConfig(sources=("logs/2.log",)), yes=True)
    stop.set()
    reader.join()
    assert torn == []
    assert len(reads) > 4


NASTY = [
    "'; drop table sessions; --",
    '"; select 1 --',
    "$(touch hacked)",
    "`touch hacked`; touch hacked",
    "../../../etc/passwd",
    "/etc/passwd",
    "a\nb",
    "a\tb,c",
    "%s %d {x} {{y}} \\",
    "bucket=1/period=x",
    "\u202eevil\u0000",
    "*.csv",
]


def test_ids_and_texts_are_only_values(tmp_path):
    path = tmp_path / NASTY[2].replace("/", "_")
    with path.open("w", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow(
            ["session_id", "user_id", "query_id", "doc_id", "position", "click", "device"]
        )
        rows.writerows([v, v, v, v, 1, i % 2, v] for i, v in enumerate(NASTY))
    before = {p.name for p in tmp_path.iterdir()}
    lake = tmp_path / "lake"
    result = ingest([path], lake=lake, config=IngestConfig(format="table"))
    assert (result["sessions"], result["rejects"]) == (len(NASTY), 0)
    lists = build_lists(lake, config=ListsConfig(context=("device",), period="source"))
    assert lists["sessions"] == len(NASTY)
    opened = ultr.open_lake(lake)
    for table in ("queries", "documents"):
        assert set(opened.read(table)["key"].to_pylist()) == set(NASTY)
    assert set(opened.read("sessions")["user_id"].to_pylist()) == set(NASTY)
    for value in NASTY:
        found = opened.sql("select count(*) from sessions where device = $v", {"v": value})
        assert found.fetchall() == [(1,)]
    assert {p.name for p in tmp_path.iterdir()} == before | {"lake"}
    assert drop(lake, config=DropConfig(sources=(path.name,)), yes=True)["sessions"] == len(NASTY)
