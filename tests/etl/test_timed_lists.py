"""Lists with features that depend on time, and a query that is split over buckets."""

from collections import Counter

import numpy as np
import pytest

from ultr.data import load_lists
from ultr.etl.features import add_features
from ultr.etl.features_config import BehaviourConfig
from ultr.etl.lists import ListsConfig, build_lists
from ultr.lake import open_lake
from ultr.sql.connection import connect
from ultr.sql.named import checks
from ultr.train import fit, open_run

SPLIT = ListsConfig(lists_per_query=40, buckets=2)


def built(root, config):
    return build_lists(root, config=config, quiet=True)


def made(root):
    behaviour = BehaviourConfig(prior=5.0)
    add_features(root, behaviour=behaviour, transforms={"behaviour.pair.clicks": "per-query"})


@pytest.fixture
def log(pages):
    """Most pages are of query 1."""
    found = pages(500, timed=True)
    for p in found[::2]:
        p["query_id"] = 1
    return found


@pytest.fixture
def lake(tmp_path, log, make_lake):
    root = make_lake(tmp_path / "lake", log, files=2)
    made(root)
    return root


def shown(root):
    """(query, document, period, position, click) -> sessions, through rows of candidates."""
    lake, out = open_lake(root), Counter()
    for file in lake.files("lists"):
        at = {c["row"]: c for c in lake.read("candidates", bucket=file.keys["bucket"]).to_pylist()}
        for r in lake.read("lists", **file.keys).to_pylist():
            for row, position, click in zip(r["row"], r["position"], r["click"], strict=True):
                c = at[row]
                assert c["period"] == file.keys["period"]
                assert c["query_id"] == r["query_id"]
                out[c["query_id"], c["doc_id"], c["period"], position, click] += r["n"]
    return out


def logged(log):
    out = Counter()
    for p in log:
        for entry in zip(p["doc_id"], p["position"], p["click"], strict=True):
            out[p["query_id"], entry[0], p["period"], *entry[1:]] += 1
    return out


def values(root, *, repeats):
    """(query, document, period) -> features, of candidates that repeat others or that do not."""
    lake, out = open_lake(root), {}
    for bucket in {f.keys["bucket"] for f in lake.files("candidates")}:
        files = [f for f in lake.files("candidates") if f.matches(bucket=bucket)]
        if ("repeats" in files[0].keys) != repeats:
            continue
        for c in lake.read("candidates", bucket=bucket).to_pylist():
            found = repr(c["features"])
            key = (c["query_id"], c["doc_id"], c["period"])
            assert out.setdefault(key, found) == found
    return out


def test_lists_of_a_split_query_point_at_their_period(lake, log):
    assert built(lake, SPLIT)["split_queries"] == 1
    assert shown(lake) == logged(log)
    own, repeated = values(lake, repeats=False), values(lake, repeats=True)
    assert {k: own[k] for k in repeated} == repeated
    assert {q for q, *_ in repeated} == {1}
    assert set(own) == {k[:3] for k in logged(log)} | {(*k[:2], None) for k in logged(log)}


def test_split_or_not_is_the_same_for_candidates_and_transform(lake):
    built(lake, SPLIT)
    split, transform = values(lake, repeats=False), open_lake(lake).manifest.meta["transform"]
    data = load_lists(lake)
    assert built(lake, ListsConfig(buckets=2))["split_queries"] == 0
    assert values(lake, repeats=False) == split
    assert open_lake(lake).manifest.meta["transform"] == transform
    assert inputs(load_lists(lake)) == inputs(data)


def inputs(data):
    """What a ranker sees of each list's documents, whatever bucket they stand in."""
    seen = np.round(data.inputs(), 5) + 0.0
    return Counter(
        (int(data.query_id[q]), data.doc_id[d[w]].tobytes(), seen[d[w]].tobytes(), int(n))
        for q, d, w, n in zip(
            data.list_query, data.document, data.where, data.sessions, strict=True
        )
    )


def test_documents_of_a_period_share_a_row_and_no_others(lake):
    built(lake, SPLIT)
    data = load_lists(lake)
    assert len(np.unique(data.query_id)) < len(data.query_id)
    timed = [k for k in values(lake, repeats=False) if k[2] is not None]
    assert len(np.unique(data.doc_row)) == len(timed)
    assert data.doc_row.max() == len(timed) - 1
    merged = data.one_row_per_pair()
    assert len(np.unique(merged.doc_row)) == len({k[:2] for k in timed})
    assert merged.doc_row.max() == len({k[:2] for k in timed}) - 1
    apart = load_lists(lake, by_pattern=True)
    assert apart.one_row_per_pair(merge=False).n_lists == apart.n_lists > merged.n_lists


@pytest.mark.parametrize("ranker", ["linear", "table"])
def test_runs_on_split_queries_open_again(lake, tmp_path, ranker):
    built(lake, SPLIT)
    data = load_lists(lake)
    fit(data, run=tmp_path / "run", ranker=ranker, evaluations=1, min_steps=1)
    f, _ = open_run(tmp_path / "run").list_logits(data)
    assert np.isfinite(f).all()


def test_a_night_more_builds_everything_and_keeps_the_rows(tmp_path, log, make_lake, make_rows):
    days = sorted({p["period"] for p in log})
    early = [p for p in log if p["period"] < days[-1]]
    root = make_lake(tmp_path / "grown", early)
    made(root)
    built(root, ListsConfig(buckets=2))
    with open_lake(root).commit("test") as change:
        late = [p for p in log if p["period"] == days[-1]]
        change.write("sessions", make_rows("sessions", late), source="late")
    add_features(root, refresh=True)
    assert built(root, ListsConfig(buckets=2))["rebuilt_because"] == "changed: features"
    assert built(root, ListsConfig(buckets=2))["rebuilt_because"] == "features depend on time"
    assert shown(root) == logged(log)
    once = make_lake(tmp_path / "once", log)
    made(once)
    built(once, ListsConfig(buckets=2))
    one, other = (open_lake(r).read("candidates").to_pylist() for r in (root, once))
    assert repr(one) == repr(other)


def test_the_lakes_own_checks_find_nothing(lake):
    built(lake, SPLIT)
    with connect(open_lake(lake)) as connection:
        for check in (c for c in checks() if c.name != "ids_are_known"):  # no texts here
            assert connection.execute(check.sql).fetchall() == [], check.name
