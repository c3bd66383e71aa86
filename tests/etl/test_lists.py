"""Laws of the collapse: nothing is lost, nothing is invented, order and place do not matter."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ultr.errors import DataError, UsageError
from ultr.etl.lists import ListsConfig, build_lists
from ultr.etl.split import SPLITS, bucket_of, query_split, session_split
from ultr.lake import create_lake, open_lake
from ultr.schema import TABLES
from ultr.sql import run_checks
from ultr.staleness import is_stale

TABLES_MADE = ("lists", "candidates", "exposures")


def built(root, **config):
    return build_lists(root, config=ListsConfig(**config), quiet=True)


def lists_of(root):
    """Every list with its documents by id, its period, and no row numbers."""
    lake, out = open_lake(root), []
    for file in lake.files("lists"):
        pairs = lake.read("candidates", bucket=file.keys["bucket"]).to_pylist()
        for row in lake.read("lists", **file.keys).to_pylist():
            shown = [pairs[r] for r in row.pop("row")]
            assert {p["query_id"] for p in shown} == {row["query_id"]}
            out.append(row | {"docs": [p["doc_id"] for p in shown], "period": file.keys["period"]})
    return out


def frozen(row, *names):
    return tuple(tuple(v) if isinstance(v := row[n], list) else v for n in names)


def multiset(lists, *names):
    counts = Counter()
    for row in lists:
        counts[frozen(row, *names)] += row["n"]
    return counts


def original(pages):
    """The pages as a multiset of (query, documents, positions, clicks, session split)."""
    counts = Counter()
    for p in pages:
        rows = sorted(zip(p["position"], p["doc_id"], p["click"], strict=True))
        position, docs, clicks = zip(*rows, strict=True)
        split = SPLITS[int(session_split(p["source"], p["ordinal"]))]
        counts[p["query_id"], docs, position, clicks, split] += 1
    return counts


KEY = ("query_id", "docs", "position", "click", "session_split")


@pytest.mark.parametrize("shuffled", [False, True], ids=["in order", "shuffled"])
@pytest.mark.parametrize("buckets", [1, 4])
def test_lists_expand_to_the_pages(tmp_path, pages, make_lake, shuffled, buckets):
    log = pages(600, shuffled=shuffled)
    root = make_lake(tmp_path / "lake", log)
    result = built(root, buckets=buckets)
    found = lists_of(root)
    assert multiset(found, *KEY) == original(log)
    assert len(found) == len({frozen(r, *KEY) for r in found}) == result["rows"]
    assert result["sessions"] == 600 == sum(r["n"] for r in found)
    assert result["sessions_per_row"] == 600 / len(found) > 1
    assert result["positions"] == max(max(p["position"]) for p in log)


def test_each_list_knows_its_splits_and_bucket(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(300))
    result = built(root, buckets=4)
    lake = open_lake(root)
    for file in lake.files("lists"):
        table = lake.read("lists", **file.keys)
        query = table["query_id"].to_numpy()
        assert set(bucket_of(query, buckets=4)) == {int(file.keys["bucket"])}
        expected = [SPLITS[i] for i in query_split(query)]
        assert table["query_split"].to_pylist() == expected
    per_split = Counter()
    for row in lists_of(root):
        per_split[row["session_split"]] += row["n"]
    assert result["sessions_by_split"] == {s: per_split[s] for s in SPLITS}
    assert sum(result["queries_by_split"].values()) == result["queries"] == 30


@pytest.mark.parametrize("period", ["day", "week", "source", "auto"])
def test_the_sum_over_periods_is_the_one_collapse(tmp_path, pages, make_lake, period):
    root = make_lake(tmp_path / "lake", pages(500, timed=True))
    built(root, period="all")
    whole = multiset(lists_of(root), *KEY)
    result = built(root, period=period)
    parts = lists_of(root)
    assert multiset(parts, *KEY) == whole
    assert len({r["period"] for r in parts}) == result["periods"] > 1


def test_names_of_periods(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(100, timed=True))
    assert built(root)["period"] == "day"
    assert "2026-01-01" in {r["period"] for r in lists_of(root)}
    built(root, period="week")
    # 1 January 2026 is a Thursday, of ISO week 1.
    assert {r["period"] for r in lists_of(root)} == {"2026-W01", "2026-W02"}
    built(root, period="source")
    sources = open_lake(root).manifest.meta["lists"]["periods_by_source"]
    assert set(sources) == {r["period"] for r in lists_of(root)}
    assert sorted(sources.values()) == ["a.tsv", "b.tsv"]


def test_a_log_without_time_has_one_period(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(50))
    assert built(root)["period"] == "all"
    assert {r["period"] for r in lists_of(root)} == {"all"}
    with pytest.raises(UsageError, match="--period week needs the time"):
        built(root, period="week")


@pytest.mark.parametrize("context", [(), ("device", "media_type", "height_px:bins=3")])
@pytest.mark.parametrize("weights", [(1.0,), (0.1, 0.7, 1.3)], ids=["unit", "fractional"])
def test_neither_files_nor_buckets_nor_order_matter(tmp_path, pages, make_lake, context, weights):
    log = pages(400, timed=True, weights=weights)
    built(make_lake(tmp_path / "one", log), buckets=2, context=context)
    built(make_lake(tmp_path / "many", log[::-1], files=5), buckets=2, context=context)
    for table in TABLES_MADE:
        one, many = (open_lake(tmp_path / n) for n in ("one", "many"))
        assert [f.keys for f in one.files(table)] == [f.keys for f in many.files(table)]
        assert one.read(table).equals(many.read(table))
    one = sorted(map(repr, lists_of(tmp_path / "one")))
    built(tmp_path / "one", buckets=8, context=context)
    assert sorted(map(repr, lists_of(tmp_path / "one"))) == one


@pytest.mark.parametrize("context", [(), ("device", "height_px:bins=3")])
def test_neither_batches_nor_partitions_matter(tmp_path, pages, make_lake, monkeypatch, context):
    log = pages(400, timed=True, weights=(0.1, 0.7), shuffled=True)
    built(make_lake(tmp_path / "one", log), buckets=4, context=context)
    monkeypatch.setattr("ultr.etl.pages.BATCH", 7)
    monkeypatch.setattr("ultr.etl.spread.PARTITION_IMPRESSIONS", 100)
    built(make_lake(tmp_path / "many", log), buckets=4, context=context)
    for table in TABLES_MADE:
        one, many = (open_lake(tmp_path / n) for n in ("one", "many"))
        assert one.read(table).equals(many.read(table))


def test_the_number_of_buckets_follows_from_the_size(tmp_path, pages, make_lake, monkeypatch):
    root = make_lake(tmp_path / "lake", pages(300))
    assert built(root)["buckets"] == 1
    monkeypatch.setattr("ultr.etl.build.IMPRESSIONS_PER_BUCKET", 100)
    monkeypatch.setattr("ultr.etl.spread._SAMPLE", np.uint64(1))  # of a small log, all rows
    result = built(root, rebuild=True)
    listed = sum(len(r["row"]) for r in lists_of_rows(root))
    assert result["buckets"] / 2 < listed / 100 <= result["buckets"]


def lists_of_rows(root):
    return open_lake(root).read("lists").to_pylist()


def test_bad_pages_are_refused(tmp_path, make_lake, one_page):
    bad = [
        {"click": [0]},
        {"position": [1, None]},
        {"dwell_s": [1.0]},
        {"weight": -1.0},
        {"weight": float("nan")},
        {"weight": 1e7},
    ]
    for i, wrong in enumerate(bad):
        log = [one_page(1, 7, [1, 2], [0, 0]), one_page(2, 7, [1, 2], [0, 0]) | wrong]
        root = make_lake(tmp_path / str(i), log)
        with pytest.raises(DataError, match="weight"):
            built(root)
        assert not open_lake(root).files("lists")


def test_weights_are_summed(tmp_path, pages, make_lake):
    log = pages(400, weights=(1.0, 2.5, 0.25), shuffled=True)
    root = make_lake(tmp_path / "lake", log)
    built(root)
    found = lists_of(root)
    assert sum(r["weight"] for r in found) == sum(p["weight"] for p in log)
    assert sum(r["weight_sq"] for r in found) == sum(p["weight"] ** 2 for p in log)
    assert any(r["weight"] != r["n"] for r in found)


@pytest.mark.parametrize("context", [(), ("media_type",)])
def test_exposures_count_every_impression_once(tmp_path, pages, make_lake, context):
    log = pages(400, timed=True, shuffled=True)
    root = make_lake(tmp_path / "lake", log)
    result = built(root, context=context)
    shown, clicked, dwelt = Counter(), Counter(), Counter()
    for p in log:
        text = [f"media_type={m}" if context else "" for m in p["media_type"]]
        for doc, position, c, click, dwell in zip(
            p["doc_id"], p["position"], text, p["click"], p["dwell_s"], strict=True
        ):
            key = (p["period"], p["query_id"], doc, position, c)
            shown[key] += 1
            clicked[key] += click
            dwelt[key] += dwell or 0.0
    lake = open_lake(root)
    found = [
        r | {"period": f.keys["period"]}
        for f in lake.files("exposures")
        for r in lake.read("exposures", **f.keys).to_pylist()
    ]
    names = ("period", "query_id", "doc_id", "position", "context")
    assert {frozen(r, *names): r["impressions"] for r in found} == shown
    assert {frozen(r, *names): r["clicks"] for r in found} == clicked
    # Time comes in eighths of a second, which milliseconds hold exactly.
    assert {frozen(r, *names): r["dwell_sum_s"] or 0.0 for r in found} == dwelt
    assert result["impressions"] == shown.total()
    assert result["clicks"] == clicked.total()


def test_candidates_are_shown_judged_or_have_features(tmp_path, make_lake, make_rows, one_page):
    root = make_lake(tmp_path / "lake", [one_page(1, 7, [3, 1], [0, 1])])
    with create_lake(root).commit("test") as change:
        judged = [{"query_id": q, "doc_id": d, "grade": 1} for q, d in [(7, 1), (7, 9), (8, 2)]]
        change.write("judgments", make_rows("judgments", judged))
        known = [
            {"query_id": q, "doc_id": d, "features": [q, d]} for q, d in [(7, 1), (7, 5), (9, 4)]
        ]
        change.write("features", make_rows("features", known))
        change.manifest.meta["features"] = {"names": ["a", "b"]}
    assert built(root, buckets=1)["candidates"] == 6
    found = open_lake(root).read("candidates").to_pylist()
    # What is judged or has features comes before what is shown, whenever that may be.
    pairs = [(7, 1), (7, 5), (7, 9), (8, 2), (9, 4), (7, 3)]
    has = {(7, 1), (7, 5), (9, 4)}
    assert found == [
        {"query_id": q, "doc_id": d, "period": None, "row": i}
        | {"features": [q, d] if (q, d) in has else None}
        for i, (q, d) in enumerate(pairs)
    ]


@pytest.mark.parametrize("buckets", [1, 8])
def test_the_transform_is_fitted_on_training_queries_only(tmp_path, make_lake, make_rows, buckets):
    rng = np.random.default_rng(3)
    query = np.repeat(np.arange(200), 3)
    x = rng.normal(5, 2, (len(query), 2)).astype(np.float32)
    x[query_split(query) != 0] = 1e6  # would move the mean if a test query were looked at
    x[0, 0] = np.nan  # missing
    page = {"source": "a", "ordinal": 1, "query_id": 0, "period": "all", "weight": 1.0}
    page |= {"doc_id": [0], "position": [1], "click": [0]}
    root = make_lake(tmp_path / "lake", [page])
    with create_lake(root).commit("test") as change:
        rows = [
            {"query_id": int(q), "doc_id": i, "features": v.tolist()}
            for i, (q, v) in enumerate(zip(query, x, strict=True))
        ]
        change.write("features", make_rows("features", rows))
        change.manifest.meta["features"] = {"names": ["a", "b"]}
    built(root, buckets=buckets)
    transform = open_lake(root).manifest.meta["transform"]
    seen = x[query_split(query) == 0].astype(np.float64)
    assert transform["names"] == ["a", "b"]
    np.testing.assert_allclose(transform["mean"], np.nanmean(seen, axis=0), rtol=1e-9)
    np.testing.assert_allclose(transform["scale"], np.nanstd(seen, axis=0), rtol=1e-9)


def test_a_second_call_replaces_and_leaves_no_spill(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(100, timed=True))
    built(root, buckets=4, period="day")
    first = {f.path for t in TABLES_MADE for f in open_lake(root).files(t)}
    built(root, buckets=1, period="all")
    lake = open_lake(root)
    assert [len(lake.files(t)) for t in TABLES_MADE] == [1, 1, 1]
    assert not first & {f.path for t in TABLES_MADE for f in lake.files(t)}
    assert {p.name for p in root.iterdir()} <= {*TABLES, "manifest.json", ".lock"}


def test_the_manifest_says_how_the_lists_were_made(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(100))
    result = built(root, context=("device",))
    meta = open_lake(root).manifest.meta["lists"]
    assert {k: meta[k] for k in result if k != "seconds"} == {
        k: v for k, v in result.items() if k != "seconds"
    }
    assert meta["collapse_factor"] == result["sessions_per_row"]
    assert "transform" not in open_lake(root).manifest.meta


@pytest.mark.parametrize("table", ["sessions", "judgments", "features"])
def test_lists_become_stale_when_an_input_changes(tmp_path, pages, make_lake, make_rows, table):
    log = pages(20)
    root = make_lake(tmp_path / "lake", log)
    assert not is_stale(open_lake(root))
    built(root)
    assert not is_stale(open_lake(root))
    more = log[0] | {"ordinal": 1000, "doc_id": [1], "position": [1], "click": [0], "dwell_s": None}
    record = more | {"doc_id": 1, "grade": 0, "features": [1.0]} if table != "sessions" else more
    with create_lake(root).commit("test") as change:
        change.write(table, make_rows(table, [record]))
        change.manifest.meta["features"] = {"names": ["a"]}
    assert is_stale(open_lake(root))
    built(root)
    assert not is_stale(open_lake(root))


@pytest.mark.parametrize(
    "wrong",
    [
        {"buckets": 3},
        {"buckets": 0},
        {"buckets": 8192},
        {"period": "month"},
        {"memory_gib": 0.0},
        {"memory_gib": float("nan")},
    ],
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UsageError):
        ListsConfig(**wrong)


def test_a_lake_without_sessions_says_what_to_do(tmp_path):
    create_lake(tmp_path / "lake")
    with pytest.raises(DataError, match="ultr ingest"):
        built(tmp_path / "lake")
    with pytest.raises(DataError, match="ultr ingest"):
        built(tmp_path / "nothing")


def test_a_lost_file_leaves_the_lake_as_it_was(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(20))
    before = (root / "manifest.json").read_bytes()
    open_lake(root).paths("sessions")[0].unlink()
    with pytest.raises(DataError, match="readable Parquet"):
        built(root)
    assert (root / "manifest.json").read_bytes() == before
    assert not list(Path(root).rglob("lists/**/*.parquet"))


def with_dimensions(root, log, make_rows):
    """Add the queries and documents of the pages, which ingest would have written."""
    queries = [{"query_id": q, "key": str(q)} for q in sorted({p["query_id"] for p in log})]
    documents = {d for p in log for d in p["doc_id"]}
    with create_lake(root).commit("test") as change:
        change.write("queries", make_rows("queries", queries))
        keyed = [{"doc_id": d, "key": str(d)} for d in sorted(documents)]
        change.write("documents", make_rows("documents", keyed))
    return root


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"period": "source", "buckets": 4},
        {"period": "week", "buckets": 2, "context": ("device", "media_type", "height_px:bins=2")},
    ],
    ids=str,
)
def test_the_lake_passes_its_checks(tmp_path, pages, make_lake, make_rows, config):
    log = pages(200, timed=True, shuffled=True)
    root = with_dimensions(make_lake(tmp_path / "lake", log), log, make_rows)
    built(root, **config)
    found = run_checks(open_lake(root))
    assert found == dict.fromkeys(found, 0)
    with create_lake(root).commit("test") as change:
        change.remove("exposures", lambda f: f is change.manifest.tables["exposures"][0])
    assert run_checks(open_lake(root))["exposures_sum_to_impressions"] > 0


def test_what_a_killed_job_left_is_removed(tmp_path, pages, make_lake):
    root = make_lake(tmp_path / "lake", pages(20))
    (root / ".spill" / "features").mkdir(parents=True)
    (root / ".spill" / "features" / "old.parquet").write_bytes(b"half")
    built(root)
    assert not (root / ".spill").exists()


def test_the_real_log(tmp_path, real_data):
    from ultr.etl.ingest import IngestConfig, ingest

    root, config = tmp_path / "lake", IngestConfig(format="yandex")
    ingest([real_data / "clara2" / "search_log.tsv"], lake=root, config=config, quiet=True)
    result = built(root)
    assert (result["sessions"], result["impressions"], result["clicks"]) == (6380, 63800, 1777)
    assert (result["positions"], result["period"]) == (10, "all")
    # 40% of its pages repeat the same session, query and list at once.
    assert result["sessions_per_row"] > 1.6
    found = lists_of(root)
    pages = open_lake(root).read("sessions").to_pylist()
    assert multiset(found, *KEY) == original(pages)
