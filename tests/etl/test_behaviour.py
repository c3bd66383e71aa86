"""Behaviour of the past: counted by hand, and blind for its own period and what comes after."""

from collections import defaultdict
from datetime import date, timedelta

import numpy as np
import pytest

from ultr.errors import DataError, UsageError
from ultr.etl.behaviour import NAMES
from ultr.etl.features import add_features
from ultr.etl.features_config import BehaviourConfig
from ultr.etl.lists import ListsConfig, build_lists
from ultr.lake import open_lake

NAN = float("nan")


def made(root, **options):
    return add_features(root, behaviour=BehaviourConfig(prior=5.0), **options)


def values_of(root):
    """(query, document, period) -> feature -> value."""
    return {
        (r["query_id"], r["doc_id"], r["period"]): dict(zip(NAMES, r["features"], strict=True))
        for r in open_lake(root).read("features").to_pylist()
    }


def first_day(period):
    return date.fromisoformat(f"{period}-1" if "W" in period else period)


def week(day):
    year, number, _ = date.fromisoformat(day).isocalendar()
    return f"{year}-W{number:02d}"


def by_hand(pages, *, name=lambda day: day, days=1, prior=5.0, judged=()):
    """The same features, one pair after the other."""
    events = [
        (name(p["period"]), p["query_id"], doc, click, dwell)
        for p in pages
        if p["period"] != "all"
        for doc, click, dwell in zip(p["doc_id"], p["click"], p["dwell_s"], strict=True)
    ]
    wanted = {(q, d, period) for period, q, d, *_ in events}
    wanted |= {(q, d, None) for _, q, d, *_ in events} | {(*pair, None) for pair in judged}
    wanted |= {
        (p["query_id"], d, None) for p in pages for d in p["doc_id"]
    }  # of pages without a time too
    last = max(first_day(e[0]) for e in events) + timedelta(days=days)
    by_document = defaultdict(list)
    for event in events:
        by_document[event[2]].append(event)
    out = {}
    for q, d, period in wanted:
        today = last if period is None else first_day(period)
        past = [e for e in events if first_day(e[0]) < today]
        mean = sum(e[3] for e in past) / len(past) if past else NAN
        of_document = [e for e in by_document[d] if first_day(e[0]) < today]
        scopes = {"pair": [e for e in of_document if e[1] == q], "document": of_document}
        out[q, d, period] = {
            f"behaviour.{scope}.{k}": v
            for scope, own in scopes.items()
            for k, v in one(own, today=today, mean=mean, prior=prior).items()
        }
    return out


def one(events, *, today, mean, prior):
    clicked = [e for e in events if e[3]]
    dwelt = [e[4] for e in clicked if e[4] is not None]

    def since(some):
        return (today - max(first_day(e[0]) for e in some)).days if some else NAN

    return {
        "impressions": len(events),
        "clicks": len(clicked),
        "ctr": (len(clicked) + prior * mean) / (len(events) + prior),
        "dwell_s": sum(dwelt) / len(dwelt) if dwelt else NAN,
        "days_since_shown": since(events),
        "days_since_clicked": since(clicked),
    }


def agree(found, expected):
    assert found.keys() == expected.keys()
    for key, features in expected.items():
        assert found[key] == pytest.approx(features, rel=1e-6, nan_ok=True), key


def test_they_are_counted_from_earlier_days(tmp_path, pages, make_lake, make_rows):
    log = pages(400, timed=True)
    root = make_lake(tmp_path / "lake", log, files=3)
    with open_lake(root).commit("test") as change:
        judged = [{"query_id": 3, "doc_id": d, "grade": 0} for d in (300, 12345)]
        change.write("judgments", make_rows("judgments", judged))
    result = made(root)["behaviour"]
    expected = by_hand(log, judged=[(3, 300), (3, 12345)])
    agree(values_of(root), expected)
    assert result == {"rows": len(expected), "periods": 7, "untimed_sessions": 0}


def test_weeks_and_pages_without_a_time(tmp_path, pages, make_lake):
    log = pages(300, timed=True)
    for p in log[::10]:
        p.pop("shown_at")
        p["period"] = "all"
    root = make_lake(tmp_path / "lake", log)
    assert made(root, period="week")["behaviour"]["untimed_sessions"] == 30
    agree(values_of(root), by_hand(log, name=week, days=7))


def test_a_log_without_dwell_has_none(tmp_path, pages, make_lake):
    log = pages(200, timed=True)
    for p in log:
        p.pop("dwell_s")
    root = make_lake(tmp_path / "lake", log)
    made(root)
    agree(values_of(root), by_hand([p | {"dwell_s": [None] * len(p["click"])} for p in log]))


@pytest.mark.parametrize("seed", range(4))
def test_what_happens_in_a_period_changes_no_feature_until_the_next(
    tmp_path, pages, make_lake, seed
):
    rng = np.random.default_rng(seed)
    log = pages(300, seed=seed, timed=True)
    made(make_lake(tmp_path / "before", log))
    days = sorted({p["period"] for p in log})
    day = days[int(rng.integers(len(days)))]
    for p in log:
        if p["period"] >= day:
            p["click"] = [1 - c for c in p["click"]]
            p["dwell_s"] = [float(rng.integers(1, 999)) for _ in p["click"]]
    made(make_lake(tmp_path / "after", log))
    before, after = values_of(tmp_path / "before"), values_of(tmp_path / "after")
    assert before.keys() == after.keys()
    changed = {period for (*_, period), v in before.items() if not same(v, after[*_, period])}
    assert all(period is None or period > day for period in changed)
    assert None in changed  # the state after the last period sees it
    assert (day == days[-1]) == (changed == {None})


def same(a, b):
    return repr(a) == repr(b)


def test_order_and_files_do_not_matter(tmp_path, pages, make_lake):
    log = pages(300, timed=True)
    made(make_lake(tmp_path / "one", log))
    made(make_lake(tmp_path / "many", log[::-1], files=4))
    one, many = (open_lake(tmp_path / n).read("features") for n in ("one", "many"))
    assert repr(one.to_pylist()) == repr(many.to_pylist())


def test_a_log_without_time_is_refused(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(50))
    before = (root / "manifest.json").read_bytes()
    with pytest.raises(DataError, match="needs the time at which pages were shown"):
        made(root)
    with pytest.raises(UsageError, match="--period week needs the time"):
        made(root, period="week")
    assert (root / "manifest.json").read_bytes() == before


def test_the_manifest_flags_them_as_behaviour(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(100, timed=True))
    made(root)
    group = open_lake(root).manifest.meta["features"]["groups"]["behaviour"]
    assert group["is_behaviour"]
    assert group["is_timed"]
    assert group["prior"] == 5


def built(root, **config):
    return build_lists(root, config=ListsConfig(**config), quiet=True)


def test_lists_have_the_periods_of_behaviour(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(200, timed=True))
    made(root, period="week")
    assert built(root)["period"] == built(root, period="week")["period"] == "week"
    with pytest.raises(UsageError, match="--period day for features by week"):
        built(root, period="day")
    add_features(root, refresh=True, period="day")
    assert built(root)["period"] == "day"


def test_lists_refuse_behaviour_that_is_older_than_the_log(tmp_path, pages, make_lake, make_rows):
    root = make_lake(tmp_path / "lake", pages(100, timed=True))
    made(root)
    with open_lake(root).commit("test") as change:
        change.write("sessions", make_rows("sessions", pages(9, timed=True)), source="new")
    with pytest.raises(DataError, match=r"sessions changed since behaviour(.|\n)*--refresh"):
        built(root)
    add_features(root, refresh=True)
    assert built(root)["sessions"] == 109


def test_each_list_points_at_its_own_period(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(300, timed=True))
    made(root)
    built(root, buckets=2)
    lake, values = open_lake(root), values_of(root)
    seen = 0
    for file in lake.files("lists"):
        candidates = lake.read("candidates", bucket=file.keys["bucket"]).to_pylist()
        at = {c["row"]: c for c in candidates}
        for row in lake.read("lists", **file.keys)["row"].to_pylist():
            for shown in (at[r] for r in row):
                assert shown["period"] == file.keys["period"]
                key = (shown["query_id"], shown["doc_id"], shown["period"])
                found = dict(zip(NAMES, shown["features"], strict=True))
                assert found == pytest.approx(values[key], nan_ok=True)
                seen += 1
    assert seen > 100


@pytest.mark.parametrize("prior", [0.0, -1.0, NAN])
def test_a_prior_is_positive(prior):
    with pytest.raises(UsageError, match="positive"):
        BehaviourConfig(prior=prior)
