"""Out of core: every setting that a training in memory takes, with the same result."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pyarrow.parquet as pq
import pytest

import ultr
from tests.train.outcome import outcome
from tests.train.test_stream import BUCKETS, EXAMINATION, content, write_lake
from ultr.data import load_lists
from ultr.errors import DataError, StoppedError
from ultr.lake import open_lake
from ultr.train import TrainConfig, identification, train_lake, upe, with_preset
from ultr.train.identification import identify
from ultr.train.lake_lists import COPIES, LakeLists
from ultr.train.splits import split_lists
from ultr.train.step import gather
from ultr.train.stream import open_source
from ultr.train.stream_drawn import draw_source

TABLE_BYTES = 1 << 16
"""More than the scores of the table ranker take."""


@pytest.fixture(scope="module")
def lake(planted, tmp_path_factory):
    data = planted(EXAMINATION, queries=90, documents=6, orders=3)[0]
    return write_lake(tmp_path_factory.mktemp("settings") / "lake", data)


def limit_of(lake, *, groups=2):
    """So many bytes that a few buckets are read together."""
    one = LakeLists(open_lake(lake), limit=1)
    return COPIES * groups * max(one._bytes((bucket,)) for bucket in range(BUCKETS))


def in_memory(lake, config):
    """Training and held-out lists as `ultr.fit` makes them."""
    data = load_lists(lake)
    data = data.one_row_per_pair() if config.ranker_spec().reads == "row" else data
    data = data if config.list_size is None else data.top(config.list_size)
    return split_lists(data, config.ranker_spec(), merge=config.sessions_per_batch is None)


def streamed(lake, config, *, limit=None):
    data = LakeLists(open_lake(lake), limit=limit or limit_of(lake)).trained_by(config)
    return split_lists(data, config.ranker_spec())


@pytest.mark.parametrize(
    "settings", [{"list_size": 2}, {"ranker": "table"}, {"ranker": "table", "list_size": 3}]
)
def test_the_lists_are_those_of_lists_in_memory(lake, settings):
    config = TrainConfig(documents_per_batch=64, **settings)
    limit = limit_of(lake) + TABLE_BYTES
    for one, other in zip(
        in_memory(lake, config)[:2], streamed(lake, config, limit=limit)[:2], strict=True
    ):
        assert one.max_position == other.max_position
        sources = [
            open_source(part, spec=config.ranker_spec(), config=config) for part in (one, other)
        ]
        np.testing.assert_allclose(*(content(s, 1) for s in sources), rtol=1e-5)


def test_the_scores_of_a_table_ranker_are_part_of_the_limit(lake):
    with pytest.raises(DataError, match="scores of a table ranker"):
        streamed(lake, TrainConfig(ranker="table"), limit=20_000)


class TestDrawn:
    """Sessions drawn at random, in proportion to their number."""

    SETTINGS = {"sessions_per_batch": 16, "evaluation_steps": 11, "ranker": "linear"}  # noqa: RUF012

    def sources(self, lake, **settings):
        config = TrainConfig(**self.SETTINGS | settings)
        limit = limit_of(lake) + TABLE_BYTES
        parts = in_memory(lake, config)[0], streamed(lake, config, limit=limit)[0]
        return [draw_source(part, spec=config.ranker_spec(), config=config) for part in parts]

    @pytest.mark.parametrize(
        "settings", [{}, {"weighting": "query"}, {"ranker": "table"}, {"list_size": 3}]
    )
    def test_the_batches_are_those_of_lists_in_memory(self, lake, settings):
        one, other = self.sources(lake, **settings)
        assert (one.batches, one.n_queries, one.clicks) == (
            other.batches, other.n_queries, pytest.approx(other.clicks),
        )  # fmt: skip
        for epoch in (1, 2):
            (whole,) = one.segments(epoch=epoch)
            parts = list(other.segments(epoch=epoch))
            if settings.get("ranker") != "table":  # without features all fit
                assert len(parts) > 1
            expected = [b for b in batches(whole) if b.position.any()]
            found = [b for part in parts for b in batches(part) if b.position.any()]
            assert len(expected) == len(found) == 11
            for a, b in zip(expected, found, strict=True):
                for name in ("inputs", "position", "clicks", "context", "where_document"):
                    np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-6)
                shown = np.asarray(a.where)
                np.testing.assert_array_equal(
                    np.asarray(a.document)[shown], np.asarray(b.document)[shown]
                )
            numbers = np.concatenate([p.query[p.query[:, 0] >= 0] for p in parts])
            np.testing.assert_array_equal(numbers, whole.query)

    def test_an_epoch_is_taken_up_again_at_a_segment(self, lake):
        source = self.sources(lake)[1]
        whole = list(source.segments(epoch=2))
        rest = list(source.segments(epoch=2, first=1))
        assert len(rest) == len(whole) - 1
        for one, other in zip(whole[1:], rest, strict=True):
            assert jax.tree.all(jax.tree.map(np.array_equal, one, other))

    @pytest.mark.parametrize("bias", [None, ()])
    @pytest.mark.parametrize("is_streamed", [False, True])
    def test_a_session_has_the_clicks_of_one(self, lake, bias, is_streamed, tmp_path,
                                             monkeypatch):  # fmt: skip
        """Not a share of the clicks of all sessions that saw the same page."""
        clicks, plain = [], ultr.train.loop.run_epoch

        def run_epoch(model, state, arrays, plan):
            plans = [jax.tree.map(lambda a, i=i: a[i], plan) for i in range(len(plan.list))]
            clicks.extend(np.unique(gather(arrays, one).clicks) for one in plans)
            return plain(model, state, arrays, plan)

        monkeypatch.setattr("ultr.train.loop.run_epoch", run_epoch)
        settings = self.SETTINGS | {"bias": bias, "evaluations": 1}
        limit = limit_of(lake) + TABLE_BYTES if is_streamed else 1 << 30
        config = TrainConfig(memory_limit=limit, **settings)
        train_lake(lake=lake, run=tmp_path / "run", config=config)
        assert set(np.unique(np.concatenate(clicks))) == {0.0, 1.0}


class TestUpe:
    SETTINGS = {  # noqa: RUF012
        "method": "upe", "hidden": (8,), "documents_per_batch": 64, "weight_decay": 1.0,
    }  # fmt: skip

    def test_what_the_encoder_learns_is_that_of_lists_in_memory(self, lake):
        config = TrainConfig(**self.SETTINGS)
        both = [upe.logged(parts[0]) for parts in (in_memory(lake, config), streamed(lake, config))]
        one, other = (open_source(p, spec=config.ranker_spec(), config=config) for p in both)
        np.testing.assert_allclose(content(one, 1), content(other, 1), rtol=1e-5)
        assert one.clicks == pytest.approx(other.clicks)
        np.testing.assert_allclose(both[0].position_clicks, both[1].position_clicks, rtol=1e-5)

    def test_levels_are_those_of_lists_in_memory(self, lake, monkeypatch):
        config = TrainConfig(**self.SETTINGS)
        monkeypatch.setattr(upe, "scorer", lambda _: lambda some: some.inputs()[:, 0])
        (one, _, share), (other, held_out, found) = (
            upe.scored(None, *parts[:2])
            for parts in (in_memory(lake, config), streamed(lake, config))
        )
        np.testing.assert_allclose(share, found)
        assert one.bias == other.bias == held_out.bias
        np.testing.assert_array_equal(one.cells, other.cells)
        np.testing.assert_allclose(one.position_clicks, other.position_clicks)
        whole, some = other.whole(), other.read([4, 1])
        np.testing.assert_array_equal(
            np.unique(whole.context[whole.where], return_counts=True),
            np.unique(one.context[one.where], return_counts=True),
        )
        # A document has its level, whatever is read together.
        level = dict(zip(whole.doc_id[whole.document[whole.where]].tolist(),
                         whole.context[whole.where][:, -1].tolist(), strict=True))  # fmt: skip
        shown = some.doc_id[some.document[some.where]].tolist()
        assert [level[d] for d in shown] == some.context[some.where][:, -1].tolist()


def batches(segment):
    plans = [jax.tree.map(lambda a, i=i: a[i], segment.plan) for i in range(len(segment.query))]
    return [gather(segment.arrays, plan) for plan in plans]


class TestIdentification:
    def test_swaps_of_all_buckets_count(self, lake):
        found = [
            identify(data, by="query", by_features=True)
            for data in (load_lists(lake), LakeLists(open_lake(lake), limit=limit_of(lake)))
        ]
        assert found[0] == found[1]
        assert found[0].state == "swaps"

    @pytest.mark.parametrize("most", [None, 30])
    def test_features_of_all_buckets_tell_positions_apart(self, lake, monkeypatch, most):
        """With a sample too: the same documents are drawn."""
        monkeypatch.setattr(identification, "MIN_IMPRESSIONS", 1e9)
        if most is not None:
            monkeypatch.setattr(identification, "MOST_DOCUMENTS", most)
        limit = limit_of(lake, groups=4)
        found = [
            identify(data, by="query", by_features=True)
            for data in (load_lists(lake), LakeLists(open_lake(lake), limit=limit))
        ]
        assert found[0].state == "features only"
        if most is None:  # from disk a sample is taken, within the limit
            assert found[0].separation == pytest.approx(found[1].separation, abs=0.1)
        else:
            assert found[0] == found[1]


CASES = {
    "dla": {"hidden": (4,), "weight_decay": 1.0},
    "table": {"ranker": "table", "list_size": 3},
    "drawn": {
        "preset": "sigir2018", "hidden": (8,), "evaluation_steps": 20, "sessions_per_batch": 16,
    },
    "upe": {"method": "upe", "ranker": "linear", "ranker_rate": 0.05},
}  # fmt: skip


class Streamed(NamedTuple):
    """A run on the lake, bucket by bucket, and the segments that it passed over."""

    name: str
    config: TrainConfig
    root: Path
    segments: int


@pytest.fixture(scope="module", params=CASES)
def case(request, lake, tmp_path_factory):
    settings = with_preset(CASES[request.param]) | {"documents_per_batch": 64, "evaluations": 3}
    limit = limit_of(lake) + TABLE_BYTES * (request.param == "table")
    config = TrainConfig(memory_limit=limit, checkpoint_seconds=1e9, **settings)
    root = tmp_path_factory.mktemp(request.param) / "run"
    with pytest.MonkeyPatch.context() as patch:
        passed = counted(patch)
        train_lake(lake=lake, run=root, config=config)
    return Streamed(request.param, config, root, len(passed))


def counted(patch, stops=()):
    """Segments that are passed over from now on; at some of them, someone asks to stop."""
    passed, plain = [], ultr.train.loop.run_epoch

    def run_epoch(*arguments):
        passed.append(1)
        if len(passed) in stops:
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(*arguments)

    patch.setattr("ultr.train.loop.run_epoch", run_epoch)
    return passed


def test_stopped_within_an_epoch_it_ends_as_if_it_was_not(case, lake, tmp_path, monkeypatch):
    stops = {case.segments // 3, case.segments - 1}
    passed = counted(monkeypatch, stops)
    for _ in stops:
        with pytest.raises(StoppedError):
            train_lake(lake=lake, run=tmp_path / "run", config=case.config, resume=True)
    train_lake(lake=lake, run=tmp_path / "run", config=case.config, resume=True)
    assert len(passed) == case.segments  # none was passed over twice
    assert outcome(tmp_path / "run") == outcome(case.root)


def test_the_run_is_that_of_lists_in_memory(case, lake, tmp_path):
    """To the last digits where sessions are drawn; else up to the order of the queries."""
    train_lake(lake=lake, run=tmp_path / "run", config=replace(case.config, memory_limit=1 << 30))
    both = [ultr.open_run(root) for root in (tmp_path / "run", case.root)]
    is_drawn = case.name == "drawn"
    assert both[0].summary["sessions"] == both[1].summary["sessions"]
    curves = [run.propensities["propensity"].to_numpy() for run in both]
    np.testing.assert_allclose(*curves, atol=1e-5 if is_drawn else 0.05)
    nll = [run.summary["click_nll_listwise"] for run in both]
    assert nll[0] == pytest.approx(nll[1], abs=1e-5 if is_drawn else 0.03)
    if case.name == "table":
        tables = [pq.read_table(run.root / "documents.parquet") for run in both]
        assert tables[0].equals(tables[1])
        query, document = (tables[0][name].to_numpy() for name in ("query_id", "doc_id"))
        scores = [run.score_candidates(query, document, None) for run in both]
    else:
        scores = [run.score(load_lists(lake).features) for run in both]
    assert np.corrcoef(scores)[0, 1] > 0.9


class TestAnotherMachine:
    """The limit is half of the memory by default: a training may be taken up again with another."""

    CONFIG = TrainConfig(
        ranker="linear", documents_per_batch=64, evaluations=2, checkpoint_seconds=1e9
    )

    def begun(self, lake, root, monkeypatch):
        self.memory(monkeypatch, limit_of(lake, groups=2))
        with monkeypatch.context() as patch:
            counted(patch, stops={4})
            with pytest.raises(StoppedError):
                train_lake(lake=lake, run=root, config=self.CONFIG)

    def memory(self, monkeypatch, limit):
        monkeypatch.setattr("ultr.train.lake_lists.memory_bytes", lambda: 2 * limit)

    def test_with_more_memory_it_ends_the_same(self, lake, tmp_path, monkeypatch):
        self.begun(lake, tmp_path / "run", monkeypatch)
        train_lake(lake=lake, run=tmp_path / "plain", config=self.CONFIG)
        self.memory(monkeypatch, 1 << 30)  # enough for all lists
        train_lake(lake=lake, run=tmp_path / "run", config=self.CONFIG, resume=True)
        assert outcome(tmp_path / "run") == outcome(tmp_path / "plain")

    def test_with_less_memory_it_is_refused(self, lake, tmp_path, monkeypatch):
        self.begun(lake, tmp_path / "run", monkeypatch)
        self.memory(monkeypatch, limit_of(lake, groups=1))
        with pytest.raises(DataError, match="2 together, as the run was begun"):
            train_lake(lake=lake, run=tmp_path / "run", config=self.CONFIG, resume=True)
