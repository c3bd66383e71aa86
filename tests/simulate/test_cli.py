"""`ultr simulate` as a user calls it."""

import json

import pytest

from ultr.cli import main


def call(capsys, *arguments):
    try:
        main(["simulate", *map(str, arguments)])
        code = 0
    except SystemExit as stop:
        code = stop.code
    return code, *capsys.readouterr()


def test_several_letor_files_after_one_option(tmp_path, letor, capsys):
    other = tmp_path / "other.txt"
    other.write_text("1 qid:3 1:1\n0 qid:3 2:1\n")
    arguments = ("--letor", letor, other, "--out", tmp_path / "s", "--sessions", 20, "--json")
    code, out, err = call(capsys, *arguments)
    assert (code, err) == (0, "")
    assert json.loads(out)["queries"] == 3


def test_synthetic(tmp_path, capsys):
    code, out, _ = call(
        capsys, "--synthetic", "queries=5,docs=4,features=3,sigma=0", "--out", tmp_path / "s",
        "--format", "table", "--click-model", "pbm", "--eta", "0.5", "--epsilon", "0.2",
        "--logger", "strong", "--logging", "plackett-luce", "--positions", "3",
        "--sessions", "20", "--seed", "4",
    )  # fmt: skip
    assert code == 0
    assert "simulated into" in out
    truth = json.loads((tmp_path / "s" / "truth.json").read_text())
    assert (truth["eta"], truth["epsilon"], truth["seed"]) == (0.5, 0.2, 4)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--synthetic", "queries=5", "--format", "xml"), 2, "yandex, baidu, ubi, table"),
        (("--synthetic", "qeries=5"), 2, "did you mean 'queries'"),
        (("stray.txt", "--synthetic", "queries=5"), 2, "follow --letor"),
        (("--letor", "absent.txt"), 1, "No such file"),
        ((), 2, "neither"),
    ],
)
def test_errors(tmp_path, capsys, arguments, code, message):
    got, out, err = call(capsys, *arguments, "--out", tmp_path / "s")
    assert (got, out) == (code, "")
    assert message in err
    assert list(tmp_path.iterdir()) == []
