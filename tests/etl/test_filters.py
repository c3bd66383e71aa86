"""Filters take what they say, count it, and leave `sessions` alone."""

from datetime import UTC, datetime

import pytest

from ultr.errors import DataError, UsageError
from ultr.etl.click_when import parse_click_when
from ultr.etl.filters import Filters
from ultr.etl.lists import ListsConfig, build_lists
from ultr.lake import open_lake
from ultr.sql import run_checks


def built(root, **filters):
    return build_lists(root, config=ListsConfig(filters=Filters(**filters)), quiet=True)


def lists_of(root):
    """(clicks, sessions) of every row, sorted."""
    return sorted((r["click"], r["n"]) for r in open_lake(root).read("lists").to_pylist())


def visit(make, ordinal, docs, clicks, *, query=7, **more):
    return make(ordinal, query, docs, clicks, **{"session_id": "s", "elapsed_ms": ordinal} | more)


def counts(sessions, impressions, clicks):
    return {"sessions": sessions, "impressions": impressions, "clicks": clicks}


def test_without_filters_nothing_is_reported(tmp_path, pages, make_lake):
    result = built(make_lake(tmp_path / "lake", pages(20)))
    assert "dropped" not in result
    assert "logged" not in result


def test_repeats_become_one_page_with_all_clicks(tmp_path, make_lake, one_page):
    log = [
        visit(one_page, 1, [1, 2, 3], [1, 0, 0], dwell_s=[2.0, None, None]),
        visit(one_page, 2, [1, 2, 3], [0, 0, 0]),
        visit(one_page, 3, [1, 2, 3], [1, 0, 1], dwell_s=[3.0, None, 4.0]),
        visit(one_page, 4, [3, 2, 1], [0, 1, 0]),  # another list
        visit(one_page, 5, [1, 2, 3], [0, 0, 0]),  # no repeat of what comes before
        visit(one_page, 6, [1, 2, 3], [0, 1, 0], session_id="t"),  # another visit
    ]
    root = make_lake(tmp_path / "lake", log)
    result = built(root, drop_repeats=True)
    assert result["logged"] == counts(6, 18, 5)
    assert result["dropped"] == {"repeats": counts(2, 6, 2)}
    assert (result["sessions"], result["clicks"]) == (4, 4)
    found = [([0, 0, 0], 1), ([0, 1, 0], 1), ([0, 1, 0], 1), ([1, 0, 1], 1)]
    assert lists_of(root) == found
    times = {(r["doc_id"], r["position"]): r["dwell_sum_s"] for r in exposures(root)}
    assert (times[1, 1], times[3, 3], times[2, 2]) == (5.0, 4.0, None)
    assert open_lake(root).rows("sessions") == 6


def exposures(root):
    return open_lake(root).read("exposures").to_pylist()


def test_a_repeat_has_the_positions_and_the_query_of_the_page(tmp_path, make_lake, one_page):
    log = [
        visit(one_page, 1, [1, 2], [0, 0]),
        visit(one_page, 2, [1, 2], [0, 0], position=[1, 3]),
        visit(one_page, 3, [1, 2], [0, 0], position=[1, 3], query=8),
        visit(one_page, 4, [1, 2], [0, 0], position=[1, 3], query=8, period="2026-01-02"),
    ]
    result = built(make_lake(tmp_path / "lake", log), drop_repeats=True)
    assert result["sessions"] == 4  # the last is of another day


def test_pages_of_no_visit_repeat_nothing(tmp_path, make_lake, one_page):
    log = [one_page(i, 7, [1, 2], [0, 0]) for i in (1, 2)]
    assert built(make_lake(tmp_path / "lake", log), drop_repeats=True)["sessions"] == 2
    users = [p | {"user_id": "u"} for p in log]
    assert built(make_lake(tmp_path / "users", users), drop_repeats=True)["sessions"] == 1


def test_repeats_go_by_time_over_files(tmp_path, make_lake, one_page):
    def at(minute, source, docs):
        shown = datetime(2026, 1, 1, 12, minute, tzinfo=UTC)
        more = {"shown_at": shown, "period": "2026-01-01", "source": source, "elapsed_ms": None}
        return visit(one_page, 1, docs, [0] * len(docs), **more)

    log = [at(0, "c", [1, 2]), at(1, "a", [1, 2]), at(2, "b", [2, 1]), at(3, "d", [1, 2])]
    for files in (1, 4):
        root = make_lake(tmp_path / str(files), log, files=files)
        assert built(root, drop_repeats=True)["dropped"]["repeats"]["sessions"] == 1


def test_pages_on_which_everything_was_clicked(tmp_path, make_lake, one_page):
    log = [
        one_page(1, 7, [1, 2], [1, 1]),
        one_page(2, 7, [1, 2], [1, 0]),
        one_page(3, 7, [1], [1]),  # one document says nothing
    ]
    result = built(make_lake(tmp_path / "lake", log), drop_click_all="sessions")
    assert result["dropped"] == {"click_all": counts(1, 2, 2)}
    assert result["logged"] == counts(3, 5, 4)


def test_users_of_a_day_who_clicked_everything(tmp_path, make_lake, one_page):
    def of(user, ordinal, clicks, day="2026-01-01"):
        more = {"user_id": user, "period": day}
        return one_page(ordinal, 7, list(range(len(clicks))), clicks, **more)

    log = [
        *(of("robot", 1, [1, 1]), of("robot", 2, [1])),
        of("robot", 3, [1, 0], "2026-01-02"),
        *(of("eager", 4, [1, 1]), of("eager", 5, [0, 1])),
        of("once", 6, [1]),
        of(None, 7, [1, 1]),
    ]
    result = built(make_lake(tmp_path / "lake", log), drop_click_all="users")
    assert result["dropped"] == {"click_all": counts(2, 3, 3)}
    assert result["sessions"] == 5


def test_users_with_too_many_pages_in_a_day(tmp_path, make_lake, one_page):
    log = [
        one_page(i, 7, [1, 2], [0, 1], user_id=user, period=day)
        for i, (user, day) in enumerate(
            [("a", "1"), ("a", "1"), ("a", "1"), ("a", "2"), ("b", "1"), ("b", "1"), (None, "1")]
        )
    ]
    root = make_lake(tmp_path / "lake", log)
    result = built(root, max_pages_per_user=2)
    assert result["dropped"] == {"busy_users": counts(3, 6, 3)}
    assert result["sessions"] == 4
    found = run_checks(open_lake(root))
    assert {n for n, rows in found.items() if rows} <= {"ids_are_known", "periods_are_utc_days"}


def test_a_page_counts_under_the_first_filter_that_takes_it(tmp_path, make_lake, one_page):
    more = {"user_id": "u", "session_id": "s", "elapsed_ms": 1}
    log = [one_page(i, 7, [1, 2], [1, 1], **more) for i in (1, 2, 3)]
    log.append(one_page(4, 7, [1, 2], [0, 0], user_id="v"))
    root = make_lake(tmp_path / "lake", log)
    every = {"max_pages_per_user": 2, "drop_click_all": "sessions", "drop_repeats": True}
    none = counts(0, 0, 0)
    taken = counts(3, 6, 6)
    assert built(root, **every)["dropped"] == {
        "busy_users": taken, "click_all": none, "repeats": none
    }  # fmt: skip
    every["max_pages_per_user"] = 3
    assert built(root, **every)["dropped"]["click_all"] == taken


def test_a_click_with_time_on_the_document(tmp_path, make_lake, one_page):
    log = [one_page(1, 7, [1, 2, 3], [1, 1, 0], dwell_s=[30.0, 29.5, 99.0])]
    log.append(one_page(2, 7, [1, 2, 3], [1, 0, 0]))
    root = make_lake(tmp_path / "lake", log)
    result = built(root, click_when="dwell_s>=30")
    assert (result["clicks"], result["logged"]) == (1, counts(2, 6, 3))
    assert lists_of(root) == [([0, 0, 0], 1), ([1, 0, 0], 1)]
    assert sum(r["clicks"] for r in exposures(root)) == 1


def test_another_action_as_the_click(tmp_path, make_lake, one_page):
    bought = {"action": "o'buy", "count": [0, 2]}
    log = [one_page(1, 7, [1, 2], [1, 0], feedback=[bought, {"action": "x", "count": [1, 0]}])]
    log.append(one_page(2, 7, [1, 2], [1, 0]))
    root = make_lake(tmp_path / "lake", log)
    built(root, click_when="feedback:o'buy")
    assert lists_of(root) == [([0, 0], 1), ([0, 1], 1)]
    with pytest.raises(DataError, match=r"o'buy, x"):
        built(root, click_when="feedback:add")


def test_a_click_definition_needs_its_column(tmp_path, make_lake, one_page):
    root = make_lake(tmp_path / "lake", [one_page(1, 7, [1], [0])])
    with pytest.raises(DataError, match="dwell"):
        built(root, click_when="dwell_s>=3")
    with pytest.raises(DataError, match="actions that do: none"):
        built(root, click_when="feedback:buy")


def test_filters_that_leave_nothing_say_so(tmp_path, make_lake, one_page):
    root = make_lake(tmp_path / "lake", [one_page(1, 7, [1, 2], [1, 1])])
    before = (root / "manifest.json").read_bytes()
    with pytest.raises(DataError, match="filters that take all 1"):
        built(root, drop_click_all="sessions")
    assert (root / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_pages_per_user": 0},
        {"drop_click_all": "pages"},
        {"click_when": "dwell_s>30"},
        {"click_when": "dwell_s>=-1"},
        {"click_when": "feedback:"},
        {"click_when": "1); drop table sessions; --"},
    ],
    ids=str,
)
def test_wrong_filters_are_refused(wrong):
    with pytest.raises(UsageError):
        Filters(**wrong)


def test_click_definitions_are_read():
    assert parse_click_when("dwell_s>=2.5").dwell_s == 2.5
    assert parse_click_when("feedback:a:b").action == "a:b"


def test_the_real_log_repeats_its_pages(tmp_path, real_data):
    from ultr.etl.ingest import IngestConfig, ingest

    root = tmp_path / "lake"
    source = real_data / "clara2" / "search_log.tsv"
    ingest([source], lake=root, config=IngestConfig(format="yandex"), quiet=True)
    result = built(root, drop_repeats=True)
    assert result["logged"] == counts(6380, 63800, 1777)
    assert 0.35 < result["dropped"]["repeats"]["sessions"] / 6380 < 0.45
    # Clicks of the repeats are on the page that stays; two on one document are one.
    lost_without = result["dropped"]["repeats"]["clicks"]
    assert lost_without > 0.2 * 1777
    assert 0.9 * 1777 < result["clicks"] < 1777
    assert open_lake(root).rows("sessions") == 6380
