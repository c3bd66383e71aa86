"""A file that is left out leaves nothing in the lake but the note that it was."""

from __future__ import annotations

import gzip
import hashlib
import json
import os

import pytest

import ultr
from tests.etl.test_events import as_lines, event, one_page, read
from ultr.errors import DataError
from ultr.etl import changes, ingest
from ultr.logs import raw

WORDS = [f"word{hashlib.blake2b(bytes([i % 256, i // 256]), digest_size=8).hexdigest()}"
         for i in range(9000)]  # fmt: skip


def csv(documents):
    rows = (f"s{i},7,{d},1,0\n" for i, d in enumerate(documents))
    return ["session_id,query_id,doc_id,position,click\n", *rows]


def yandex(documents):
    return [f"{i}\t0\tQ\t7\t0\t{d}\n{i}\t1\tC\t{d}\n" for i, d in enumerate(documents)]


def ubi(documents, name="q"):
    told = [
        {
            "query_id": f"{name}{i}",
            "user_query": "7",
            "client_id": f"{name}{i}",
            "timestamp": 10**12 + i,
        }
        | {"query_response_hit_ids": [str(d)]}
        for i, d in enumerate(documents)
    ]
    return [json.dumps(t) + "\n" for t in told]


WRITERS = {"table": csv, "yandex": yandex, "ubi": ubi}


def put(folder, name, lines, *, is_broken=False):
    data = gzip.compress("".join(lines).encode(), 1)
    (folder / name).write_bytes(data[:-20] if is_broken else data)
    return folder / name


def kept(lake, *, without=()):
    """The manifest and the rows, without names of files; but not what is told of some sources."""
    manifest = ultr.open_lake(lake).manifest
    opened = ultr.open_lake(lake)
    sources = {name: entry for name, entry in manifest.sources.items() if name not in without}
    rows = {
        table: sorted(repr(r) for r in opened.read(table).to_pylist() if r["source"] not in without)
        for table in ("sessions", "events", "rejects", "unattached")
    }
    return manifest.ids, sources, manifest.meta, rows


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("order", ["good bad", "bad good", "good bad other"])
def test_a_skipped_file_decides_nothing(tmp_path, monkeypatch, form, order):
    """Its first chunks have keys that break the rule of the others, and more than it can hold."""
    monkeypatch.setattr(raw, "BLOCK_BYTES", 1 << 15)
    write = WRITERS[form]
    paths = {
        "good": put(tmp_path, "good", write([5, 6])),
        "bad": put(tmp_path, "bad", write(WORDS), is_broken=True),
        "other": put(tmp_path, "other", write([7, 8])),
    }
    chosen = [paths[name] for name in order.split()]
    result = read(tmp_path / "lake", chosen, form, on_bad_file="skip")
    assert (result["files"], result["files_rejected"]) == (len(chosen) - 1, 1)
    read(tmp_path / "plain", [p for p in chosen if p.name != "bad"], form)
    assert kept(tmp_path / "lake", without=["bad"]) == kept(tmp_path / "plain")
    assert "bad" not in ultr.open_lake(tmp_path / "lake").manifest.sources
    (note,) = [
        r for r in ultr.open_lake(tmp_path / "lake").read("rejects").to_pylist()
        if r["source"] == "bad"
    ]  # fmt: skip
    assert (note["line"], note["text"]) == (0, "")


def test_a_good_file_after_a_bad_one_still_widens_the_rule(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "BLOCK_BYTES", 1 << 15)
    paths = [
        put(tmp_path, "a", csv([5, 6])),
        put(tmp_path, "b", csv(WORDS), is_broken=True),
        put(tmp_path, "c", csv("abc")),
    ]
    assert read(tmp_path / "lake", paths, "table", on_bad_file="skip")["files"] == 2
    assert ultr.open_lake(tmp_path / "lake").manifest.ids == {"query": "integer", "doc": "xxh3"}


def test_a_file_that_cannot_be_looked_at_takes_its_events_from_the_pages_of_others(
    tmp_path, monkeypatch
):
    page = tmp_path / "page.log"
    page.write_text("\n".join(as_lines(*one_page(0))))
    clicks = tmp_path / "clicks.log"
    clicks.write_text("\n".join(as_lines(event("click", 5, "a", query="q0"))))
    assert read(tmp_path / "lake", [page, clicks], "ubi")["clicks"] == 1
    os.utime(clicks, ns=(1, 1))

    def unreadable(parts):
        if parts == [clicks]:
            raise DataError("a raw log must be a readable file", got="", hint="")
        return changes.mark_of(parts)

    monkeypatch.setattr(ingest, "mark_of", unreadable)
    read(tmp_path / "lake", [page, clicks], "ubi", on_bad_file="skip")
    (row,) = ultr.open_lake(tmp_path / "lake").read("sessions").to_pylist()
    assert row["click"] == [0, 0]


def test_what_a_skipped_file_is_about_is_not_joined_again(tmp_path, monkeypatch):
    """The counts of a job are those of the files that it read."""
    monkeypatch.setattr(raw, "BLOCK_BYTES", 1 << 15)
    old = put(tmp_path, "old", ubi(range(9)))
    for lake in ("lake", "plain"):
        read(tmp_path / lake, [old], "ubi")
    bad = put(tmp_path, "bad", ubi(range(len(WORDS))), is_broken=True)
    new = put(tmp_path, "new", ubi([5], "new"))
    told = read(tmp_path / "lake", [bad, new], "ubi", on_bad_file="skip")
    expected = read(tmp_path / "plain", [new], "ubi")
    names = ("pages_by_impressions", "pages_by_hits", "waiting", "sessions")
    assert {n: told[n] for n in names} == {n: expected[n] for n in names}
    assert kept(tmp_path / "lake", without=["bad"]) == kept(tmp_path / "plain")
