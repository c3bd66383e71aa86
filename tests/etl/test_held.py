"""Events that are kept in memory and events that are read back make the same lake."""

from __future__ import annotations

import gzip
import random

import polars as pl
import pytest

import ultr
from tests.etl.test_events import content, counts_hold, read, ubi_log, write
from ultr.etl import held, session_files, shares
from ultr.etl.held import Held
from ultr.lake import create_lake
from ultr.logs import raw, spill
from ultr.logs.lean import lean

ROWS = {"a": [1, 2, 3], "b": [4, 5]}


def noted(change, kept, sources="ab"):
    """Two rows of events after another, of each source a file; what is asked for of them."""
    for source in sources:
        rows = pl.DataFrame({"source": source, "line": ROWS[source], "kind": "click"})
        rows = rows.with_columns(action=pl.lit("click"))
        change.write("events", rows.to_arrow(), source=source)
        for one in rows.iter_slices(1):
            kept.add(one, source=source)
    return change.manifest.tables["events"]


def lines_of(frames):
    return [n for frame in frames for n in frame["line"]]


@pytest.mark.parametrize("most", [0, 60, 1 << 20])
def test_rows_come_in_the_order_of_the_files(tmp_path, monkeypatch, most):
    monkeypatch.setattr(held, "HELD_BYTES", most)
    with create_lake(tmp_path / "lake").commit("test") as change:
        kept = Held(("source", "line"))
        files = noted(change, kept)
        found = list(kept.frames(change, [*reversed(files)]))
        assert lines_of(found) == [4, 5, 1, 2, 3]
        assert {tuple(f.columns) for f in found} == {("source", "line")}


def test_a_source_is_held_once_and_not_after_it_was_dropped(tmp_path, monkeypatch):
    with create_lake(tmp_path / "lake").commit("test") as change:
        kept = Held(("source", "line"))
        files = noted(change, kept)
        monkeypatch.setattr(held, "read_files", lambda *_, **__: iter(()))  # what is read is lost
        kept.drop("a")
        assert lines_of(kept.frames(change, files)) == [4, 5]
        assert lines_of(kept.frames(change, files)) == []


def test_a_source_that_grows_too_large_leaves_the_others(tmp_path, monkeypatch):
    _, size = lean(pl.DataFrame({"source": ["a"], "line": [1]}))
    monkeypatch.setattr(held, "HELD_BYTES", 2 * size)
    with create_lake(tmp_path / "lake").commit("test") as change:
        kept = Held(("source", "line"))
        files = noted(change, kept)
        monkeypatch.setattr(held, "read_files", lambda *_, **__: iter(()))
        assert lines_of(kept.frames(change, files)) == [4, 5]  # b came when a was given up


@pytest.mark.parametrize(("seed", "most"), [(0, 0), (1, 20_000)])
def test_the_lake_is_the_same_whatever_stays_in_memory(tmp_path, monkeypatch, seed, most):
    """Whole pages in one file, and pages over chunks, files and nights."""
    lines = ubi_log(seed, pages=25)
    half = len(lines) // 2
    ordered = [write(tmp_path / f"{i}.log", p) for i, p in enumerate((lines[:half], lines[half:]))]
    spread = random.Random(seed).sample(lines, len(lines))
    torn = [write(tmp_path / f"torn-{i}.log", spread[i::2]) for i in range(2)]

    def lakes(name):
        read(tmp_path / name / "ordered", ordered, "ubi")
        read(tmp_path / name / "torn", torn, "ubi")
        for path in reversed(torn):
            read(tmp_path / name / "nights", [path], "ubi")
            counts_hold(tmp_path / name / "nights")
        return [exact(tmp_path / name / k) for k in ("ordered", "torn", "nights")]

    expected = lakes("memory")
    assert content(tmp_path / "memory" / "ordered") == content(tmp_path / "memory" / "nights")
    monkeypatch.setattr(held, "HELD_BYTES", most)
    monkeypatch.setattr(spill, "HELD_BYTES", most)
    assert lakes("disk") == expected
    monkeypatch.setattr(raw, "BLOCK_BYTES", 5000)
    monkeypatch.setattr(session_files, "FILE_ROWS", 7)
    assert lakes("chunks") == expected


def exact(lake):
    """Every row of the tables that ingest makes, with its source and line."""
    opened = ultr.open_lake(lake)
    tables = ("sessions", "events", "unattached", "rejects")
    return [sorted(map(repr, opened.read(t).to_pylist())) for t in tables]


def test_of_a_file_that_breaks_nothing_is_held(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "BLOCK_BYTES", 3000)
    monkeypatch.setattr(raw, "PIECE_BYTES", 3000)
    lines = ubi_log(3)
    good = write(tmp_path / "good.log", lines[::2])
    broken = tmp_path / "broken.log.gz"
    text = "".join(line + "\n" for line in lines[1::2]).encode()
    broken.write_bytes(gzip.compress(text)[:-20])
    read(tmp_path / "alone", [good], "ubi")
    result = read(tmp_path / "lake", [broken, good], "ubi", on_bad_file="skip")
    assert result["files_rejected"] == 1
    names = ("sessions", "unattached", "events")
    alone, both = content(tmp_path / "alone"), content(tmp_path / "lake")
    assert {n: both[n] for n in names} == {n: alone[n] for n in names}


def test_large_logs_are_dealt_out_the_same(tmp_path, monkeypatch):
    """Shares that are held, shares on disk, and shares of which a part lies on each."""
    monkeypatch.setattr(shares, "SHARE_ROWS", 20)
    monkeypatch.setattr(shares, "_SPILL_BYTES", 1 << 22)
    monkeypatch.setattr(raw, "BLOCK_BYTES", 3000)
    lines, lakes = ubi_log(5), []
    paths = [write(tmp_path / f"{i}.log", lines[i::2]) for i in range(2)]
    for most in (0, 5000, 1 << 20):
        monkeypatch.setattr(spill, "HELD_BYTES", most)
        read(tmp_path / str(most), paths, "ubi")
        lakes.append([ultr.open_lake(tmp_path / str(most)).read(t).to_pylist()
                      for t in ("sessions", "unattached")])  # fmt: skip
    assert lakes[0] == lakes[1] == lakes[2]
    assert lakes[0][0]
