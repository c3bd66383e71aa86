"""The README's quick start, command by command, on a small log; and its Python."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.test_cli import call

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
SMALLER = {
    "queries=500,docs=30,features=40": "queries=60,docs=15,features=6",
    "--sessions 100000": "--sessions 6000",
}


def block(language):
    """The README's code block in a language; there is one of each."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    return found


def steps():
    """(arguments, shown output) of each command."""
    for part in re.split(r"^\$ ", block("console"), flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        for large, small in SMALLER.items():
            command = command.replace(large, small)
        yield shlex.split(command, comments=True), shown


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What each command of the quick start printed, and the folder where they ran."""
    folder = tmp_path_factory.mktemp("quick-start")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def label(line):
    """What a line of output begins with: the name of a value, without the value."""
    return re.match(r"\s*(\S+)", line)[1]


# One test: each command needs the ones before it.
def test_the_quick_start_runs_and_prints_what_it_shows(made, capsys):
    for arguments, shown in steps():
        assert arguments[0] == "ultr"
        code, out, err = call(capsys, *arguments[1:])
        assert code == 0, (arguments, err)
        printed = {label(line) for line in (out + err).splitlines() if line.strip()}
        wanted = {label(line) for line in shown.splitlines() if re.match(r"\s*[a-z]", line)}
        assert wanted <= printed, arguments
    for arguments in re.findall(r"`ultr (train [^`]*--ranker table)`", README):
        code, _, err = call(capsys, *shlex.split(arguments))
        assert code == 0, err
    names = {"features": None}
    exec(block("python"), names)
    assert len(names["scores"]) == names["data"].n_documents
    assert names["found"].state == "swaps"
    assert (made / "report.html").stat().st_size > 0


def test_every_command_of_the_readme_has_options_that_exist():
    import click

    from ultr.cli import cli

    wrong = []
    for text in re.findall(r"`(ultr [^`…]+)`", README):
        words = shlex.split(text)
        command = cli.get_command(click.Context(cli), words[1])
        if isinstance(command, click.Group):
            command = command.commands.get(words[2]) if len(words) > 2 else command
        known = {o for p in command.params for o in (*p.opts, *p.secondary_opts)}
        wrong += [(text, w) for w in words[2:] if w.startswith("--") and w not in known]
    assert wrong == []
