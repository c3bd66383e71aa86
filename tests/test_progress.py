"""Progress is shown on standard error, and what becomes of it changes no job."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from ultr import progress
from ultr.cli import main
from ultr.etl.ingest import IngestConfig, ingest

NO_READER = """
import sys
from ultr import progress
progress.PLAIN_INTERVAL_S = -1
with progress.progress("lists", total=2) as advance:
    advance(1)
    advance(1)
print("done")
"""


@pytest.fixture
def lake(tmp_path):
    log = tmp_path / "log.tsv"
    log.write_text("".join(f"{i}\t0\tQ\t7\t0\t1\t2\n{i}\t1\tC\t2\n" for i in range(30)))
    ingest([log], lake=tmp_path / "lake", config=IngestConfig(format="yandex"), quiet=True)
    return tmp_path / "lake"


def test_lines_say_how_far_it_is(monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_INTERVAL_S", -1)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with progress.progress("ingest", total=4e6, unit="B") as advance:
        advance(1e6)
    assert sys.stderr.getvalue() == "ingest: 1 of 4 MB (25%)\n"


def test_a_reader_of_the_progress_that_went_away_does_not_end_the_work():
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [sys.executable, "-c", NO_READER], stdout=subprocess.PIPE, stderr=write_end, check=False
    )
    os.close(write_end)
    assert (done.returncode, done.stdout) == (0, b"done\n")


def test_json_comes_without_progress(lake, capfd, monkeypatch):
    monkeypatch.setattr(progress, "PLAIN_INTERVAL_S", -1)
    main(["lists", "--lake", str(lake), "--json"])
    out, err = capfd.readouterr()
    assert (json.loads(out)["sessions"], err) == (30, "")


def test_a_pipe_that_broke_while_the_work_was_done_is_no_success(lake, capfd, monkeypatch):
    """Only that nobody reads what is printed may pass silently: else the work is not done."""

    def broken(*_arguments, **_settings):
        raise BrokenPipeError

    monkeypatch.setattr("ultr.etl.lists.build_lists", broken)
    with pytest.raises(BrokenPipeError):
        main(["lists", "--lake", str(lake)])
    assert capfd.readouterr().out == ""


CONNECTIONS = {
    "duckdb": "connection = duckdb.connect()",
    "sql": "connection = ultr.sql.connect(ultr.open_lake(path))",
    "etl": "connection = stack.enter_context(engine(path, memory_gib=1))",
    "ubi": "connection = stack.enter_context(parser())",
}


@pytest.mark.parametrize("name", CONNECTIONS)
def test_nothing_but_results_is_on_standard_output(lake, name):
    """In a program that is given with -c DuckDB shows a bar there, of queries above two seconds."""
    code = f"""
import contextlib, pathlib, sys, duckdb, ultr, ultr.sql
from ultr.etl.engine import engine
from ultr.logs.ubi_rows import parser
path = pathlib.Path(sys.argv[1])
with contextlib.ExitStack() as stack:
    {CONNECTIONS[name]}
    print(connection.execute("select current_setting('enable_progress_bar')").fetchone()[0])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(lake)], capture_output=True, check=True, text=True
    )
    assert done.stdout.strip() == ("True" if name == "duckdb" else "False")
