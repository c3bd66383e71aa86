"""Baidu-ULTR through the whole of ingest: ids, texts and behaviour columns arrive in the lake."""

from __future__ import annotations

import hashlib

import pytest

from ultr.etl import seen
from ultr.etl.ingest import IngestConfig, ingest
from ultr.lake import open_lake
from ultr.schema import SESSIONS

BAIDU = IngestConfig(format="baidu")


def url(n):
    return hashlib.md5(b"%d" % n).hexdigest()


def page(number, documents=3):
    """A page whose documents come again on others, with a text that depends on the page."""
    lines = [f"{number}\t5\x01{number % 4}\t-"]
    for position in range(1, documents + 1):
        document = number % 5 + position
        line = [str(position), url(document), f"1\x01{document}", str(number % 2), "-", "0"]
        lines.append("\t".join([*line, *["-"] * 10, "2.5", *["-"] * 15]))
    return "\n".join(lines) + "\n"


def write(folder, *files):
    folder.mkdir()
    for n, pages in enumerate(files):
        (folder / f"part-{n}").write_text("".join(map(page, pages)))
    return folder


def views(lake):
    opened = open_lake(lake)
    return {t: sorted(map(str, opened.table(t).collect().rows())) for t in ("queries", "documents")}


def test_everything_is_in_the_lake(tmp_path):
    result = ingest([write(tmp_path / "log", range(20))], lake=tmp_path / "lake", config=BAIDU)
    assert (result["sessions"], result["impressions"], result["used"]) == (20, 60, 80)
    lake = open_lake(tmp_path / "lake")
    assert lake.manifest.ids == {"query": "xxh3", "doc": "hex"}
    row = lake.read("sessions").to_pylist()[0]
    first = int.from_bytes(bytes.fromhex(url(1))[:8], "big", signed=True)
    assert (row["doc_id"][0], row["dwell_s"], row["abstract_length"]) == (first, [2.5] * 3, [1] * 3)
    assert SESSIONS.column("dwell_s").is_post_click
    assert views(tmp_path / "lake")["queries"][0].endswith("'5 0', '5 0')")


@pytest.mark.parametrize("slots", [2, seen.SLOTS])
def test_any_split_over_files_tells_the_same(tmp_path, monkeypatch, slots):
    monkeypatch.setattr(seen.Seen.__init__, "__kwdefaults__", {"slots": slots})
    for name, files in (("one", [range(20)]), ("three", [range(7), range(7, 8), range(8, 20)])):
        ingest([write(tmp_path / f"log {name}", *files)], lake=tmp_path / name, config=BAIDU)
    assert views(tmp_path / "one") == views(tmp_path / "three")
    assert len(views(tmp_path / "one")["documents"]) == 7
