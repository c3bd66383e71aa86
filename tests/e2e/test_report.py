"""A report of real runs on a small lake."""

import json
import shutil

import pytest

from tests.report.pages import check_page
from ultr.cli import main
from ultr.demo import DemoConfig, demo
from ultr.errors import UsageError
from ultr.report.write import write_report


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("report") / "demo"
    config = DemoConfig(out=out, sessions=8_000, queries=80, docs=15, features=8)
    demo(config)
    return config


def test_the_command_writes_one_page(made, tmp_path, capsys):
    runs = made.out / "runs"
    out = tmp_path / "report.html"
    main(["report", "--run", str(runs / "dla"), "--against", str(runs / "naive"), "--out",
          str(out), "--json"])  # fmt: skip
    said = json.loads(capsys.readouterr().out)
    html = out.read_text(encoding="utf-8")
    check_page(html)
    assert said["headline"] in html
    assert said["missing"] == {}
    assert "against naive" in html


def test_without_its_lake_a_run_is_still_reported(made, tmp_path):
    lake = made.lake
    away = lake.with_name("away")
    shutil.move(lake, away)
    try:
        said = write_report(made.out / "runs" / "dla", out=tmp_path / "r.html")
    finally:
        shutil.move(away, lake)
    assert "lake" in said["missing"]
    check_page((tmp_path / "r.html").read_text(encoding="utf-8"))


def test_a_page_has_a_name_of_a_page(made, tmp_path):
    with pytest.raises(UsageError, match="HTML"):
        write_report(made.out / "runs" / "dla", out=tmp_path / "r.pdf")
