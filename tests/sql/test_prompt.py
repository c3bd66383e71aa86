import os
import pty
import subprocess
import sys

import pytest

from ultr.sql import connect
from ultr.sql.prompt import HELP, history_path, prompt, statements


def reader(*lines):
    """Gives one line after the other, raises those that are exceptions, then ends."""
    rest = iter([*lines, EOFError()])

    def read(shown):
        prompts.append(shown)
        line = next(rest)
        if isinstance(line, BaseException):
            raise line
        return line

    prompts = read.prompts = []
    return read


@pytest.fixture
def talk(lake, capfd):
    def say(*lines):
        prompt(connect(lake), read=reader(*lines))
        return capfd.readouterr()

    return say


def test_sql_goes_up_to_the_semicolon():
    read = reader("", "select 1,", "", "  ';' as a ; ", ".views", "select 2;", "select 3")
    found = ["select 1,\n\n  ';' as a ; ", ".views", "select 2;"]
    assert list(statements(read)) == found
    assert [p for p in read.prompts if p.startswith(" ")] == [read.prompts[2]] * 3


def test_ctrl_c_drops_what_is_half_typed():
    read = reader("select 1", KeyboardInterrupt(), "select 2;")
    assert list(statements(read)) == ["select 2;"]


def test_a_select_prints_a_table(talk):
    assert talk("select count(*) as n", "from sessions;").out.split() == [
        "n", "─", "3", "1", "row",
    ]  # fmt: skip


def test_commands_with_a_dot(talk):
    assert "impressions" in talk(".views").out
    assert "--param top=…" in talk(".queries").out
    assert talk(".help").out.strip() == HELP
    shown = talk(".schema judgments").out
    assert "relevance grade, 0 is irrelevant" in shown
    assert "smallint" in shown
    assert "first period" in talk(".schema pairs").out
    assert talk(".run ctr_by_position period=2026-01-02").out.splitlines()[-1] == "1 row"
    assert talk(".run ctr_by_position period=null").out.splitlines()[-1] == "2 rows"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("select nope from sessions;", "views: sessions"),
        ("select 'a'::int;", "Could not convert"),
        ("drop view sessions;", "one SELECT"),
        ("from read_csv('/etc/passwd');", "no other file"),
        (".nonsense", ".schema NAME"),
        (".schema nonsense", "ctr_by_position"),
        (".run nonsense", "ctr_by_position"),
        (".run top_queries top", ".run NAME"),
    ],
)
def test_after_an_error_it_goes_on(talk, line, words):
    out, err = talk(line, "select 42 as a;")
    assert words in err
    assert "42" in out


def test_quit_ends_it(talk):
    assert talk(".quit", "select 42;").out == ""


def test_history_is_where_programs_keep_their_state(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert history_path() == tmp_path / "ultr" / "sql_history"


def test_on_a_terminal_without_sql_the_prompt_opens(lake, tmp_path):
    pytest.importorskip("readline")
    ours, theirs = pty.openpty()
    code = "import sys; from ultr.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "sql", "--lake", str(lake.root)]
    environment = os.environ | {"XDG_STATE_HOME": str(tmp_path), "TERM": "dumb"}
    os.write(ours, b"select 6 * 7 as answer;\n.quit\n")
    done = subprocess.run(
        command, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env=environment, timeout=60,
        check=False,
    )  # fmt: skip
    shown = os.read(ours, 1 << 16)
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert b"42" in shown
    assert b".help" in done.stderr
    assert "answer" in (tmp_path / "ultr" / "sql_history").read_text()
