"""Propensities by bias context: a planted one is found, written, read again and told apart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ultr
from ultr.data.context import BiasColumn
from ultr.errors import DataError
from ultr.eval.held_out import click_metrics
from ultr.train.phases import effective_clicks
from ultr.train.propensities import read_propensities, relative_logits, shown_cells

BIAS = (
    BiasColumn("device", ("mobile", "desktop"), is_per_document=False),
    BiasColumn("media_type", ("text", "image", "video"), is_per_document=True),
)
MOBILE = np.array([1.0, 0.55, 0.3, 0.15])
DESKTOP = np.array([1.0, 0.8, 0.65, 0.5])
MEDIA = np.array([1.0, 1.3, 0.7])
TRUTH = np.stack([MOBILE, DESKTOP], axis=1)[:, :, None] * MEDIA
QUICK = {"ranker": "linear", "ranker_rate": 0.03, "documents_per_batch": 128}


@pytest.fixture(scope="module")
def log(planted):
    """Clicks of a product of relevance and examination by position, device and media type."""
    data, truth, relevance = planted(np.ones(4), queries=120, orders=10, sessions=4000)
    rng = np.random.default_rng(5)
    device = np.broadcast_to(rng.integers(0, 2, (data.n_lists, 1)), data.where.shape)
    media = rng.choice(3, data.where.shape, p=[0.6, 0.3, 0.1])
    examined = 0.7 * TRUTH[data.position - 1, device, media]
    clicks = rng.binomial(data.sessions[:, None], relevance[data.document] * examined)
    context = np.stack([device, media], axis=-1).astype(np.int32)
    planted_data = replace(data, clicks=clicks.astype(np.float32), context=context, bias=BIAS)
    return planted_data, truth


@pytest.fixture(scope="module")
def run(log, tmp_path_factory):
    return ultr.fit(log[0], run=tmp_path_factory.mktemp("context") / "run", **QUICK)


def truth_of(table):
    device = [BIAS[0].levels.index(d) for d in table["device"].to_pylist()]
    media = [BIAS[1].levels.index(m) for m in table["media_type"].to_pylist()]
    return TRUTH[table["position"].to_numpy() - 1, device, media]


def test_the_planted_propensities_are_found(run):
    found = run.propensities
    assert found.column_names == ["position", "propensity", "device", "media_type"]
    assert found.num_rows == TRUTH.size
    assert np.sqrt(np.mean((found["propensity"].to_numpy() - truth_of(found)) ** 2)) < 0.05
    is_reference = (found["position"].to_numpy() == 1) & (truth_of(found) == 1)
    np.testing.assert_allclose(found["propensity"].to_numpy()[is_reference], 1.0)
    assert is_reference.sum() == 2  # one for each device
    assert list(run.summary["propensities"]) == ["1", "2", "3", "4"]


def test_without_the_context_the_curve_is_of_neither_device(log, tmp_path):
    run = ultr.fit(log[0], run=tmp_path / "run", bias=(), **QUICK)
    assert run.propensities.column_names == ["position", "propensity"]
    curve = run.propensities["propensity"].to_numpy()
    assert (MOBILE[1:] + 0.04 < curve[1:]).all()
    assert (curve[1:] < DESKTOP[1:] - 0.04).all()
    with pytest.raises(DataError, match="browser; the lists have device, media_type"):
        ultr.fit(log[0], run=tmp_path / "other", bias=("browser",), **QUICK)


def test_by_default_it_is_refitted_with_weights_of_its_context(log, tmp_path):
    run = ultr.fit(log[0], run=tmp_path / "run", documents_per_batch=128, hidden=(8,))
    found = run.propensities
    assert np.sqrt(np.mean((found["propensity"].to_numpy() - truth_of(found)) ** 2)) < 0.05
    scores = run.score(log[0].features)
    assert np.corrcoef(scores, log[0].features @ log[1])[0, 1] > 0.97


def test_what_was_written_is_read_again_by_ipw(run, log, tmp_path):
    path = run.root / "propensities.parquet"
    ipw = ultr.fit(log[0], run=tmp_path / "run", method="ipw", propensities=path,
                   **QUICK | {"evaluations": 1})  # fmt: skip
    found, given = (r.propensities["propensity"].to_numpy() for r in (ipw, run))
    np.testing.assert_allclose(found, given, rtol=1e-5)


def test_a_run_knows_levels_by_name_and_leaves_unknown_ones_out(run, log):
    data = log[0]
    swapped = BiasColumn("device", ("desktop", "mobile"), is_per_document=False)
    context = data.context.copy()
    context[:, :, 0] = 1 - context[:, :, 0]
    same = replace(data, context=context, bias=(swapped, BIAS[1]))
    np.testing.assert_array_equal(run.list_logits(same)[1], run.list_logits(data)[1])
    other = BiasColumn("device", ("mobile", "watch"), is_per_document=False)
    got = click_metrics(run, replace(data, bias=(other, BIAS[1])), split="test")
    is_test = data.query_split[data.list_query] == 2
    assert got["n_sessions_of_unknown_positions"] == (
        data.sessions[is_test & (data.context[:, 0, 0] == 1)].sum()
    )
    with pytest.raises(DataError, match="the lists have none"):
        run.list_logits(replace(data, bias=()))


def test_effective_clicks_count_weights_of_the_context(log):
    data = log[0]
    spread = effective_clicks(data, np.log(TRUTH), max_weight=100.0)
    w = 1 / TRUTH[data.position - 1, data.context[..., 0], data.context[..., 1]]
    expected = (data.clicks * w).sum() ** 2 / (data.clicks * w**2).sum()
    np.testing.assert_allclose(spread, expected, rtol=1e-4)


def test_logits_are_relative_within_each_context_of_a_list():
    logits = np.log(TRUTH) + np.array([3.0, -2.0])[None, :, None]
    np.testing.assert_allclose(np.exp(relative_logits(logits, BIAS)), TRUTH)


class TestFiles:
    cells = np.array([[p, d, m] for p in (1, 2) for d in (0, 1) for m in (0, 1)])

    def read(self, path, **columns):
        pq.write_table(pa.table(columns), path)
        return read_propensities(path, cells=self.cells, bias=BIAS)

    def test_a_file_by_position_holds_in_every_context(self, tmp_path):
        found = self.read(tmp_path / "p.parquet", position=[1, 2], propensity=[0.5, 0.25])
        assert found.shape == (2, 2, 3)
        assert (found[1, :, :2] == 0.5).all()
        assert (found[0] == 1.0).all()

    def test_a_file_by_device_is_relative_to_position_1_of_each(self, tmp_path):
        found = self.read(
            tmp_path / "p.parquet", position=[1, 2, 1, 2], propensity=[0.5, 0.25, 0.8, 0.6],
            device=["mobile", "mobile", "desktop", "desktop"],
        )  # fmt: skip
        np.testing.assert_allclose(found[1, :, 0], [0.5, 0.75])

    def test_contexts_that_are_missing_are_named(self, tmp_path):
        with pytest.raises(DataError, match="1; desktop, 2; desktop"):
            self.read(tmp_path / "p.parquet", position=[1, 2], propensity=[1.0, 0.5],
                      device=["mobile"] * 2)  # fmt: skip

    def test_columns_that_the_lists_do_not_tell_apart(self, tmp_path):
        with pytest.raises(DataError, match="bias columns of the lists: device, media_type"):
            self.read(tmp_path / "p.parquet", position=[1, 1, 2], propensity=[1.0, 0.8, 0.5],
                      page=["a", "b", "a"])  # fmt: skip


def test_cells_are_those_that_occur(log):
    assert len(shown_cells(log[0])) == TRUTH.size
    assert shown_cells(log[0].with_bias(())).tolist() == [[1], [2], [3], [4]]
