"""Events that come apart from their pages: any split over files and nights gives the same lake."""

from __future__ import annotations

import json
import os
import random
from functools import partial

import pytest

import ultr
from ultr.errors import DataError, UsageError
from ultr.etl import session_files, shares, table_file, ubi_join, yandex_join
from ultr.etl.drop import DropConfig, drop
from ultr.etl.hash_ranges import HashRanges
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.late import parse_late
from ultr.etl.ubi_clicks import NOT_SHOWN
from ultr.logs import raw
from ultr.logs.yandex import NO_PAGE
from ultr.sql import run_checks

DAY_MS = 86_400_000
START_MS = 1_767_225_600_000  # 2026-01-01


def event(action, at, doc=None, *, query=None, client=None, rank=None, **more):
    record = {"action_name": action, "timestamp": START_MS + at, "application": "shop", **more}
    record |= {"query_id": query} if query else {}
    record |= {"client_id": client} if client else {}
    attributes = {"object": {"object_id": doc}} if doc else {}
    attributes |= {"position": {"ordinal": rank}} if rank is not None else {}
    return record | {"event_attributes": attributes or None}


def ubi_log(seed, *, pages=40):
    """Pages of all kinds, with all that goes wrong; days apart, so that some events are overdue."""
    rng = random.Random(seed)
    lines = []
    for i in range(pages):
        at, query, client = i * DAY_MS // 10, f"q{i}", f"c{i % 7}"
        docs = rng.sample([f"d{k}" for k in range(12)], 4)
        is_named, is_told = i % 5 != 4, i % 3 != 2
        name = {"query_id": query} if is_named else {}
        head = {"user_query": f"words {i % 6}", "client_id": client, "timestamp": START_MS + at}
        if not is_told or i % 4 == 0:
            head["query_response_hit_ids"] = docs[::-1]
        who = {"query": query if is_named else None, "client": client, "session_id": f"s{i % 9}"}
        lines.append({"application": "shop", **name, **head})
        if is_told:
            shown = [event("impression", at + 1, d, rank=k, **who) for k, d in enumerate(docs)]
            shown += shown[:1] * (i % 2)  # seen twice
            shown += [event("impression", at + 1, "d99", rank=1, **who)] * (i % 11 == 10)
            lines += shown
        for k in range(rng.randrange(3)):
            named = rng.random() < 0.6
            own = who | ({} if named else {"query": None})
            lines.append(event("click", at + 10 + k, rng.choice([*docs, "d3"]), **own))
        lines += [event("add_to_cart", at + 20, docs[1], **who)] * (i % 3)
        lines.append(event("click", at + 30, docs[0], query=f"lost{i}"))
        lines.append(event("search", at + 31, query=query))
    again = [line for i, line in enumerate(lines) if "user_query" in line and i % 4 == 0]
    return [json.dumps(line) for line in [*lines, *again]]


def yandex_log(seed, *, sessions=30):
    rng = random.Random(seed)
    lines = []
    for session in range(sessions):
        time = 0
        for _ in range(rng.randrange(1, 4)):
            time += rng.randrange(1, 1000)
            docs = rng.sample(range(10, 18), 4)
            lines.append(
                f"{session}\t{time}\tQ\t{rng.randrange(3)}\t0\t" + "\t".join(map(str, docs))
            )
            for _ in range(rng.randrange(3)):
                time += rng.randrange(1, 1000)
                lines.append(f"{session}\t{time}\tC\t{rng.choice([*docs, 10, 99])}")
    return lines


LOGS = {"ubi": ubi_log, "yandex": yandex_log}


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))
    return path


def read(lake, sources, form, **settings):
    config = IngestConfig(format=form, max_reject_rate=1.0, **settings)
    result = ingest(sources, lake=lake, config=config, quiet=True)
    kinds = ("used", "repeated", "ignored", "rejects")
    assert sum(result[k] for k in kinds) == result["lines"]
    return result


def content(lake):
    """What a lake says, without the names of files and the numbers of lines."""
    opened = ultr.open_lake(lake)

    def rows(table, *without):
        found = opened.read(table).to_pylist()
        return sorted(repr(sorted((k, v) for k, v in r.items() if k not in without)) for r in found)

    where = ("source", "ordinal", "line")
    return {
        "sessions": rows("sessions", *where),
        "rejects": rows("rejects", *where),
        "unattached": rows("unattached", *where),
        "events": rows("events", *where),
    }


def counts_hold(lake):
    """What the manifest says of sources is what the tables say."""
    opened = ultr.open_lake(lake)
    known = opened.manifest.sources.values()
    pages = opened.read("sessions").to_pylist()
    assert sum(e["sessions"] for e in known) == len(pages)
    assert sum(e["clicks"] for e in known) == sum(sum(p["click"]) for p in pages)
    assert sum(e["rejects"] for e in known) == opened.rows("rejects")
    assert all(v == 0 for v in run_checks(opened).values())
    return opened


@pytest.mark.parametrize("form", LOGS)
@pytest.mark.parametrize("seed", range(4))
def test_any_split_over_files_and_nights_gives_the_same_lake(tmp_path, form, seed):
    lines = LOGS[form](seed)
    read(tmp_path / "whole", [write(tmp_path / "whole.log", lines)], form)
    expected = content(tmp_path / "whole")
    assert all(expected[t] for t in expected)
    counts_hold(tmp_path / "whole")
    rng = random.Random(seed)
    shuffled = rng.sample(lines, len(lines))
    n = 1 + seed
    paths = [write(tmp_path / f"{i}.log", shuffled[i::n]) for i in range(n)]
    read(tmp_path / "once", paths, form)
    assert content(tmp_path / "once") == expected
    for path in rng.sample(paths, n):  # nights
        read(tmp_path / "nights", [path], form)
        counts_hold(tmp_path / "nights")
    assert content(tmp_path / "nights") == expected
    before = ultr.open_lake(tmp_path / "nights").manifest.tables
    again = read(tmp_path / "nights", paths, form)
    assert (again["lines"], again["files_skipped"]) == (0, n)
    assert ultr.open_lake(tmp_path / "nights").manifest.tables == before


@pytest.mark.parametrize("form", LOGS)
def test_shares_on_disk_give_the_same(tmp_path, monkeypatch, form):
    lines = LOGS[form](7)
    paths = [write(tmp_path / f"{i}.log", lines[i::3]) for i in range(3)]
    read(tmp_path / "one", paths, form)
    monkeypatch.setattr(shares, "SHARE_ROWS", 20)
    monkeypatch.setattr(shares, "_SPILL_BYTES", 1 << 22)
    monkeypatch.setattr(session_files, "FILE_ROWS", 4)
    monkeypatch.setattr(yandex_join, "HashRanges", partial(HashRanges, held=3))
    for path in reversed(paths):
        read(tmp_path / "many", [path], form)
    assert content(tmp_path / "many") == content(tmp_path / "one")
    counts_hold(tmp_path / "many")


@pytest.mark.parametrize("form", LOGS)
def test_a_file_that_changed_replaces_its_pages_and_events(tmp_path, form):
    lines, other = LOGS[form](1), LOGS[form](2)
    paths = [write(tmp_path / f"{i}.log", lines[i::3]) for i in range(3)]
    read(tmp_path / "lake", paths, form)
    before = content(tmp_path / "lake")
    for new in (other[1::3], lines[1::3]):
        write(paths[1], new)
        os.utime(paths[1], ns=(1, len(new)))
        read(tmp_path / "lake", paths, form)
        counts_hold(tmp_path / "lake")
        assert (content(tmp_path / "lake") == before) == (new == lines[1::3])


def one_page(i, *, day=0):
    at = day * DAY_MS + i
    return [
        {"query_id": f"q{i}", "user_query": "x", "client_id": "c", "timestamp": START_MS + at,
         "application": "shop"},
        *(event("impression", at, d, query=f"q{i}", rank=k) for k, d in enumerate("ab")),
    ]  # fmt: skip


def as_lines(*records):
    return [json.dumps(r) for r in records]


def session_files_of(lake):
    return {f.path for f in ultr.open_lake(lake).files("sessions")}


def test_a_late_click_rewrites_only_the_file_of_its_page(tmp_path):
    lake = tmp_path / "lake"
    for day in range(3):
        page = one_page(day, day=day)
        read(lake, [write(tmp_path / f"{day}.log", as_lines(*page))], "ubi")
    before = session_files_of(lake)
    late = event("click", 2 * DAY_MS, "b", query="q0")
    result = read(lake, [write(tmp_path / "late.log", as_lines(late))], "ubi")
    after = session_files_of(lake)
    assert (len(before - after), len(after - before)) == (1, 1)
    assert (result["sessions"], result["clicks"], result["waiting"]) == (0, 0, 0)
    pages = sorted(ultr.open_lake(lake).read("sessions").to_pylist(), key=lambda r: r["page_id"])
    assert [p["click"] for p in pages] == [[0, 1], [0, 0], [0, 0]]
    assert [p["period"] for p in pages] == ["2026-01-01", "2026-01-02", "2026-01-03"]
    # The same click again changes no page.
    again = write(tmp_path / "again.log", as_lines(event("search", 0), late))
    os.utime(again)
    read(lake, [again], "ubi")
    (page,) = [p for p in ultr.open_lake(lake).read("sessions").to_pylist() if sum(p["click"])]
    assert page["click_count"] == [0, 2]


def test_an_event_waits_then_is_a_reject_and_attaches_when_its_page_comes(tmp_path):
    lake = tmp_path / "lake"
    click = event("click", 10, "b", query="q0")
    first = read(lake, [write(tmp_path / "click.log", as_lines(click))], "ubi")
    assert (first["waiting"], first["rejects"], first["used"]) == (1, 0, 1)
    early = one_page(1, day=1)
    assert read(lake, [write(tmp_path / "1.log", as_lines(*early))], "ubi")["waiting"] == 1
    read(lake, [write(tmp_path / "2.log", as_lines(*one_page(2, day=2)))], "ubi")
    assert ultr.open_lake(lake).rows("rejects") == 0
    third = read(lake, [write(tmp_path / "3.log", as_lines(*one_page(3, day=3)))], "ubi")
    assert (third["waiting"], third["rejects"]) == (0, 0)  # of the lines that were read
    (reject,) = ultr.open_lake(lake).read("rejects").to_pylist()
    assert reject["source"] == "click.log"
    assert json.loads(reject["text"])["object_id"] == "b"
    assert ultr.open_lake(lake).manifest.sources["click.log"]["rejects"] == 1
    read(lake, [write(tmp_path / "0.log", as_lines(*one_page(0)))], "ubi")
    opened = counts_hold(lake)
    assert opened.rows("rejects") == opened.rows("unattached") == 0
    assert sum(sum(p["click"]) for p in opened.read("sessions").to_pylist()) == 1


@pytest.mark.parametrize(("late", "waiting"), [("0", 0), ("1m", 0), ("2m", 1), ("7d", 1)])
def test_late(tmp_path, late, waiting):
    lines = as_lines(
        *one_page(0), event("click", 0, "z", query="q0"), event("click", 90_000, "a", query="q0")
    )
    result = read(tmp_path / "lake", [write(tmp_path / "a.log", lines)], "ubi", late=late)
    assert (result["waiting"], result["rejects"]) == (waiting, 1 - waiting)
    assert result["rejects_by_reason"] == ({} if waiting else {NOT_SHOWN: 1})


def test_too_many_overdue_events_fail_and_leave_the_lake(tmp_path):
    lines = as_lines(*one_page(0), *[event("click", 0, f"z{i}", query="q0") for i in range(9)])
    path = write(tmp_path / "a.log", lines)
    with pytest.raises(DataError, match="may be rejected"):
        ingest([path], lake=tmp_path / "lake", config=IngestConfig(format="ubi", late="0"))
    assert not (tmp_path / "lake").exists()


def test_a_dry_run_joins_too(tmp_path):
    path = write(tmp_path / "a.tsv", yandex_log(3))
    told = [
        read(tmp_path / "lake", [path], "yandex", is_dry_run=is_dry) for is_dry in (True, False)
    ]
    for result in told:
        del result["seconds"], result["sessions_per_second"]
    assert told[0].pop("bad_files") == {}
    assert told[1].pop("id_rules") == {"query": "xxh3", "doc": "integer"}  # of what is written
    (examples,) = told[0].pop("reject_examples").values()
    assert examples[0].startswith("a.tsv:")
    assert told[0] == told[1]
    assert told[0]["rejects_by_reason"][NO_PAGE] == told[0]["rejects"] > 0


def test_a_base_that_a_later_night_tells_moves_all_positions(tmp_path):
    first = [{"query_id": "q", "user_query": "x", "client_id": "c", "timestamp": START_MS},
             event("impression", 0, "b", query="q", rank=1, application=None)]  # fmt: skip
    lake = tmp_path / "lake"
    one = read(lake, [write(tmp_path / "a.log", as_lines(*first))], "ubi")
    assert one["ordinal_base"] == {"": 1}
    second = event("impression", 0, "a", query="q", rank=0, application=None)
    two = read(lake, [write(tmp_path / "b.log", as_lines(second))], "ubi")
    assert two["ordinal_base"] == {"": 0}
    (page,) = counts_hold(lake).read("sessions").to_pylist()
    assert page["position"] == [1, 2]


@pytest.mark.parametrize("base", [0, 1])
def test_the_base_can_be_said(tmp_path, base):
    lines = as_lines(
        {"query_id": "q", "user_query": "x", "client_id": "c", "timestamp": START_MS},
        event("impression", 0, "b", query="q", rank=3),
    )
    path = write(tmp_path / "a.log", lines)
    read(tmp_path / "lake", [path], "ubi", ordinal_base=base)
    (page,) = ultr.open_lake(tmp_path / "lake").read("sessions").to_pylist()
    assert page["position"] == [4 - base]


def test_two_logs_whose_session_ids_start_again_keep_their_clicks(tmp_path):
    """Pages of one session and time in two files: a click stays in its own file."""
    for name, docs in (("a", (10, 11)), ("b", (11, 10))):
        lines = [f"5\t0\tQ\t7\t0\t{docs[0]}\t{docs[1]}", "5\t9\tC\t10"]
        read(tmp_path / "lake", [write(tmp_path / f"{name}.tsv", lines)], "yandex")
    pages = ultr.open_lake(tmp_path / "lake").read("sessions").to_pylist()
    assert sorted((p["source"], p["click"]) for p in pages) == [
        ("a.tsv", [1, 0]),
        ("b.tsv", [0, 1]),
    ]


def test_sessions_are_joined_with_files_of_many_row_groups(tmp_path, monkeypatch):
    """A night's clicks on pages of an earlier file, of which one row group does not hold all."""
    monkeypatch.setattr(table_file, "ROW_GROUP_ROWS", 3)
    monkeypatch.setattr(raw, "BLOCK_BYTES", 100)
    pages = [f"{i}\t0\tQ\t{i % 3}\t0\t10\t11" for i in range(20)]
    clicks = [f"{i}\t9\tC\t{10 + i % 2}" for i in range(20)]
    read(tmp_path / "lake", [write(tmp_path / "a.tsv", pages)], "yandex")
    read(tmp_path / "lake", [write(tmp_path / "b.tsv", clicks)], "yandex")
    opened = counts_hold(tmp_path / "lake")
    found = {p["session_id"]: p["click"] for p in opened.read("sessions").to_pylist()}
    assert found == {str(i): [1 - i % 2, i % 2] for i in range(20)}


def test_clara2_in_shares_of_lines(real_data, tmp_path):
    lines = (real_data / "clara2" / "search_log.tsv").read_text().splitlines()
    rng = random.Random(5)
    rng.shuffle(lines)
    paths = [write(tmp_path / f"{i}.tsv", lines[i::3]) for i in range(3)]
    read(tmp_path / "once", paths, "yandex")
    for path in paths:
        read(tmp_path / "nights", [path], "yandex")
    opened = counts_hold(tmp_path / "nights")
    assert (opened.rows("sessions"), opened.rows("rejects")) == (6380, 137)
    assert sum(sum(p["click"]) for p in opened.read("sessions").to_pylist()) == 1777
    assert content(tmp_path / "nights") == content(tmp_path / "once")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"late": "soon"}, "a number and one of"),
        ({"format": "table", "late": "1h"}, "--late goes with"),
        ({"format": "yandex", "ordinal_base": 0}, "go with --format ubi"),
        ({"format": "table", "click_actions": ("x",)}, "go with --format ubi"),
        ({"click_actions": ("View",)}, "not the same"),
    ],
)
def test_settings_that_make_no_sense(settings, message):
    with pytest.raises(UsageError, match=message):
        IngestConfig(**{"format": "ubi", **settings})


def test_times_to_wait():
    assert [parse_late(t).total_seconds() for t in ("0", "30s", "90m", "48h", "2d")] == [
        0, 30, 5400, 172_800, 172_800,
    ]  # fmt: skip
    assert {ubi_join.UbiJoin.form, yandex_join.YandexJoin.form} == {"ubi", "yandex"}


@pytest.mark.parametrize("form", LOGS)
def test_dropping_a_source_leaves_what_the_others_say(tmp_path, form):
    lines = LOGS[form](5)
    random.Random(5).shuffle(lines)
    parts = [write(tmp_path / f"{i}.log", lines[i::3]) for i in range(3)]
    read(tmp_path / "all", parts, form)
    drop(tmp_path / "all", config=DropConfig(sources=("1.log",)), yes=True)
    read(tmp_path / "two", [parts[0], parts[2]], form)
    assert content(tmp_path / "all") == content(tmp_path / "two")
    counts_hold(tmp_path / "all")


@pytest.mark.parametrize("form", LOGS)
def test_a_file_that_went_bad_takes_what_it_said_with_it(tmp_path, form):
    lines = LOGS[form](6)
    random.Random(6).shuffle(lines)
    parts = [write(tmp_path / f"{i}.log", lines[i::2]) for i in range(2)]
    read(tmp_path / "lake", parts, form)
    parts[1].write_bytes(b"\x1f\x8b cut")
    result = read(tmp_path / "lake", parts, form, on_bad_file="skip")
    assert result["files_rejected"] == 1
    read(tmp_path / "one", parts[:1], form)
    found, expected = content(tmp_path / "lake"), content(tmp_path / "one")
    found["rejects"] = [r for r in found["rejects"] if "file left out" not in r]
    assert found == expected


def test_one_event_of_the_far_future_makes_nothing_overdue(tmp_path):
    lake = tmp_path / "lake"
    waits = event("click", 10, "b", query="q9")
    stray = event("click", 30_000 * DAY_MS, "b", query="q8")
    lines = as_lines(*one_page(0), *one_page(1, day=1), waits)
    read(lake, [write(tmp_path / "a.log", lines)], "ubi")
    result = read(lake, [write(tmp_path / "b.log", as_lines(stray, *one_page(2, day=1)))], "ubi")
    assert (result["far_times"], result["waiting"], result["rejects"]) == (1, 1, 1)
    read(lake, [write(tmp_path / "c.log", as_lines(*one_page(9)))], "ubi")
    opened = counts_hold(lake)
    assert sum(sum(p["click"]) for p in opened.read("sessions").to_pylist()) == 1
    assert opened.rows("rejects") == 1  # the stray one
