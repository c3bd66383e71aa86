"""The lake's promises: all or nothing, whoever is killed when; readers are never disturbed."""

import json
import os
import subprocess
import sys
import textwrap
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ultr.commit
import ultr.manifest
from ultr.commit import GRACE_S, LOCK
from ultr.errors import DataError, UsageError
from ultr.lake import create_lake, open_lake
from ultr.lake_info import describe
from ultr.manifest import MANIFEST
from ultr.schema import SCHEMA_VERSION, TABLES


def judgments(*grades):
    n = len(grades)
    return pa.table({"query_id": [7] * n, "doc_id": list(range(n)), "grade": list(grades)})


def grades(root):
    return open_lake(root).read("judgments")["grade"].to_pylist()


def files_on_disk(root):
    return {p.relative_to(root).as_posix() for p in root.rglob("*.parquet")}


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "lake"
    with create_lake(root).commit("first") as change:
        change.write("judgments", judgments(1, 2))
    return root


def test_an_empty_lake_has_every_table_without_rows(tmp_path):
    lake = create_lake(tmp_path / "lake")
    assert lake.manifest.version == 0
    for name, table in TABLES.items():
        assert lake.read(name).schema == table.arrow()
        assert (lake.rows(name), lake.files(name)) == (0, [])


def test_create_opens_what_is_there(root):
    assert create_lake(root).manifest == open_lake(root).manifest


def test_a_commit_is_seen_by_those_who_open_after_it(root):
    before = open_lake(root)
    with before.commit("second") as change:
        change.write("judgments", judgments(3))
        assert grades(root) == [1, 2]
    assert grades(root) == [1, 2, 3]
    assert before.read("judgments")["grade"].to_pylist() == [1, 2]
    assert open_lake(root).manifest.version == before.manifest.version + 1


def test_a_commit_builds_on_what_another_job_committed_meanwhile(root):
    stale = open_lake(root)
    with open_lake(root).commit("other") as change:
        change.write("judgments", judgments(3))
    with stale.commit("late") as change:
        change.write("judgments", judgments(4))
    assert grades(root) == [1, 2, 3, 4]


def test_files_go_to_the_disk_while_others_are_written_and_all_before_the_manifest(
    root, monkeypatch
):
    flushed, real = [], ultr.commit.fsync

    def flush(path):
        flushed.append(path.suffix or path.name)
        real(path)

    for module in (ultr.commit, ultr.manifest):
        monkeypatch.setattr(module, "fsync", flush)
    with open_lake(root).commit("three") as change:
        change.write("judgments", judgments(3), source="a")
        change.write("judgments", judgments(4), source="b")
        change.withdraw(source="a")
        change.new_file("judgments").write_bytes(b"written, not added")
    assert grades(root) == [1, 2, 4]
    assert sorted(flushed[:-2]) == [".parquet"] * 3
    assert flushed[-2:] == ["judgments", root.name]


def test_what_the_disk_refuses_is_not_committed(root, monkeypatch):
    def refuse(path):
        raise OSError(28, f"No space left on device for {path.name}")

    def write():
        with open_lake(root).commit("full") as change:
            change.write("judgments", judgments(9))

    monkeypatch.setattr(ultr.commit, "fsync", refuse)
    with pytest.raises(OSError, match="No space"):
        write()
    assert grades(root) == [1, 2]


@pytest.mark.parametrize(
    "error", [DataError("a", got="b", hint="c"), KeyboardInterrupt(), OSError()]
)
def test_a_failed_commit_leaves_the_lake_and_the_folder_as_they_were(root, error):
    manifest, files = (root / MANIFEST).read_bytes(), files_on_disk(root)

    def fail():
        with open_lake(root).commit("bad") as change:
            change.remove("judgments")
            change.write("judgments", judgments(9))
            change.manifest.meta["judgments"] = {"max_grade": 9}
            raise error

    with pytest.raises(type(error)):
        fail()
    assert (root / MANIFEST).read_bytes() == manifest
    assert files_on_disk(root) == files
    with open_lake(root).commit("good"):
        pass


KILLED = """
import os, sys
from pathlib import Path
import pyarrow as pa
import ultr.commit, ultr.manifest
from ultr.lake import open_lake

point, root = sys.argv[1], Path(sys.argv[2])
die = lambda *a, **k: os._exit(9)
data = pa.table({"query_id": [7], "doc_id": [0], "grade": [9]})
if point == "in the manifest":
    ultr.manifest.json.dump = lambda value, out, **k: (out.write('{"schema_'), out.flush(), die())
if point == "before the rename":
    Path.replace = die
if point == "before the flush":
    ultr.commit.fsync = die
with open_lake(root).commit("killed") as change:
    change.remove("judgments")
    path = change.new_file("judgments")
    if point == "half a file":
        path.write_bytes(b"PAR1 half of it")
        die()
    change.write("judgments", data)
    if point == "after a file":
        die()
if point == "after the rename":
    die()
"""


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("half a file", [1, 2]),
        ("after a file", [1, 2]),
        ("before the flush", [1, 2]),
        ("in the manifest", [1, 2]),
        ("before the rename", [1, 2]),
        ("after the rename", [9]),
    ],
)
def test_a_killed_writer_leaves_the_lake_before_or_after_the_commit(
    root, tmp_path, point, expected
):
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED))
    call = [sys.executable, "-W", "error", str(script), point, str(root)]
    assert subprocess.run(call, check=False).returncode == 9
    assert grades(root) == expected
    # The lock died with the process, and the next commit clears what it left.
    with open_lake(root).commit("next") as change:
        change.write("judgments", judgments(5))
    assert grades(root) == [*expected, 5]
    lake = open_lake(root)
    known = {f.path for f in lake.files("judgments")} | set(lake.manifest.superseded)
    assert files_on_disk(root) == known


def test_a_second_writer_is_told_who_writes(root):
    with open_lake(root).commit("ingest"):
        second = open_lake(root).commit("lists")
        with pytest.raises(DataError, match=f"ingest, process {os.getpid()}") as caught, second:
            pass
        assert "run this again" in caught.value.hint
        assert grades(root) == [1, 2]
    assert (root / LOCK).read_text() == ""


def test_replaced_files_stay_for_readers_and_go_after_the_grace(root, monkeypatch):
    reader = open_lake(root)
    with open_lake(root).commit("replace") as change:
        change.remove("judgments")
        change.write("judgments", judgments(8))
    with open_lake(root).commit("soon after"):
        pass
    assert reader.read("judgments")["grade"].to_pylist() == [1, 2]
    now = ultr.commit.time.time()
    monkeypatch.setattr(ultr.commit.time, "time", lambda: now + GRACE_S + 1)
    with open_lake(root).commit("much later"):
        pass
    assert files_on_disk(root) == {f.path for f in open_lake(root).files("judgments")}
    assert open_lake(root).manifest.superseded == {}


def test_readers_see_whole_commits_while_a_writer_replaces(root):
    torn, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            found = grades(root)
            if len(set(found)) > 2 or len(found) != 2:
                torn.append(found)

    reader = threading.Thread(target=read)
    reader.start()
    for i in range(20):
        with open_lake(root).commit("replace") as change:
            change.remove("judgments")
            change.write("judgments", judgments(i))
            change.write("judgments", judgments(i))
    stop.set()
    reader.join()
    assert torn == []


def test_keys_select_files_and_partitions_stand_in_the_path(root):
    pairs = pa.table({"query_id": [1], "doc_id": [2], "row": [0]})
    pairs = pairs.append_column("features", pa.array([None], pa.list_(pa.float32())))
    with open_lake(root).commit("buckets") as change:
        for bucket in (3, 12):
            change.write("candidates", pairs, bucket=bucket)
    lake = open_lake(root)
    assert [f.keys["bucket"] for f in lake.files("candidates")] == ["3", "12"]
    (path,) = lake.paths("candidates", bucket=12)
    assert path.parent == root / "candidates" / "bucket=0012"
    assert lake.read("candidates", columns=["row"], bucket=3).to_pylist() == [{"row": 0}]
    assert lake.files("candidates", bucket=4) == []


def test_remove_takes_only_the_files_that_match(root):
    with open_lake(root).commit("more") as change:
        change.write("judgments", judgments(5), source="b")
    with open_lake(root).commit("less") as change:
        change.remove("judgments", lambda f: f.matches(source="b"))
    assert grades(root) == [1, 2]


@pytest.mark.parametrize("period", ["../../etc", "a/b", "", "x" * 65, "a=b", "ä"])
def test_a_period_cannot_leave_the_lake(root, period):
    with pytest.raises(UsageError, match="period"), open_lake(root).commit("bad") as change:
        change.new_file("exposures", period=period)


def test_write_casts_to_the_registry(root):
    stored = pq.ParquetFile(open_lake(root).paths("judgments")[0]).schema_arrow
    assert stored.equals(TABLES["judgments"].arrow())


def test_values_that_do_not_fit_the_registry_are_not_bent(root):
    with pytest.raises(pa.ArrowInvalid), open_lake(root).commit("bad") as change:
        change.write("judgments", judgments(2**15))
    assert grades(root) == [1, 2]


def test_another_schema_version_is_refused(root):
    data = json.loads((root / MANIFEST).read_text())
    (root / MANIFEST).write_text(json.dumps(data | {"schema_version": SCHEMA_VERSION + 1}))
    for use in (open_lake, create_lake):
        with pytest.raises(DataError, match=f"version {SCHEMA_VERSION + 1}"):
            use(root)


@pytest.mark.parametrize(
    "text", ["", "{", "\x00", "[1", "[]", "7", json.dumps({"schema_version": SCHEMA_VERSION})]
)
def test_a_broken_manifest_is_told(root, text):
    (root / MANIFEST).write_text(text)
    with pytest.raises(DataError, match="readable JSON"):
        open_lake(root)


@pytest.mark.parametrize("kind", ["none", "folder", "file"])
def test_what_is_not_a_lake_is_told(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "file":
        path.write_text("hello")
    with pytest.raises(DataError, match="ultr ingest"):
        open_lake(path)


def test_a_lake_is_not_made_among_other_things(tmp_path):
    folder, file = tmp_path / "folder", tmp_path / "file"
    folder.mkdir()
    (folder / "thesis.tex").write_text("x")
    file.write_text("x")
    for path in (folder, file):
        with pytest.raises(DataError, match="something else"):
            create_lake(path)
    assert [p.name for p in folder.iterdir()] == ["thesis.tex"]


def test_require_says_which_command_fills_the_table(root):
    open_lake(root).require("judgments", hint="x")
    with pytest.raises(DataError, match="ultr lists"):
        open_lake(root).require("lists", hint="run: ultr lists --lake L")


def test_the_manifest_reads_back_as_written(root):
    with open_lake(root).commit("facts") as change:
        change.manifest.ids["doc"] = "xxh3"
        change.manifest.sources["log.tsv"] = {"lines": 3}
        change.manifest.meta["lists"] = {"buckets": 4}
        written = change.manifest
    assert open_lake(root).manifest == written


def test_info_adds_up(root):
    with open_lake(root).commit("facts") as change:
        change.write("judgments", judgments(5))
        change.manifest.meta["transform"] = {"kind": "standardise", "names": ["a", "b"]}
    lake = open_lake(root)
    info = describe(lake)
    assert info["rows"] == {"judgments": 3}
    assert info["files"] == {"judgments": 2}
    assert info["bytes"] == {"judgments": sum(p.stat().st_size for p in lake.paths("judgments"))}
    assert info["transform"] == {"kind": "standardise", "features": 2}
    json.dumps(info)


def test_info_counts_a_query_of_several_sources_once(root):
    ids = ([7, 8], [8, 9])
    with open_lake(root).commit("facts") as change:
        for i, found in enumerate(ids):
            rows = pa.table({"query_id": found, "key": [str(q) for q in found]})
            change.write("queries", rows, source=f"{i}.tsv")
    assert describe(open_lake(root))["rows"]["queries"] == 3


def test_a_failed_commit_leaves_no_folder(root):
    def fail():
        with open_lake(root).commit("x") as change:
            change.write("lists", TABLES["lists"].arrow().empty_table(), bucket=0, period="all")
            change.new_file("rejects")
            raise ZeroDivisionError

    before = sorted(root.rglob("*"))
    with pytest.raises(ZeroDivisionError):
        fail()
    assert sorted(root.rglob("*")) == before


@pytest.mark.parametrize("damage", ["gone", "cut", "another file"])
def test_a_damaged_file_is_named(root, damage):
    path = open_lake(root).paths("judgments")[0]
    match damage:
        case "gone":
            path.unlink()
        case "cut":
            path.write_bytes(path.read_bytes()[:-9])
        case _:
            pq.write_table(pa.table({"x": [1]}), path)
    with pytest.raises(DataError, match=r"readable Parquet(.|\n)*judgments.*\.parquet"):
        open_lake(root).read("judgments")
