"""Groups of features: added, replaced and removed one by one, and one row in the end."""

import json

import numpy as np
import polars as pl
import pytest

from ultr.cli import main
from ultr.errors import DataError, UsageError
from ultr.etl.features import add_features
from ultr.etl.features_config import FeaturesConfig
from ultr.etl.lists import ListsConfig, build_lists
from ultr.lake import open_lake
from ultr.schema import SESSIONS
from ultr.sql import run_checks


@pytest.fixture
def lake(tmp_path, pages, make_lake, make_rows):
    """Texts, times and values of the log for every pair."""
    log = pages(300, timed=True)
    for p in log:
        p["log_features"] = [[float(d)] for d in p["doc_id"]]
    root = make_lake(tmp_path / "lake", log)
    docs = {d for p in log for d in p["doc_id"]}
    with open_lake(root).commit("test") as change:
        texts = [{"query_id": q, "key": str(q), "text": f"a {q}"} for q in range(-15, 15)]
        change.write("queries", make_rows("queries", texts), source="a.tsv")
        texts = [{"doc_id": d, "key": str(d), "title": f"a {d}", "text": "b"} for d in docs]
        change.write("documents", make_rows("documents", texts), source="a.tsv")
        change.manifest.meta["log_features"] = {"names": ["price"]}
    return root


def table(root, tmp_path, **columns):
    """A file with a value for each second pair."""
    pairs = open_lake(root).table("sessions").select("query_id", "doc_id").explode("doc_id")
    pairs = pairs.unique().sort("query_id", "doc_id").collect()[::2]
    n = len(pairs)
    path = tmp_path / "features.parquet"
    given = {k: v(n) if callable(v) else v for k, v in columns.items()}
    pairs.with_columns(**given).write_parquet(path)
    return path


def groups(root):
    return {
        name: group["names"]
        for name, group in open_lake(root).manifest.meta["features"]["groups"].items()
    }


def built(root, **config):
    return build_lists(root, config=ListsConfig(**config), quiet=True)


def test_they_stand_side_by_side_in_a_fixed_order(tmp_path, lake):
    source = table(lake, tmp_path, a=lambda n: np.arange(n) / 2, b=3)
    add_features(lake, behaviour={})
    add_features(lake, source=source)
    result = add_features(lake, lexical={"fields": ["title"]}, log=True)
    assert list(groups(lake)) == ["file", "log", "lexical", "behaviour"]
    assert result["groups"] == {"file": 2, "log": 1, "lexical": 11, "behaviour": 12}
    names = open_lake(lake).manifest.meta["features"]["names"]
    assert names == [n for group in groups(lake).values() for n in group]
    assert names[:4] == ["a", "b", "log.price", "lexical.tf.title"]
    assert built(lake)["features"] == 26 == len(names)
    broken = {name for name, rows in run_checks(open_lake(lake)).items() if rows}
    assert not broken & {"candidate_rows_are_numbered", "lists_point_at_candidates"}
    meta = open_lake(lake).manifest.meta
    assert meta["transform"]["names"] == names

    rows = open_lake(lake).read("candidates").to_pylist()
    stored = {
        (r["query_id"], r["doc_id"], r["period"], r["feature_group"]): r["features"]
        for r in open_lake(lake).read("features").to_pylist()
    }
    sizes = {"file": 2, "log": 1, "lexical": 11, "behaviour": 12}
    for row in rows:
        pair = (row["query_id"], row["doc_id"])
        # What does not depend on time is the same in every period.
        keys = [(*pair, row["period"] if g in ("log", "behaviour") else None, g) for g in sizes]
        missing = [[float("nan")] * size for size in sizes.values()]
        expected = [stored.get(k, m) for k, m in zip(keys, missing, strict=True)]
        np.testing.assert_array_equal(row["features"], np.concatenate(expected))
    has_file = [(r["query_id"], r["doc_id"], None, "file") in stored for r in rows]
    assert any(has_file)
    assert not all(has_file)


def test_one_group_is_replaced_or_removed_and_the_others_stay(tmp_path, lake):
    add_features(lake, source=table(lake, tmp_path, a=1.0), log=True, behaviour={})
    before = stored(lake, "log") + stored(lake, "behaviour")
    add_features(lake, source=table(lake, tmp_path, c=2.0, d=1))
    assert groups(lake)["file"] == ["c", "d"]
    assert stored(lake, "log") + stored(lake, "behaviour") == before
    result = add_features(lake, remove=["file"])
    assert result["features"] == 13
    assert stored(lake, "file") == []
    assert stored(lake, "log") + stored(lake, "behaviour") == before
    add_features(lake, remove=["log", "behaviour"])
    assert "features" not in open_lake(lake).manifest.meta
    assert built(lake)["features"] == 0


def stored(root, group):
    return [
        repr(r) for r in open_lake(root).read("features").to_pylist() if r["feature_group"] == group
    ]


def test_refresh_makes_again_what_comes_from_the_log(tmp_path, lake):
    add_features(lake, source=table(lake, tmp_path, a=1.0), log=True)
    add_features(lake, lexical={"fields": ["title"], "k1": 0.5}, behaviour={"prior": 3.0})
    before = open_lake(lake)
    result = add_features(lake, refresh=True)
    assert {"log", "lexical", "behaviour"} <= set(result)
    after = open_lake(lake)
    assert after.manifest.meta["features"] == before.manifest.meta["features"]
    assert repr(after.read("features").to_pylist()) == repr(before.read("features").to_pylist())
    assert {f.path for f in after.files("features")} != {f.path for f in before.files("features")}


def test_changed_features_make_lists_stale(lake):
    add_features(lake, log=True)
    built(lake)
    assert add_features(lake, transforms={"log": "none"})["lists_are_stale"]
    built(lake)
    assert not add_features(lake, transforms={"log": "none"})["lists_are_stale"]
    assert add_features(lake, log=True)["lists_are_stale"]


def kinds(root):
    transform = open_lake(root).manifest.meta["transform"]
    return dict(zip(transform["names"], transform["kinds"], strict=True))


def test_transforms_have_defaults_and_the_closest_choice_wins(tmp_path, lake):
    add_features(lake, source=table(lake, tmp_path, a=1.0), lexical={}, behaviour={})
    built(lake)
    found = kinds(lake)
    assert found["a"] == found["lexical.bm25.title"] == "standardise"
    for name in ("lexical.tf.whole", "lexical.length.text", "behaviour.pair.clicks"):
        assert found[name] == "log1p+standardise"
    choices = {"lexical": "none", "lexical.bm25": "per-query", "lexical.bm25.text": "log1p"}
    add_features(lake, transforms=choices | {"file": "log1p"})
    built(lake)
    found = kinds(lake)
    assert found["lexical.tf.whole"] == "none"
    assert found["lexical.bm25.title"] == "per-query"
    assert (found["lexical.bm25.text"], found["a"]) == ("log1p", "log1p")
    add_features(lake, transforms={"lexical": "default"})
    built(lake)
    assert kinds(lake)["lexical.tf.whole"] == "log1p+standardise"
    assert kinds(lake)["lexical.bm25.title"] == "per-query"
    with pytest.raises(UsageError, match=r"lexical\.bm26"):
        add_features(lake, transforms={"lexical.bm26": "none"})


def test_one_name_is_one_feature(tmp_path, lake):
    source = table(lake, tmp_path, **{"log.price": 1.0})
    add_features(lake, log=True)
    with pytest.raises(DataError, match=r"log\.price in the group 'file'"):
        add_features(lake, source=source)


def test_all_that_depends_on_time_has_one_period(lake):
    add_features(lake, behaviour={}, period="week")
    add_features(lake, log=True)  # follows
    assert open_lake(lake).manifest.meta["features"]["period"] == "week"
    with pytest.raises(UsageError, match="week in behaviour"):
        add_features(lake, log=True, period="day")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "none of them"),
        ({"remove": ("text",)}, "file, log, lexical, behaviour"),
        ({"remove": ("log",), "log": True}, "name another"),
        ({"transforms": {"log": "log2"}}, "log1p"),
        ({"log": True, "min_match": 2.0}, "share"),
    ],
)
def test_a_wrong_call_is_refused(settings, words):
    with pytest.raises(UsageError, match=words):
        FeaturesConfig(**settings)


def test_embeddings_stand_beside_numbers(tmp_path, lake):
    def vectors(n):
        return pl.Series(np.arange(3 * n, dtype=np.float32).reshape(n, 3))

    add_features(
        lake, source=table(lake, tmp_path, a=1, v=vectors, b=2.0, w=lambda n: pl.Series([[7]] * n))
    )
    assert groups(lake)["file"] == ["a", "v.1", "v.2", "v.3", "b", "w.1"]
    rows = open_lake(lake).read("features")["features"].to_pylist()
    assert rows == [[1, 3 * i, 3 * i + 1, 3 * i + 2, 2, 7] for i in range(len(rows))]


def test_letor_lines_are_read(tmp_path, make_lake, one_page):
    ids = {"query": "integer", "doc": "xxh3"}
    from ultr.etl.ids import to_id

    docs = to_id(pl.Series(["GX1", "GX2"]), "xxh3", column="doc").to_list()
    root = make_lake(tmp_path / "lake", [one_page(1, 7, docs, [1, 0])], ids=ids)
    path = tmp_path / "S1.txt"
    path.write_text("2 qid:7 1:0.5 3:1 #docid = GX1\n0 qid:7 2:-1 #docid = GX2\n")
    result = add_features(root, source=path)
    assert (result["match_share"], groups(root)["file"]) == (1.0, ["f1", "f2", "f3"])
    rows = open_lake(root).read("features").sort_by("doc_id").to_pylist()
    found = {r["doc_id"]: r["features"] for r in rows}
    assert found == {docs[0]: [0.5, 0, 1], docs[1]: [0, -1, 0]}


def test_the_user_cannot_bring_what_happens_after_the_click(tmp_path, lake):
    after = [c.name for c in SESSIONS.columns if c.is_post_click]
    for name in (*after, "click", "Grade"):
        with pytest.raises(DataError, match=f"has {name}"):
            add_features(lake, source=table(lake, tmp_path, a=1.0, **{name: 2.0}))


def printed(capsys, lake, *arguments):
    main(["features", "--lake", str(lake), *arguments, "--json"])
    return json.loads(capsys.readouterr().out)


def test_the_command(capsys, lake):
    found = printed(capsys, lake, "--lexical", "--set", "lexical.k1=0.9", "--set",
                    'lexical.fields=["title"]', "--log", "--transform", "log=none")  # fmt: skip
    assert found["groups"] == {"log": 1, "lexical": 11}
    config = open_lake(lake).manifest.meta["features"]["groups"]["lexical"]["config"]
    assert (config["k1"], config["fields"]) == (0.9, ["title"])
    more = ["--refresh", "--period", "week", "--set", "behaviour.prior=2"]
    found = printed(capsys, lake, "--behaviour", *more)
    assert found["behaviour"]["periods"] == 2
    assert printed(capsys, lake, "--remove", "lexical")["groups"] == {"log": 1, "behaviour": 12}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--from FILE, --lexical"),
        (["--lexical", "--set", "lexical.k2=1"], "known keys: absolute_delta, b"),
        (["--lexical", "--set", "lexical.k1=-1"], "k1 is at least 0"),
        (["--lexical", "--set", "behaviour.prior=1"], "a group that is made"),
        (["--lexical", "--set", "k1=1"], "lexical.k1=0.9"),
        (["--log", "--transform", "log"], "NAME=KIND"),
    ],
)
def test_the_command_refuses(capsys, lake, arguments, words):
    before = (lake / "manifest.json").read_bytes()
    with pytest.raises(SystemExit) as stop:
        main(["features", "--lake", str(lake), *arguments])
    assert stop.value.code == 2
    assert words in capsys.readouterr().err
    assert (lake / "manifest.json").read_bytes() == before
