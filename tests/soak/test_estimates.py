"""`make soak`: intervals of estimates without labels cover what they estimate."""

import numpy as np
import pytest

from tests.eval.offline_truth import logged_pairs
from tests.soak.test_soak import note
from ultr.eval.counterfactual import estimate

pytestmark = pytest.mark.soak

REPETITIONS = 100


def test_the_doubly_robust_interval_covers_the_true_value():
    """Of the population of queries; that of the very queries it covers more often still."""
    drawn = [
        logged_pairs(np.random.default_rng(r), queries=60, sessions=40) for r in range(REPETITIONS)
    ]
    # Documents are worth the same in every repetition's population, so their mean is its truth.
    population = float(np.mean([truth for _, truth, _ in drawn]))
    population_lift = float(np.mean([truth - logged for _, truth, logged in drawn]))
    found = [estimate(pairs) for pairs, _, _ in drawn]
    covered: dict[str, int] = {
        "dr": sum(e.dr.low <= population <= e.dr.high for e in found),
        "snips": sum(e.snips.low <= population <= e.snips.high for e in found),
        "lift": sum(e.lift.low <= population_lift <= e.lift.high for e in found),
        "dr, of the very queries": sum(
            e.dr.low <= truth <= e.dr.high for e, (_, truth, _) in zip(found, drawn, strict=True)
        ),
    }
    note(
        "coverage of 95% intervals",
        "counterfactual",
        {"repetitions": REPETITIONS, **{k: int(v) for k, v in covered.items()}},
    )
    assert min(covered.values()) >= 0.9 * REPETITIONS
