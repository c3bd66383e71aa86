"""Overlap of features, the logging policy, residuals, weights and drift."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ultr.diagnose.about_curves import about_drift
from ultr.diagnose.about_model import about_policy, about_residuals
from ultr.diagnose.bootstrap import Curve
from ultr.diagnose.drift import greatest_change
from ultr.diagnose.features import Sample
from ultr.diagnose.overlap import rank_auc
from ultr.diagnose.policy import strength
from ultr.diagnose.residuals import read_residuals
from ultr.diagnose.weights import effective_sample_size
from ultr.errors import DataError


def ranked(rng, *, queries=200, documents=5, noise=0.0):
    """Documents ranked by a linear function of their features, with noise."""
    n = queries * documents
    x = rng.normal(size=(n, 4))
    query = np.repeat(np.arange(queries), documents)
    scores = x @ [1.0, -1.0, 0.5, 0.0] + noise * rng.normal(size=n)
    order = np.lexsort((-scores, query))
    position = np.empty(n, int)
    position[order] = np.tile(np.arange(1, documents + 1), queries)
    return Sample(x, query, np.arange(n), position, np.ones(n, int))


def test_the_auc_is_high_where_features_rank_and_half_where_they_do_not():
    rng = np.random.default_rng(0)
    auc = rank_auc(ranked(rng))
    assert auc[1, 5] > 0.95
    assert auc[1, 2] < auc[1, 5]
    by_chance = rank_auc(ranked(rng, noise=1e6))
    assert max(abs(v - 0.5) for v in by_chance.values()) < 0.1


def test_the_auc_is_that_of_queries_the_discriminator_has_not_seen():
    rng = np.random.default_rng(1)
    sample = ranked(rng, queries=60, noise=1e6)
    # Enough of them to learn 60 queries by heart.
    noise = sample._replace(features=rng.normal(size=(300, 150)))
    assert max(rank_auc(noise).values()) < 0.75


def test_a_page_shown_often_does_not_make_its_documents_more():
    sample = ranked(np.random.default_rng(2))
    often = sample._replace(impressions=np.where(sample.query == 0, 10_000, 1))
    assert rank_auc(often)[1, 5] == pytest.approx(rank_auc(sample)[1, 5])


def test_strength_goes_from_none_to_perfect():
    rng = np.random.default_rng(3)
    full, some, none = (strength(ranked(rng, noise=n)) for n in (0.0, 2.0, 1e6))
    assert full.share > 0.9 > some.share > 0.2 > none.share
    assert none.ndcg == pytest.approx(none.random, abs=0.05)
    severities = [about_policy(s).severity for s in (full, some, none, None)]
    assert severities == ["warning", "note", "ok", "note"]


def test_effective_sample_size_by_hand():
    found = effective_sample_size(np.array([3.0, 1.0, 5.0]), np.array([1.0, 0.25, np.nan]))
    assert found.size == pytest.approx((3 + 4) ** 2 / (3 + 16))
    assert found.share == pytest.approx(found.size / 4)
    clipped = effective_sample_size(np.array([1.0, 1.0]), np.array([1.0, 0.001]))
    assert (clipped.greatest, clipped.clipped) == (100.0, 0.5)
    assert effective_sample_size(np.zeros(2), np.ones(2)) is None


def curve(values, sd=0.02):
    values = np.array([1.0, *values])
    return Curve(values, values, values, np.array([0.0] + [sd] * (len(values) - 1)))


def test_drift_needs_size_and_certainty():
    still = {str(i): curve([0.5, 0.3 * (1 + 0.02 * (i % 2))]) for i in range(6)}
    assert about_drift({"all_pairs": still}, 6).severity == "ok"
    moved = still | {"5": curve([0.5, 0.2])}
    found = about_drift({"all_pairs": moved}, 6)
    assert found.severity == "warning"
    assert found.meaning.startswith("In 5, examination of rank 3")
    uncertain = {k: curve(c.propensity[1:], sd=0.5) for k, c in moved.items()}
    assert about_drift({"all_pairs": uncertain}, 6).severity == "ok"
    assert greatest_change([curve([np.nan])] * 3) is None


def write_residuals(run, off):
    run.mkdir(exist_ok=True)
    rank, decile = (v.reshape(-1) for v in np.meshgrid(np.arange(1, 4), np.arange(1, 11)))
    table = {
        "rank": rank, "decile": decile, "impressions": np.full(30, 1000),
        "expected": np.full(30, 100.0), "clicks": np.round(100 * (1 + off * (decile - 5.5))),
    }  # fmt: skip
    pq.write_table(pa.table(table), run / "residuals.parquet")


def test_residuals_are_flat_or_not(tmp_path):
    write_residuals(tmp_path, 0.0)
    assert about_residuals(tmp_path, read_residuals(tmp_path)).severity == "ok"
    write_residuals(tmp_path, 0.05)
    found = about_residuals(tmp_path, read_residuals(tmp_path))
    assert found.severity == "warning"
    assert found.numbers["decile_slope"] == pytest.approx(0.45, abs=0.02)


def test_residuals_that_are_missing_or_damaged(tmp_path):
    found = about_residuals(tmp_path, read_residuals(tmp_path))
    assert "ultr evaluate" in found.advice
    pq.write_table(pa.table({"rank": [1]}), tmp_path / "residuals.parquet")
    with pytest.raises(DataError, match="residuals"):
        read_residuals(tmp_path)
