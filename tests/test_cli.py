"""The command line as a user meets it: help with an example, exit codes, words of errors."""

import importlib.util
import io
import json
import math
import re
import subprocess
import sys

import click
import pyarrow as pa
import pytest

from ultr.cli import COMMANDS, cli, main
from ultr.cli.output import emit
from ultr.lake import create_lake, open_lake
from ultr.manifest import MANIFEST
from ultr.schema import TABLES


def call(capsys, *arguments):
    """(exit code, standard output, standard error) of a command."""
    try:
        main(list(map(str, arguments)))
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    out, err = capsys.readouterr()
    return code, out, err


@pytest.fixture
def lake(tmp_path):
    root = tmp_path / "lake"
    rows = pa.table({"query_id": [7, 7], "doc_id": [1, 2], "grade": [0, 2]})
    with create_lake(root).commit("test") as change:
        change.write("judgments", rows)
    return root


def written():
    return [n for n in COMMANDS if importlib.util.find_spec(f"ultr.cli.{n}") is not None]


def leaves(name, command):
    if isinstance(command, click.Group):
        return [leaf for n, c in command.commands.items() for leaf in leaves(f"{name} {n}", c)]
    return [(name, command)]


ALL = [leaf for n in written() for leaf in leaves(n, cli.get_command(click.Context(cli), n))]


@pytest.mark.parametrize("name", [n for n, _ in ALL])
def test_each_command_has_help_with_an_example(capsys, name):
    code, out, _ = call(capsys, *name.split(), "--help")
    assert code == 0
    assert re.search(rf"Examples?:\s+(.+\n\s+)*?ultr {name}\b", out), out


@pytest.mark.parametrize("command", [c for _, c in ALL], ids=[n for n, _ in ALL])
def test_each_option_says_what_it_is_for(command):
    silent = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert silent == []


def test_the_first_help_lists_every_command(capsys):
    code, out, _ = call(capsys, "--help")
    assert code == 0
    assert all(re.search(rf"^  {name}\s", out, re.MULTILINE) for name in COMMANDS)


def test_version(capsys):
    code, out, _ = call(capsys, "--version")
    assert code == 0
    assert "ultr" in out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["nonsense"], 2, "No such command"),
        (["sql", "--nonsense"], 2, "No such option"),
        (["sql", "select 1"], 2, "--lake"),
        (["sql", "--lake", "{none}", "select 1"], 1, "ultr ingest"),
        (["sql", "--lake", "{lake}", "selec 1"], 2, "syntax error"),
        (["sql", "--lake", "{lake}", "select * from nowhere"], 2, "views: sessions"),
        (["sql", "--lake", "{lake}", "drop view sessions"], 2, "one SELECT"),
        (["sql", "--lake", "{lake}", "--name", "nonsense"], 2, "ctr_by_position"),
        (["sql", "--lake", "{lake}", "select 1", "--name", "coverage"], 2, "one thing"),
        (["sql", "--lake", "{lake}", "select 1", "--runs", "{none}"], 2, "no folder"),
        (["sql", "--lake", "{lake}", "--attach", "{lake}/x.duckdb"], 2, "into a lake"),
        (["sql", "--schema", "nonsense"], 2, "ctr_by_position"),
        (["sql", "--list", "--check"], 2, "one thing"),
        (["sql", "--lake", "{lake}", "select $a"], 2, "missing: a"),
        (["sql", "--lake", "{lake}", "select $a", "--param", "a"], 2, "--param takes"),
        (["sql", "--lake", "{lake}", "select 'a' :: int"], 1, "Could not convert"),
        (["sql", "--lake", "{lake}", "from '{lake}/manifest.json'"], 2, "--allow-files"),
        (["lake", "info", "--lake", "{none}"], 1, "manifest.json"),
        (["lake", "info"], 2, "--lake"),
        (["job", "nonsense", "--config", "{none}"], 2, "nightly"),
        (["job", "nightly", "--config", "{none}"], 2, "No such file"),
    ],
)
def test_errors_have_an_exit_code_and_say_what_to_do(capsys, lake, arguments, code, words):
    none = lake.parent / "x"
    filled = [a.replace("{lake}", str(lake)).replace("{none}", str(none)) for a in arguments]
    before = (lake / MANIFEST).read_bytes()
    found, out, err = call(capsys, *filled)
    assert (found, out) == (code, "")
    assert words in err
    assert "Traceback" not in err
    assert (lake / MANIFEST).read_bytes() == before


def test_errors_come_in_three_lines(capsys, tmp_path):
    _, _, err = call(capsys, "lake", "info", "--lake", tmp_path / "x")
    rule, got, hint = err.strip().splitlines()
    assert rule.startswith("error: ")
    assert got.startswith("  got:  ")
    assert hint.startswith("  next: ")


def test_sql_prints_a_table_or_what_programs_read(capsys, lake):
    question = ["sql", "--lake", lake, "select max(grade) as top from judgments where grade < $g"]
    assert call(capsys, *question, "--param", "g=2")[1].split() == ["top", "───", "0", "1", "row"]
    _, out, _ = call(capsys, *question, "--param", "g=3", "--format", "json")
    assert json.loads(out) == [{"top": 2}]
    assert call(capsys, *question, "--param", "g=3", "--format", "csv")[1] == "top\n2\n"


def test_sql_list_shows_what_can_be_asked(capsys, lake):
    _, out, _ = call(capsys, "sql", "--lake", lake, "--list")
    assert all(name in out for name in (*TABLES, "list_periods", "impressions", "ctr_by_position"))
    assert re.search(r"^  judgments +2  ", out, re.MULTILINE)
    code, listed, _ = call(capsys, "sql", "--list")
    assert code == 0
    assert listed[listed.index("Analysis:") :] in out


def test_sql_reads_standard_input(capsys, lake, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("select max(grade) as top\nfrom judgments;\n"))
    assert call(capsys, "sql", "--lake", lake, "--format", "csv")[1] == "top\n2\n"
    monkeypatch.setattr("sys.stdin", io.StringIO(" \n"))
    code, out, err = call(capsys, "sql", "--lake", lake)
    assert (code, out) == (2, "")
    assert "nothing on standard input" in err


def test_a_named_query_says_what_the_lake_lacks(capsys, lake):
    code, _, err = call(capsys, "sql", "--lake", lake, "--name", "coverage")
    assert code == 0
    assert "no exposures in the lake yet: ultr lists" in err
    assert "judgments" not in err


def test_sql_check_fails_when_a_check_finds_rows(capsys, lake):
    assert call(capsys, "sql", "--lake", lake, "--check")[0] == 0
    candidates = {"query_id": [7], "doc_id": [1], "row": [5], "features": [None]}
    with create_lake(lake).commit("test") as change:
        change.write("candidates", pa.table(candidates), bucket=0)
    code, out, err = call(capsys, "sql", "--lake", lake, "--check")
    assert code == 1
    assert re.search(r"FAIL\s+candidate_rows_are_numbered\s+1", out)
    assert "--name candidate_rows_are_numbered" in err


def test_lake_info(capsys, lake):
    _, out, _ = call(capsys, "lake", "info", "--lake", lake, "--json")
    assert json.loads(out)["rows"] == {"judgments": 2}
    _, text, _ = call(capsys, "lake", "info", "--lake", lake)
    assert "judgments 2" in text


def test_a_reader_that_goes_away_is_no_error(lake):
    script = "import sys; from ultr.cli import main; main(sys.argv[1:])"
    query = "select * from range(200000)"
    arguments = ["sql", "--lake", str(lake), query, "--format", "csv"]
    with subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"range\n"
        process.stdout.close()
        err = process.stderr.read()
        assert (process.wait(), err) == (0, b"")


def test_what_is_printed_is_json_whatever_was_measured(capsys):
    emit({"a": math.nan, "b": {"c": [1.0, -math.inf]}, "d": 2}, as_json=True, title="x")
    assert json.loads(capsys.readouterr().out, parse_constant=pytest.fail) == {
        "a": None,
        "b": {"c": [1.0, None]},
        "d": 2,
    }


def test_a_long_mapping_is_cut_for_people_only(capsys):
    result = {"propensities": {str(k): 1.0 for k in range(1, 31)}}
    emit(result, as_json=False, title="x")
    assert "12 1, … 18 more" in capsys.readouterr().out
    emit(result, as_json=True, title="x")
    assert json.loads(capsys.readouterr().out) == result


def test_what_there_is_not_is_not_shown_to_people(capsys):
    result = {"identification": {"state": "swaps", "separation": None}}
    emit(result, as_json=False, title="x")
    assert capsys.readouterr().out.endswith("identification  state swaps\n")
    emit(result, as_json=True, title="x")
    assert json.loads(capsys.readouterr().out) == result


def test_a_wrong_setting_names_the_file_it_is_in(capsys, lake, tmp_path):
    config = tmp_path / "c1.toml"
    for text, words in (("bogus = 1", "c1.toml: every key"), ("hidden = 3", "as in [64, 32]")):
        config.write_text(text)
        train = ("train", "--lake", lake, "--run", tmp_path / "run", "--config", config)
        code, _, err = call(capsys, *train)
        assert code == 2
        assert words in err


def test_the_overview_counts_what_the_views_show(capsys, lake):
    with open_lake(lake).commit("test") as change:
        for source in ("a", "b"):
            rows = pa.table({"query_id": [7], "key": ["7"]})
            change.write("queries", rows, source=source)
    _, out, _ = call(capsys, "sql", "--lake", lake, "--list")
    assert re.search(r"^  queries +1  ", out, re.MULTILINE)


def test_max_grade_is_checked(capsys, lake, tmp_path):
    asked = ("evaluate", "--run", tmp_path, "--lake", lake, "--max-grade", "31")
    code, _, err = call(capsys, *asked)
    assert code == 2
    assert "from 1 to 30" in err
