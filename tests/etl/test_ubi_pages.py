"""What a page of UBI shows, what was clicked on it, and what becomes of every line."""

from __future__ import annotations

import json

import pytest

import ultr
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.ubi_base import bases
from ultr.etl.ubi_clicks import NO_CLIENT, NO_QUERY, NOT_SHOWN

START_MS = 1_767_225_600_000


def query(at=0, name="q", text="x", hits=None, client="c", **more):
    record = {"user_query": text, "timestamp": START_MS + at, "client_id": client, **more}
    record |= {"query_id": name} if name else {}
    return record | ({"query_response_hit_ids": list(hits)} if hits is not None else {})


def event(action, doc, rank=None, *, at=1, name="q", client="c", **more):
    attributes = {"object": {"object_id": doc}}
    attributes |= {} if rank is None else {"position": {"ordinal": rank}}
    record = {"action_name": action, "timestamp": START_MS + at, "event_attributes": attributes}
    record |= {"query_id": name} if name else {}
    return record | ({"client_id": client} if client else {}) | more


def shown(docs, *, base=1, **more):
    return [event("impression", d, i, **more) for i, d in enumerate(docs, start=base)]


@pytest.fixture
def read(tmp_path):
    def run(*records, **settings):
        path = tmp_path / "log"
        path.write_text("".join(json.dumps(r) + "\n" for r in records))
        config = IngestConfig(format="ubi", max_reject_rate=1.0, **settings)
        result = ingest([path], lake=tmp_path / "lake", config=config, quiet=True)
        lake = ultr.open_lake(tmp_path / "lake")
        keys = {r["doc_id"]: r["key"] for r in lake.read("documents").to_pylist()}
        pages = sorted(lake.read("sessions").to_pylist(), key=lambda r: r["ordinal"])
        for page in pages:
            page["doc"] = "".join(keys[d] for d in page["doc_id"])
        return result, pages

    return run


def pick(pages, *names):
    return [tuple(p[n] for n in names) for p in pages]


def lines(result):
    return tuple(result[k] for k in ("used", "repeated", "ignored", "rejects"))


def test_impressions_win_over_the_hit_list(read):
    result, pages = read(
        query(hits="abcd"), *shown("ba"), event("click", "a"),
        query(name="r", hits="cd"), event("click", "d", name="r"),
    )  # fmt: skip
    assert pick(pages, "doc", "position", "click") == [
        ("ba", [1, 2], [0, 1]),
        ("cd", [1, 2], [0, 1]),
    ]
    assert (result["pages_by_impressions"], result["pages_by_hits"]) == (1, 1)
    assert lines(result) == (6, 0, 0, 0)


def test_impressions_without_a_position_take_that_of_the_hit_list(read):
    result, pages = read(query(hits="abc"), event("impression", "c"), event("impression", "a"))
    assert pick(pages, "doc", "position") == [("ac", [1, 3])]
    result, pages = read(query(hits="ab"), event("impression", "z"))
    assert (pages, lines(result)) == ([], (0, 0, 0, 2))
    assert result["rejects_by_reason"] == {"impression without a position": 2}


@pytest.mark.parametrize(
    ("ranks", "positions"),
    [((0, 1, 2), [1, 2, 3]), ((1, 2, 3), [1, 2, 3]), ((4, 5, 9), [4, 5, 9])],
)
def test_positions_count_from_where_the_application_does(read, ranks, positions):
    records = [event("impression", d, r) for d, r in zip("abc", ranks, strict=True)]
    _, pages = read(query(), *records)
    assert pick(pages, "position") == [(positions,)]


def test_a_rare_zero_is_an_error_of_a_log_that_counts_from_one():
    def base(zeros, ones):
        return bases({"a": {"ordinals": {"x": [zeros, ones]}}}).by_application["x"]

    assert [base(0, 5), base(1, 9), base(5, 9), base(3, 0), base(0, 0)] == [1, 1, 0, 0, 1]
    both = bases({"a": {"ordinals": {"x": [1, 9], "y": [2, 2]}}, "b": {"ordinals": {"x": [9, 0]}}})
    assert both.by_application == {"x": 0, "y": 0}


def test_applications_have_a_base_each(read):
    more = [{"application": a} for a in "xy"]
    _, pages = read(
        query(name="q", **more[0]), *shown("ab", base=0, **more[0]),
        query(name="r", **more[1]), *shown("ab", base=1, name="r", **more[1]),
    )  # fmt: skip
    assert pick(pages, "position") == [([1, 2],)] * 2


def test_a_page_with_a_hole_is_rejected_with_all_its_lines(read):
    spoilt = [query(), *shown("ab"), event("impression", "c", 2), event("click", "a"),
              *shown("a")]  # fmt: skip
    result, pages = read(*spoilt, query(name="r"), *shown("ab", name="r"))
    assert [p["page_id"] for p in pages] == ["r"]
    assert result["rejects_by_reason"] == {"position used twice on its page": 6}
    assert lines(result) == (3, 0, 0, 6)
    assert result["waiting"] == 0
    result, _ = read(query(), event("impression", "a", 0), *shown("bcde"))
    assert result["rejects_by_reason"] == {}
    result, _ = read(query(), *shown("abcd"), event("impression", "e", -1))
    assert set(result["rejects_by_reason"]) == {"position before the first or after 32,767"}


def test_a_missing_hit_spoils_a_page_that_only_the_list_tells(read):
    bad = {"query_response_hit_ids": ["a", None]}
    result, pages = read(query() | bad, query(name="r") | bad, *shown("ab", name="r"))
    assert [p["page_id"] for p in pages] == ["r"]
    assert result["rejects_by_reason"] == {"hit list with a document that has no id": 1}


def test_what_is_said_again_is_a_repeat(read):
    result, pages = read(
        query(), query(), *shown("ab"), *shown("a"), event("click", "b"), event("click", "b", at=5)
    )
    assert pick(pages, "click", "click_count") == [([0, 1], [0, 2])]
    assert lines(result) == (4, 3, 0, 0)


def test_a_query_of_which_nothing_was_shown_is_ignored(read):
    result, pages = read(query(hits=""), query(name="r"), query(name="s", hits="a"))
    assert [p["page_id"] for p in pages] == ["s"]
    assert lines(result) == (1, 0, 2, 0)


def test_a_document_shown_twice_is_clicked_at_the_higher_position(read):
    _, pages = read(query(), *shown("abca"), event("click", "a", 4))
    assert pick(pages, "click") == [([1, 0, 0, 0],)]


def test_a_click_without_a_query_goes_to_the_last_page_of_its_client_that_shows_it(read):
    result, pages = read(
        query(0, "q", hits="ab"), query(10, "r", hits="bc"), query(20, "s", hits="ab", client="d"),
        event("click", "b", at=15, name=None), event("click", "a", at=15, name=None),
        event("click", "c", at=5, name=None), event("click", "a", at=19, name=None, client="d"),
        query(30, "t", hits="c"),
    )  # fmt: skip
    assert pick(pages, "page_id", "click") == [
        ("q", [1, 0]), ("r", [1, 0]), ("s", [0, 0]), ("t", [0]),
    ]  # fmt: skip
    assert result["waiting"] == 2


def test_pages_without_an_id_are_told_by_client_and_time(read):
    _, pages = read(
        query(0, None), *shown("ab", at=1, name=None), query(10, None),
        *shown("bc", at=11, name=None), event("click", "b", at=12, name=None),
    )  # fmt: skip
    assert pick(pages, "doc", "click") == [("ab", [0, 0]), ("bc", [1, 0])]


def test_why_events_wait(read):
    result, _ = read(
        query(hits="ab"), event("click", "z"), event("click", "a", name="gone"),
        event("cart", "a", at=-9, name=None), *shown("a", name="gone"), late="0",
    )  # fmt: skip
    assert result["rejects_by_reason"] == {NOT_SHOWN: 1, NO_QUERY: 2, NO_CLIENT: 1}
    assert (result["waiting"], result["used"]) == (0, 1)


def test_other_actions_are_feedback(read):
    _, pages = read(
        query(), *shown("abc"), event("add_to_cart", "b"), event("add_to_cart", "b", at=2),
        event("buy", "c"), query(name="r"), *shown("ab", name="r"),
        query(name="s"), *shown("ab", name="s"), event("buy", "a", name="s"),
    )  # fmt: skip
    assert pick(pages, "feedback") == [
        ([{"action": "add_to_cart", "count": [0, 2, 0]}, {"action": "buy", "count": [0, 0, 1]}],),
        (None,),
        ([{"action": "buy", "count": [1, 0]}],),
    ]
    assert all(sum(p["click"]) == 0 for p in pages)


def test_who_saw_the_page(read):
    _, pages = read(
        query(), *shown("a", session_id="s"), query(name="r"), *shown("a", name="r", user_id="u"),
        query(name="t", client=None), *shown("a", name="t", client="d"),
    )  # fmt: skip
    assert pick(pages, "session_id", "user_id", "period") == [
        ("s", "c", "2026-01-01"), (None, "u", "2026-01-01"), (None, "d", "2026-01-01"),
    ]  # fmt: skip


def test_names_of_events_can_be_chosen(read):
    records = [query(), *[e | {"action_name": "seen"} for e in shown("ab")], event("buy", "b")]
    _, pages = read(*records, click_actions=("buy",), impression_actions=("seen",))
    assert pick(pages, "click", "feedback") == [([0, 1], None)]
