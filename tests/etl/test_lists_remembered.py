"""Options of `ultr lists` are remembered, so that a night that leaves them out adds to the last."""

import pytest

from tests.test_cli import call
from ultr.etl.lists import ListsConfig, build_lists
from ultr.etl.lists_remembered import remember
from ultr.lake import open_lake


@pytest.fixture
def lake(tmp_path, pages, make_lake):
    return make_lake(tmp_path / "lake", pages(60, timed=True))


GIVEN = {"context": ("device",), "period": "week", "drop_repeats": True, "click_when": None}


def test_what_is_not_given_is_as_in_the_last_build(lake):
    first = remember(lake, GIVEN)
    assert first.kept == {}
    build_lists(lake, config=first.config)
    again = remember(lake, {"memory_gib": 0.5})
    assert again.kept == {"context": ["device"], "period": "week", "drop_repeats": True}
    assert again.config.settings() == first.config.settings()
    assert again.config.memory_gib == 0.5
    assert build_lists(lake, config=again.config)["periods_rebuilt"] == 0


def test_explicit_values_and_a_reset_change_it(lake):
    build_lists(lake, config=remember(lake, GIVEN).config)
    changed = remember(lake, {"context": (), "drop_repeats": False}).config
    assert (changed.context, changed.filters.drop_repeats, changed.period) == ((), False, "week")
    assert remember(lake, {"period": "day"}, reset=True).config == ListsConfig(period="day")


def test_the_command_says_what_it_kept(lake, capsys):
    call(capsys, "lists", "--lake", lake, "--context", "device", "--drop-repeats")
    code, out, _ = call(capsys, "lists", "--lake", lake)
    assert code == 0
    assert "options_of_last_build" in out
    assert "context device" in out
    assert open_lake(lake).manifest.meta["lists"]["context"] == ["device"]
    _, out, _ = call(capsys, "lists", "--lake", lake, "--reset", "--keep-repeats")
    assert "options_of_last_build" not in out
    assert open_lake(lake).manifest.meta["lists"]["context"] == []
