"""Pages of many sources become files of one source each, encoded beside the work on the next."""

from __future__ import annotations

import threading

import polars as pl
import pytest

from ultr.commit import Commit
from ultr.etl import session_files
from ultr.etl.replace import as_rows
from ultr.etl.session_files import SessionFiles
from ultr.lake import create_lake, open_lake


def pages(source, ordinals):
    n = len(ordinals)
    return as_rows(
        pl.DataFrame(
            {
                "source": source,
                "ordinal": ordinals,
                "query_id": 1,
                "period": "all",
                "doc_id": [[7, 8]] * n,
                "position": [[1, 2]] * n,
                "click": [[0, 1]] * n,
                "weight": 1.0,
            }
        )
    )


@pytest.mark.parametrize("rows", [2, 100])
def test_every_page_comes_once_in_a_file_of_its_source(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(session_files, "FILE_ROWS", rows)
    with create_lake(tmp_path).commit("test") as change, SessionFiles(change) as files:
        for first in (1, 4, 7):
            added = [pages(s, list(range(first, first + 3))) for s in "ab"]
            files.add(pl.concat(added))
        deltas = files.close()
    assert {s: (d.sessions, d.impressions, d.clicks) for s, d in deltas.items()} == {
        "a": (9, 18, 9),
        "b": (9, 18, 9),
    }
    lake = open_lake(tmp_path)
    for source in "ab":
        assert lake.read("sessions", source=source)["ordinal"].to_pylist() == list(range(1, 10))
        assert len(lake.files("sessions", source=source)) == (3 if rows == 2 else 1)


def test_what_the_disk_refuses_is_told_and_no_thread_stays(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left")

    before = threading.active_count()
    monkeypatch.setattr(Commit, "write", full)
    with create_lake(tmp_path).commit("test") as change, SessionFiles(change) as files:
        files.add(pages("a", [1, 2]))
        with pytest.raises(OSError, match="no space"):
            files.close()
    assert threading.active_count() == before
