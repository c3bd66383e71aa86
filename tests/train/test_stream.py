"""Out of core: the same lists, the same weights and the same evaluation as in memory."""

from __future__ import annotations

import shutil
from dataclasses import replace

import jax
import numpy as np
import pyarrow as pa
import pytest

import ultr
from ultr.data import load_lists
from ultr.errors import DataError
from ultr.lake import create_lake, open_lake
from ultr.staleness import list_inputs
from ultr.train import TrainConfig, policy, train_lake
from ultr.train.control import controlled_logits
from ultr.train.lake_lists import COPIES, LakeLists
from ultr.train.part import Reading
from ultr.train.policy import evidence
from ultr.train.source import InMemory
from ultr.train.splits import split_lists
from ultr.train.start import start
from ultr.train.step import PROGRAMS, click_nll, run_epoch
from ultr.train.stream import Streamed, open_source
from ultr.transform import PER_QUERY

BUCKETS = 6
EXAMINATION = [1.0, 0.6, 0.4, 0.3]
SETTINGS = {"ranker": "linear", "documents_per_batch": 64}


def write_lake(root, data):
    """`Lists` as a lake: each list in two click patterns, so that loading has clicks to merge."""
    splits = np.array(["train", "validation", "test"])
    with create_lake(root).commit("test") as change:
        for bucket in range(BUCKETS):
            own = data.select(data.query_id[data.list_query] % BUCKETS == bucket)
            change.write("candidates", pa.table({
                "query_id": own.query_id[own.doc_query],
                "doc_id": own.doc_id,
                "period": pa.nulls(own.n_documents, pa.string()),
                "row": np.arange(own.n_documents, dtype=np.int32),
                "features": pa.array(own.features.tolist(), pa.list_(pa.float32())),
            }), bucket=bucket)  # fmt: skip
            ones = own.clicks > own.clicks.mean()
            lists = [_rows(own, splits, clicks, n) for clicks, n in ((ones, 7), (~ones, 3))]
            change.write("lists", pa.concat_tables(lists), bucket=bucket, period="all")
        change.manifest.meta["transform"] = data.transform.to_json()
        change.manifest.meta["lists"] = {"inputs": list_inputs(change.manifest)}
    return root


def _rows(own, splits, clicks, n):
    m = own.n_lists
    return pa.table({
        "query_id": own.query_id[own.list_query],
        "query_split": splits[own.query_split[own.list_query]],
        "session_split": splits[own.session_split],
        "row": own.document.tolist(),
        "position": own.position.tolist(),
        "context": pa.nulls(m, pa.list_(pa.string())),
        "click": clicks.astype(int).tolist(),
        "n": np.full(m, n),
        "weight": np.full(m, float(n)),
        "weight_sq": np.full(m, float(n)),
    })  # fmt: skip


@pytest.fixture(scope="module")
def lake(planted, tmp_path_factory):
    data = planted(EXAMINATION, queries=90, documents=6, orders=3)[0]
    return write_lake(tmp_path_factory.mktemp("stream") / "lake", data)


def opened(lake, *, groups=2, **settings):
    """Training and held-out sources, in memory and from disk, two buckets at a time."""
    config = TrainConfig(**SETTINGS | settings)
    spec = config.ranker_spec()
    one = LakeLists(open_lake(lake), limit=1)._bytes
    limit = COPIES * groups * max(one((b,)) for b in range(BUCKETS))
    streamed = LakeLists(open_lake(lake), limit=int(limit))
    assert not streamed.fits_in_memory
    both = [split_lists(data, spec) for data in (load_lists(lake), streamed)]
    return config, [
        [open_source(part, spec=spec, config=config) for part in parts[:2]] for parts in both
    ]


def content(source, epoch):
    """Every list of an epoch: what it shows and the clicks, sorted."""
    rows = []
    for arrays, plan, query in source.segments(epoch=epoch):
        lists = np.asarray(plan.list)[query >= 0]
        inputs = np.asarray(arrays.inputs)[np.asarray(arrays.document)[lists]]
        clicks = np.asarray(arrays.clicks)[lists]
        position = np.asarray(arrays.position)[lists]
        rows += [
            np.concatenate([i.ravel(), c, p])
            for i, c, p in zip(inputs, clicks, position, strict=True)
        ]
    rows = np.array(rows)
    return rows[np.lexsort(rows.T)]


@pytest.mark.parametrize("weighting", ["session", "query"])
def test_the_lists_and_weights_are_those_of_lists_in_memory(lake, weighting):
    _, (memory, streamed) = opened(lake, weighting=weighting)
    for one, other in zip(memory, streamed, strict=True):
        np.testing.assert_allclose(content(one, 1), content(other, 1), rtol=1e-5)
        assert one.n_queries == other.n_queries
        assert one.clicks == pytest.approx(other.clicks)


def test_the_evaluation_is_that_of_lists_in_memory(lake):
    config, (memory, streamed) = opened(lake)
    model, state = start(
        n_features=5, n_documents=1, config=config, decay=0.0, is_frozen=False,
        log_propensity=jax.numpy.log(jax.numpy.array(EXAMINATION)),
    )  # fmt: skip
    totals = []
    for source in (memory[1], streamed[1]):
        total = np.zeros(source.n_queries)
        for arrays, plan, query in source.segments(epoch=0):
            nll = np.asarray(click_nll(model, state.params, arrays, plan))
            np.add.at(total, query[query >= 0], nll[query >= 0])
        totals.append(np.sort(total))
    np.testing.assert_allclose(*totals, rtol=1e-5)


def test_few_held_out_lists_are_kept_in_memory(lake):
    _, (memory, streamed) = opened(lake, groups=2.4)
    assert isinstance(streamed[0], Streamed)
    assert isinstance(streamed[1], InMemory)
    np.testing.assert_allclose(content(memory[1], 0), content(streamed[1], 0), rtol=1e-5)


def test_one_program_serves_all_groups_and_their_order_is_of_seed_and_epoch(lake):
    config, (_, (source, _)) = opened(lake)
    assert [len(group) for group in source.order(3)] == [2, 2, 2]
    assert np.array_equal(np.concatenate(source.order(0)), np.arange(BUCKETS))
    orders = {tuple(np.concatenate(source.order(epoch))) for epoch in range(1, 6)}
    assert len(orders) > 1
    assert all(sorted(order) == list(range(BUCKETS)) for order in orders)
    model, state = start(
        n_features=5, n_documents=1, config=config, decay=0.0, is_frozen=False,
        log_propensity=jax.numpy.zeros(4),
    )  # fmt: skip
    before = PROGRAMS[False]._cache_size()
    for arrays, plan, _ in source.segments(epoch=1):
        state, _ = run_epoch(model, state, arrays, plan)
    assert PROGRAMS[False]._cache_size() == before + 1


def test_an_epoch_is_taken_up_again_at_a_segment(lake):
    _, (_, (source, _)) = opened(lake)
    whole = list(source.segments(epoch=2))
    rest = list(source.segments(epoch=2, first=1))
    assert len(rest) == len(whole) - 1
    for one, other in zip(whole[1:], rest, strict=True):
        assert jax.tree.all(jax.tree.map(np.array_equal, one, other))


def curve(part):
    """The closed-form curve beside a ranker that knows one feature."""
    found = evidence(part, lambda some: some.inputs()[:, 0].astype(np.float64))
    return found, controlled_logits(found, logits=np.zeros(len(EXAMINATION)))


@pytest.mark.parametrize("groups", [1, 2])
def test_the_closed_form_curve_is_that_of_lists_in_memory(lake, groups):
    _, ((memory, _), (streamed, _)) = opened(lake, groups=groups)
    (one, expected), (other, found) = curve(memory._data), curve(streamed._data)
    assert other.data.n_lists == one.data.n_lists
    assert other.data.features.shape == (one.data.n_documents, 2)
    np.testing.assert_allclose(np.sort(other.policy), np.sort(one.policy), atol=1e-5)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def same(one, other):
    """Whether two parts hold the same lists, with the features as rankers read them."""
    for name in ("inputs", "doc_id", "doc_query", "document", "position", "where", "clicks",
                 "weight", "sessions", "list_query", "context"):  # fmt: skip
        a, b = getattr(one, name), getattr(other, name)
        a, b = (a(), b()) if callable(a) else (a, b)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


def test_what_was_read_once_comes_from_the_cache_the_same(lake, tmp_path, monkeypatch):
    part = opened(lake)[1][1][0]._data
    expected = part.read([1, 3]), part.read([3, 0])
    with part.cached(tmp_path) as cached:
        same(cached.read([1, 3]), expected[0])
        cached.read([0])
        monkeypatch.setattr(Reading, "read", None)  # the lake is not asked again
        same(cached.read([1, 3]), expected[0])
        same(cached.read([3, 0]), expected[1])
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_costs_time_and_nothing_else(lake, tmp_path, monkeypatch):
    part = opened(lake)[1][1][0]._data
    with part.cached(tmp_path) as cached:
        write, room = cached.cache._write, [20]

        def refuse(values):
            room[0] -= 1
            if room[0] < 0:
                raise OSError(28, "No space left on device")
            return write(values)

        monkeypatch.setattr(cached.cache, "_write", refuse)
        for _ in range(2):
            same(cached.read([2, 4, 5]), part.read([2, 4, 5]))


def test_nothing_is_cached_on_a_disk_without_room(lake, tmp_path, monkeypatch):
    part = opened(lake)[1][1][0]._data
    usage = shutil.disk_usage(tmp_path)._replace(free=2 * part.n_bytes - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with part.cached(tmp_path) as cached:
        assert cached is part


def test_no_more_groups_are_read_than_the_curve_needs(lake, monkeypatch):
    part = opened(lake, groups=1)[1][1][0]._data
    monkeypatch.setattr(policy, "LISTS", part.sizes[0].lists + 1)
    monkeypatch.setattr(policy, "DOCUMENTS", 1)
    assert curve(part)[0].data.n_lists == part.sizes[0].lists + part.sizes[1].lists


def test_a_lake_above_the_limit_trains_to_the_same_propensities(lake, tmp_path):
    limit = (
        COPIES * 2 * max(LakeLists(open_lake(lake), limit=1)._bytes((b,)) for b in range(BUCKETS))
    )
    settings = SETTINGS | {"ranker_rate": 0.03, "evaluations": 12}
    given = {"streamed": limit, "memory": None}
    found = {}
    for name, memory_limit in given.items():
        config = TrainConfig(**settings, memory_limit=memory_limit)
        summary = train_lake(lake=lake, run=tmp_path / name, config=config)
        found[name] = (summary["sessions"], ultr.open_run(tmp_path / name).propensities)
    assert found["streamed"][0] == found["memory"][0]
    curves = [table["propensity"].to_numpy() for _, table in found.values()]
    np.testing.assert_allclose(*curves, atol=0.03)


class TestErrors:
    def test_a_bucket_above_the_limit(self, lake):
        with pytest.raises(DataError, match="--buckets"):
            split_lists(LakeLists(open_lake(lake), limit=1000), TrainConfig().ranker_spec())

    def test_no_features(self, lake):
        data = LakeLists(open_lake(lake), limit=1 << 30)
        data = data.read_as(replace(data.reading, transform=None))
        with pytest.raises(DataError, match="--ranker table"):
            split_lists(data, TrainConfig().ranker_spec())

    def test_split_queries_whose_features_depend_on_all_candidates(self, lake):
        source = open_lake(lake)
        tables = source.manifest.tables
        repeated = [replace(f, keys=f.keys | {"repeats": 1}) for f in tables["candidates"]]
        manifest = replace(source.manifest, tables=tables | {"candidates": repeated})
        data = LakeLists(replace(source, manifest=manifest), limit=1 << 30)
        transform = replace(data.transform, kinds=(PER_QUERY,) * 5)
        data = data.read_as(replace(data.reading, transform=transform))
        with pytest.raises(DataError, match="all of its candidates"):
            split_lists(data, TrainConfig().ranker_spec())


def test_what_is_done_before_the_first_evaluation_is_told(lake, tmp_path):
    largest = max(LakeLists(open_lake(lake), limit=1)._bytes((b,)) for b in range(BUCKETS))
    for limit, way in ((1 << 30, "into memory"), (2 * COPIES * largest, "bucket by bucket")):
        told, config = [], TrainConfig(evaluations=1, memory_limit=limit, **SETTINGS)
        train_lake(
            lake=lake, run=tmp_path / way, config=config,
            on_epoch=lambda _, told=told: told.append("epoch"), on_stage=told.append,
        )  # fmt: skip
        assert told[0] == f"reading lists {way}"
        assert told.index("looking for what identifies the propensities") < told.index("epoch")
        assert told[-1] == "epoch"
