"""A lake that grows, changes and shrinks has the lists of one that is built at once."""

from collections import Counter

import numpy as np
import pytest

from ultr.data import load_lists
from ultr.errors import UsageError
from ultr.etl.filters import Filters
from ultr.etl.lists import ListsConfig, build_lists
from ultr.lake import create_lake, open_lake
from ultr.sql import run_checks
from ultr.staleness import is_stale


def built(root, **config):
    return build_lists(root, config=ListsConfig(**config), quiet=True)


def by_day(log):
    days = sorted({p["period"] for p in log})
    return {day: [p for p in log if p["period"] == day] for day in days}


def put(root, make_rows, pages, *, name):
    """Make `pages` the rows of a source file, which may be there already."""
    with create_lake(root).commit("test") as change:
        change.remove("sessions", lambda f: f.matches(source=name))
        if pages:
            change.write("sessions", make_rows("sessions", pages), source=name)
        change.manifest.ids.update({"query": "integer", "doc": "integer"})


def content(root):
    """Lists and exposures with their documents by id: what must not depend on the way there."""
    lake, lists, exposures = open_lake(root), Counter(), []
    for file in lake.files("lists"):
        pairs = lake.read("candidates", bucket=file.keys["bucket"]).sort_by("row").to_pylist()
        for row in lake.read("lists", **file.keys).to_pylist():
            shown = [pairs[r]["doc_id"] for r in row.pop("row")]
            lists[repr((file.keys["period"], shown, sorted(row.items())))] += 1
    for file in lake.files("exposures"):
        rows = lake.read("exposures", **file.keys).to_pylist()
        exposures += [repr((file.keys["period"], sorted(row.items()))) for row in rows]
    assert set(lists.values()) <= {1}
    assert len(set(exposures)) == len(exposures)
    return sorted(lists), sorted(exposures)


def paths(root, **keys):
    lake = open_lake(root)
    return {f.path for t in ("lists", "exposures") for f in lake.files(t, **keys)}


CONFIGS = [
    {"buckets": 4},
    {"buckets": 2, "period": "week", "context": ("device", "height_px:bins=3")},
    {"buckets": 2, "lists_per_query": 20},
    {"buckets": 1, "period": "all"},
    {
        "buckets": 2,
        "filters": Filters(max_pages_per_user=8, drop_click_all="users", drop_repeats=True),
    },
]


@pytest.fixture
def log(pages):
    visits = {f"s{i}" for i in range(6)}
    found = pages(300, timed=True, shuffled=True, weights=(0.1, 0.7, 2.0))
    return [
        p | {"session_id": sorted(visits)[i % 6], "user_id": f"u{i % 9}"}
        for i, p in enumerate(found)
    ]


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_nights_one_by_one_are_all_at_once(tmp_path, log, make_rows, config):
    nights = by_day(log)
    for day, pages in nights.items():
        put(tmp_path / "grown", make_rows, pages, name=day)
        if day != sorted(nights)[2]:  # two nights at once
            result = built(tmp_path / "grown", **config)
        put(tmp_path / "whole", make_rows, pages, name=day)
        if day == min(nights):  # continuous columns are cut alike, where the first night is
            built(tmp_path / "whole", **config)
    whole = built(tmp_path / "whole", **config, rebuild=True)
    assert content(tmp_path / "grown") == content(tmp_path / "whole")
    same = ("sessions", "rows", "queries", "impressions", "clicks", "positions", "periods")
    assert {k: result[k] for k in same} == {k: whole[k] for k in same}
    assert result.get("dropped") == whole.get("dropped")
    assert result["rebuilt_because"] is None
    assert whole["rebuilt_because"] == "it was asked for"
    checks = run_checks(open_lake(tmp_path / "grown"))
    assert {n for n, rows in checks.items() if rows} <= {"ids_are_known"}


def test_a_night_leaves_the_others_as_they_are(tmp_path, log, make_rows):
    root, days = tmp_path / "lake", by_day(log)
    *first, last = days
    for day in first:
        put(root, make_rows, days[day], name=day)
    assert built(root, buckets=4)["periods_kept"] == 0
    before, candidates = paths(root), open_lake(root).files("candidates")
    rows = {f.path: open_lake(root).read("candidates", bucket=f.keys["bucket"]) for f in candidates}
    put(root, make_rows, days[last], name=last)
    assert is_stale(open_lake(root))
    result = built(root)
    assert not is_stale(open_lake(root))
    assert (result["periods_rebuilt"], result["periods_kept"]) == (1, len(first))
    assert before < paths(root)
    assert paths(root) - before == paths(root, period=last)
    # Candidates are appended to: rows keep their numbers.
    assert candidates == [f for f in open_lake(root).files("candidates") if f in candidates]
    for file in candidates:
        now = open_lake(root).read("candidates", bucket=file.keys["bucket"]).sort_by("row")
        assert now.slice(0, file.rows).equals(rows[file.path])
        assert now["row"].to_pylist() == list(range(now.num_rows))


def test_rows_of_a_grown_lake_are_those_of_one_built_at_once(tmp_path, log, make_rows):
    for day, pages in by_day(log).items():
        put(tmp_path / "grown", make_rows, pages, name=day)
        built(tmp_path / "grown", buckets=2)
        put(tmp_path / "whole", make_rows, pages, name=day)
    built(tmp_path / "whole", buckets=2)
    for bucket in range(2):
        grown, whole = (open_lake(tmp_path / n) for n in ("grown", "whole"))
        assert len(grown.files("candidates", bucket=bucket)) > 1
        assert grown.read("candidates", bucket=bucket).equals(
            whole.read("candidates", bucket=bucket)
        )


def test_a_late_click_rebuilds_the_cell_of_its_page(tmp_path, log, make_rows):
    root, days = tmp_path / "lake", by_day(log)
    for day, pages in days.items():
        put(root, make_rows, pages, name=day)
    built(root, buckets=8)
    before, day = paths(root), sorted(days)[1]
    page = next(p for p in days[day] if not any(p["click"]))
    late = page | {"click": [1] * len(page["click"])}
    put(root, make_rows, [late if p is page else p for p in days[day]], name=day)
    result = built(root)
    assert (result["cells_rebuilt"], result["periods_rebuilt"]) == (1, 1)
    assert result["cells_kept"] > 1
    assert len(paths(root) - before) == 2  # its lists and its exposures
    for name, pages in days.items():
        changed = [late if p is page else p for p in pages]
        put(tmp_path / "whole", make_rows, changed, name=name)
    built(tmp_path / "whole", buckets=8)
    assert content(root) == content(tmp_path / "whole")


def test_time_that_comes_late_changes_exposures_only(tmp_path, log, make_rows):
    root = tmp_path / "lake"
    put(root, make_rows, log, name="a")
    built(root, buckets=1, period="all")
    before = paths(root)
    page = next(p for p in log if any(p["click"]))
    slow = page | {"dwell_s": [99.0 if c else None for c in page["click"]]}
    put(root, make_rows, [slow if p is page else p for p in log], name="a")
    built(root, buckets=1, period="all")
    (new,) = paths(root) - before
    assert new.startswith("exposures/")


def test_a_source_that_goes_takes_its_pages_along(tmp_path, log, make_rows):
    root, days = tmp_path / "lake", by_day(log)
    for day, pages in days.items():
        put(root, make_rows, pages, name=day)
    built(root, buckets=2)
    gone, *rest = days
    put(root, make_rows, [p | {"query_id": 99} for p in days[gone]], name=gone)
    built(root)
    put(root, make_rows, [], name=gone)
    result = built(root)
    assert not paths(root, period=gone)
    assert (result["periods"], result["periods_rebuilt"]) == (len(rest), 0)
    for day in rest:
        put(tmp_path / "whole", make_rows, days[day], name=day)
    whole = built(tmp_path / "whole", buckets=2)
    assert content(root) == content(tmp_path / "whole")
    # Pairs that were shown once stay until everything is built again.
    assert result["candidates"] > whole["candidates"]
    assert built(root, rebuild=True)["candidates"] == whole["candidates"]


def test_nothing_new_builds_nothing(tmp_path, log, make_rows):
    root = tmp_path / "lake"
    put(root, make_rows, log, name="a")
    first = built(root, context=("height_px",))
    before = paths(root)
    again = built(root, context=("height_px",))
    assert paths(root) == before
    assert (again["periods_rebuilt"], again["cells_rebuilt"]) == (0, 0)
    told = ("periods_rebuilt", "periods_kept", "cells_rebuilt", "rebuilt_because", "seconds")
    assert {k: v for k, v in again.items() if k not in told} == {
        k: v for k, v in first.items() if k not in told
    }


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"context": ("device",)}, "context"),
        ({"period": "week"}, "period"),
        ({"buckets": 4}, "buckets"),
        ({"filters": Filters(drop_repeats=True)}, "drop_repeats"),
        ({"filters": Filters(click_when="dwell_s>=5")}, "click_when"),
        ({"lists_per_query": 7}, "lists_per_query"),
        ({"rebuild": True}, "asked for"),
        ({"context": ("height_px",), "refit_edges": True}, "context, bin edges|bin edges"),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_another_setting_builds_everything(tmp_path, log, make_rows, change, why):
    root = tmp_path / "lake"
    put(root, make_rows, log, name="a")
    built(root, buckets=2, context=("height_px",) if "refit_edges" in change else ())
    before = paths(root)
    result = built(root, **change)
    assert any(word in result["rebuilt_because"] for word in why.split("|"))
    assert result["periods_kept"] == 0
    assert not before & paths(root)


@pytest.mark.parametrize("table", ["features", "judgments"])
def test_other_features_and_judgments_build_everything(tmp_path, log, make_rows, table):
    root = tmp_path / "lake"
    put(root, make_rows, log, name="a")
    built(root)
    with create_lake(root).commit("test") as change:
        record = {"query_id": 99, "doc_id": 1, "grade": 0, "features": [1.0]}
        change.write(table, make_rows(table, [record]))
        change.manifest.meta["features"] = {"names": ["a"]}
    assert built(root)["rebuilt_because"] == f"changed: {table}"


def test_edges_of_bins_stay_until_they_are_refitted(tmp_path, make_rows, one_page):
    def heights(day, *values):
        more = {"period": day, "shown_at": None}
        return [one_page(i, 7, [1], [0], height_px=[v], **more) for i, v in enumerate(values, 1)]

    root, context = tmp_path / "lake", ("height_px:bins=2",)
    put(root, make_rows, heights("2026-01-01", 1.0, 2.0, 3.0, 4.0), name="a")
    built(root, context=context)
    put(root, make_rows, heights("2026-01-02", 50.0, 60.0), name="b")
    for more, edges in (({}, [2.0]), ({"rebuild": True}, [2.0]), ({"refit_edges": True}, [3.0])):
        built(root, context=context, **more)
        assert open_lake(root).manifest.meta["lists"]["edges"] == {"height_px": edges}


def test_buckets_stay_and_say_when_a_rebuild_is_due(tmp_path, log, make_rows, monkeypatch):
    root, days = tmp_path / "lake", by_day(log)
    names = sorted(days)
    put(root, make_rows, days[names[0]], name=names[0])
    assert built(root)["buckets"] == 1
    monkeypatch.setattr("ultr.etl.list_summary.IMPRESSIONS_PER_BUCKET", 100)
    for day in names[1:]:
        put(root, make_rows, days[day], name=day)
    result = built(root)
    assert (result["buckets"], result["rebuild_due"]) == (1, True)


def test_the_period_by_source_of_filters_by_day_is_built_whole(tmp_path, log, make_rows):
    root, config = tmp_path / "lake", {"period": "source", "filters": Filters(drop_repeats=True)}
    put(root, make_rows, log, name="a")
    assert built(root, **config)["periods"] == 2
    assert "filters look at days" in built(root, **config)["rebuilt_because"]


def test_a_rank_of_one_query_is_spread_over_buckets(tmp_path, one_page, make_rows):
    """One query with more lists than a bucket may hold: a recommender's empty query."""
    rng = np.random.default_rng(0)
    log = [
        one_page(i, 0, rng.permutation(8)[:3].tolist(), [int(rng.random() < 0.5), 0, 0])
        for i in range(1, 1500)
    ] + [one_page(i, 5, [1, 2], [0, 1]) for i in range(2000, 2100)]
    config = {"period": "all", "buckets": 2}
    put(tmp_path / "one", make_rows, log, name="a")
    one = built(tmp_path / "one", **config)
    put(tmp_path / "split", make_rows, log, name="a")
    split = built(tmp_path / "split", **config, lists_per_query=100)
    assert (one["split_queries"], split["split_queries"]) == (0, 1)
    assert {k: one[k] for k in ("rows", "queries", "candidates", "clicks")} == {
        k: split[k] for k in ("rows", "queries", "candidates", "clicks")
    }
    assert content(tmp_path / "one") == content(tmp_path / "split")
    lake = open_lake(tmp_path / "split")
    layout = lake.manifest.meta["lists"]["layout"]
    assert (layout["split"], layout["pieces"]) == ([0], 16)
    sizes = [f.rows for f in lake.files("lists") if int(f.keys["bucket"]) >= 2]
    assert len(sizes) == 16
    assert max(sizes) < one["rows"] / 4
    assert max(len(lake.files("exposures", bucket=b)) for b in range(2, 18)) == 0
    checks = run_checks(lake)
    assert {n for n, rows in checks.items() if rows} <= {"ids_are_known"}
    # Training sees every list once, and one parameter for each document.
    data, whole = load_lists(tmp_path / "split"), load_lists(tmp_path / "one")
    assert data.sessions.sum() == whole.sessions.sum() == len(log)
    assert data.clicks.sum() == whole.clicks.sum()
    pairs = np.stack([data.query_id[data.doc_query], data.doc_id], axis=1)
    assert len(np.unique(data.doc_row)) == len(np.unique(pairs, axis=0)) == one["candidates"]
    np.testing.assert_array_equal(pairs[data.doc_row], pairs)


def test_a_period_by_time_needs_times(tmp_path, pages, make_lake):
    with pytest.raises(UsageError, match="--period day needs the time"):
        built(make_lake(tmp_path / "lake", pages(5)), period="day")
