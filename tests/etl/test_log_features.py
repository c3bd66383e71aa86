"""Values that stand in the log: means by period, how many differ, and what may not be one."""

from collections import defaultdict

import numpy as np
import pytest

from ultr.errors import DataError
from ultr.etl.feature_checks import refuse_outcomes
from ultr.etl.features import add_features
from ultr.lake import open_lake
from ultr.schema import SESSIONS

NAMES = ["price", "age_days"]


def with_values(log, *, seed=0):
    """Prices that differ between pages, and ages of which some are missing."""
    rng = np.random.default_rng(seed)
    for p in log:
        p["log_features"] = [
            [float(rng.integers(1, 4)), float(d % 7) if d % 3 else None] for d in p["doc_id"]
        ]
    return log


def made(root, names=NAMES, **options):
    with open_lake(root).commit("test") as change:
        change.manifest.meta["log_features"] = {"names": list(names)}
    return add_features(root, log=True, **options)["log"]


def values_of(root):
    return {
        (r["query_id"], r["doc_id"], r["period"]): r["features"]
        for r in open_lake(root).read("features").to_pylist()
    }


def by_hand(log, *, latest=True):
    seen = defaultdict(list)
    for p in log:
        for doc, values in zip(p["doc_id"], p.get("log_features") or [], strict=False):
            seen[p["query_id"], doc, p["period"]].append(values)
    out = {key: [mean(v) for v in zip(*rows, strict=True)] for key, rows in seen.items()}
    n_differ = sum(
        any(len({x for x in v if x is not None}) > 1 for v in zip(*rows, strict=True))
        for rows in seen.values()
    )
    # A page without a time says less about the latest state than one with it.
    age = sorted(out, key=lambda key: "" if key[2] == "all" else key[2])
    newest = {(q, d, None): out[q, d, period] for q, d, period in age}
    return (out | newest if latest else newest), n_differ, len(out)


def mean(values):
    known = [v for v in values if v is not None]
    return sum(known) / len(known) if known else float("nan")


def agree(found, expected):
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key] == pytest.approx(values, rel=1e-6, nan_ok=True), key


def test_they_are_means_by_day_and_the_latest_is_the_state(tmp_path, pages, make_lake):
    log = with_values(pages(400, timed=True))
    root = make_lake(tmp_path / "lake", log, files=3)
    result = made(root)
    expected, n_differ, n_cells = by_hand(log)
    agree(values_of(root), expected)
    assert result["differing_pairs"] == n_differ > 0
    assert result["differing_share"] == n_differ / n_cells
    meta = open_lake(root).manifest.meta["features"]
    assert meta["names"] == ["log.price", "log.age_days"]
    assert meta["groups"]["log"]["differing_share"] == n_differ / n_cells
    assert meta["period"] == "day"


def test_a_log_without_time_has_one_value(tmp_path, pages, make_lake):
    log = with_values(pages(200))
    root = make_lake(tmp_path / "lake", log)
    made(root)
    expected, *_ = by_hand(log, latest=False)
    agree(values_of(root), expected)
    assert open_lake(root).manifest.meta["features"]["period"] is None


def test_pages_without_values_or_time_count_for_nothing(tmp_path, pages, make_lake):
    log = with_values(pages(200, timed=True))
    for p in log[::3]:
        del p["log_features"]
    for p in log[1::3]:
        p["period"] = "all"
        del p["shown_at"]
    root = make_lake(tmp_path / "lake", log)
    made(root)
    expected, *_ = by_hand(log)
    agree(values_of(root), expected)


def test_values_that_are_not_finite_are_missing(tmp_path, one_page, make_lake):
    values = [[float("nan"), 2.0], [float("inf"), None]]
    root = make_lake(tmp_path / "lake", [one_page(1, 7, [1, 2], [0, 0], log_features=values)])
    assert made(root)["differing_pairs"] == 0
    agree(values_of(root), {(7, 1, None): [np.nan, 2.0], (7, 2, None): [np.nan, np.nan]})


def test_a_log_without_them_is_refused(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(10))
    with pytest.raises(DataError, match="a log without any"):
        add_features(root, log=True)


AFTER = [c.name for c in SESSIONS.columns if c.is_post_click]


@pytest.mark.parametrize("name", [*AFTER, "click", "grade", " Dwell_S "])
def test_what_is_known_after_the_click_is_never_one(tmp_path, pages, make_lake, name):
    root = make_lake(tmp_path / "lake", with_values(pages(10)))
    with pytest.raises(DataError, match="known only after the click"):
        made(root, ["price", name])
    with pytest.raises(DataError, match="known only after the click"):
        refuse_outcomes([name], where="a file")


def test_display_columns_are_fine():
    assert {"dwell_s", "skip", "feedback"} <= set(AFTER)
    refuse_outcomes([c.name for c in SESSIONS.columns if c.name not in (*AFTER, "click")], where="")
