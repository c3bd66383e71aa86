"""Candidates are numbered once: what a later night adds comes after what there was."""

import numpy as np
import polars as pl
import pytest

from ultr.etl.candidates import candidates_of, rows_of, with_features
from ultr.etl.feature_groups import Group, Layout

STATIC = Layout((Group("file", ("a", "b"), ("standardise",) * 2),))
TIMED = Layout((*STATIC.groups, Group("behaviour", ("c",), ("standardise",), is_timed=True)), "day")
NOTHING = Layout()

KEY = ["query_id", "doc_id", "period"]
JUDGED = pl.DataFrame({"query_id": [3, 9], "doc_id": [1, 9]})


def shown(periods, *, n=200, seed=0):
    """Documents shown in some periods, repeated, in any order."""
    rng = np.random.default_rng([seed, len(periods)])
    columns = {
        "query_id": rng.integers(0, 8, n),
        "doc_id": rng.integers(0, 12, n),
        "period": rng.choice(periods, n),
    }
    return pl.DataFrame(columns)


def features(seen):
    """`file` for pairs of even documents; `behaviour` for each pair and period, and its end."""
    pairs = seen.select("query_id", "doc_id").unique()
    static = pairs.filter(pl.col("doc_id") % 2 == 0).with_columns(
        period=pl.lit(None, pl.String),
        feature_group=pl.lit("file"),
        features=pl.concat_list("query_id", "doc_id").cast(pl.List(pl.Float32)),
    )
    timed = pl.concat([seen.select(KEY), pairs.with_columns(period=pl.lit(None, pl.String))])
    day = pl.col("period").str.slice(-1).cast(pl.Float32).fill_null(99)
    timed = timed.unique().with_columns(
        feature_group=pl.lit("behaviour"), features=pl.concat_list(day.cast(pl.Float32))
    )
    return pl.concat([static, timed])


def candidates(seen, layout, known=None):
    given = None if layout is NOTHING else features(seen)
    return candidates_of(seen, judged=JUDGED, features=given, layout=layout, known=known)


DAYS = ["day1", "day2", "day3"]


@pytest.mark.parametrize("layout", [NOTHING, STATIC, TIMED], ids=["none", "static", "timed"])
def test_night_by_night_gives_the_numbers_of_all_at_once(layout):
    nights = [shown([d], seed=i) for i, d in enumerate(DAYS)]
    whole = pl.concat(nights)
    # The table of features covers the whole log from the first night on.
    given = None if layout is NOTHING else features(whole)
    known, parts = None, []
    for night in nights:
        new = candidates_of(night, judged=JUDGED, features=given, layout=layout, known=known)
        parts.append(new)
        known = pl.concat(parts).select(*KEY, "row")
    once = candidates_of(whole, judged=JUDGED, features=given, layout=layout)
    assert pl.concat(parts).equals(once)
    assert once["row"].to_list() == list(range(once.height))
    assert not candidates_of(
        whole, judged=JUDGED, features=given, layout=layout, known=known
    ).height


@pytest.mark.parametrize("layout", [NOTHING, STATIC, TIMED], ids=["none", "static", "timed"])
def test_every_pair_has_a_state_and_every_list_its_row(layout):
    seen = shown(DAYS)
    found = candidates(seen, layout)
    assert found.select(KEY).is_unique().all()
    state = found.filter(pl.col("period").is_null())
    pairs = {*seen.select("query_id", "doc_id").iter_rows(), *JUDGED.iter_rows()}
    assert set(state.select("query_id", "doc_id").iter_rows()) == pairs
    rows = rows_of(seen, found).to_numpy()
    pointed = found[rows]
    assert pointed["query_id"].equals(seen["query_id"])
    assert pointed["doc_id"].equals(seen["doc_id"])
    if layout is TIMED:
        assert pointed["period"].equals(seen["period"])
    else:
        assert found.height == len(pairs)


def test_order_and_repetition_do_not_matter():
    seen = shown(DAYS)
    again = pl.concat([seen, seen]).sample(fraction=1, shuffle=True, seed=1)
    assert candidates(seen, TIMED).equals(candidates(again, TIMED))


def test_values_stand_group_after_group():
    seen = shown(DAYS)
    nan = float("nan")
    for q, d, period, _, values in candidates(seen, TIMED).iter_rows():
        if (q, d) in set(JUDGED.iter_rows()) - set(seen["query_id", "doc_id"].iter_rows()):
            assert values is None
            continue
        own = [q, d] if d % 2 == 0 else [nan, nan]
        day = 99 if period is None else int(period[-1])
        np.testing.assert_array_equal(values, [*own, day])


def test_the_state_can_be_made_anew_under_its_numbers():
    seen = shown(DAYS)
    found = candidates(seen, TIMED)
    changed = features(seen).with_columns(pl.col("features") * 2)
    state = found.filter(pl.col("period").is_null())
    again = with_features(state.drop("features"), features=changed, layout=TIMED)
    assert again.drop("features").equals(state.drop("features"))
    old, new = (f["features"].explode(empty_as_null=True).to_numpy() for f in (state, again))
    np.testing.assert_array_equal(2 * old, new)
