"""`ultr features`, `ultr judgments` and `ultr lists` as they are called."""

import json

import polars as pl
import pytest

from ultr.cli import main
from ultr.lake import open_lake


@pytest.fixture
def lake(tmp_path, make_lake, one_page):
    more = {"device": "phone", "height_px": [10.0, 20.0]}
    return make_lake(tmp_path / "lake", [one_page(1, 7, [1, 2], [1, 0], **more)])


def printed(capsys, *arguments):
    main([*map(str, arguments), "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_three_commands(capsys, tmp_path, lake):
    pl.DataFrame({"query_id": [7], "doc_id": [1], "a": [0.5]}).write_csv(tmp_path / "f.csv")
    pl.DataFrame({"query_id": [7], "doc_id": [1], "grade": [2]}).write_csv(tmp_path / "j.csv")
    found = printed(capsys, "features", "--lake", lake, "--from", tmp_path / "f.csv")
    assert found["match_share"] == 0.5
    assert printed(capsys, "judgments", tmp_path / "j.csv", "--lake", lake)["max_grade"] == 2
    context = "device, height_px:bins=2"
    found = printed(capsys, "lists", "--lake", lake, "--context", context, "--buckets", "2")
    assert found["context"] == ["device", "height_px:bins=2"]
    assert len(open_lake(lake).read("lists")) == found["rows"] == 1
    filters = ["--drop-repeats", "--drop-click-all", "users", "--max-pages-per-user", "9"]
    found = printed(capsys, "lists", "--lake", lake, *filters, "--rebuild")
    assert found["dropped"].keys() == {"busy_users", "click_all", "repeats"}
    main(["lists", "--lake", str(lake), *filters])
    assert "repeats sessions 0, impressions 0, clicks 0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["lists", "--lake", "{lake}", "--context", "colour"], 2, "device, media_type, height_px"),
        (["lists", "--lake", "{lake}", "--context", "media_type"], 1, "with values: device"),
        (["lists", "--lake", "{lake}", "--buckets", "3"], 2, "power of two"),
        (["lists", "--lake", "{lake}", "--period", "week"], 2, "--period source"),
        (["lists", "--lake", "{lake}", "--click-when", "dwell_s>=9"], 1, "leave --click-when out"),
        (["lists", "--lake", "{lake}", "--click-when", "often"], 2, "feedback:ACTION"),
        (["features", "--lake", "{lake}", "--from", "no.parquet"], 1, "check the path"),
        (["judgments", "no.txt", "--lake", "{lake}", "--format", "qrels"], 1, "check the path"),
        (["judgments", "no.txt", "--lake", "{lake}", "--format", "letor"], 1, "no.txt"),
    ],
)
def test_errors_leave_the_lake_as_it_was(capsys, lake, arguments, code, words):
    before = (lake / "manifest.json").read_bytes()
    with pytest.raises(SystemExit) as stop:
        main([a.replace("{lake}", str(lake)) for a in arguments])
    assert stop.value.code == code
    assert words in capsys.readouterr().err
    assert (lake / "manifest.json").read_bytes() == before
