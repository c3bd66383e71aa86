"""Propensity error, and the files it reads."""

import json

import numpy as np
import pytest

from ultr.errors import DataError
from ultr.eval.propensity import propensity_rmse, read_truth


def test_rmse_is_over_the_positions_that_both_have():
    got = propensity_rmse([1, 0.7, 0.5, 9], [1, 0.5, 0.4], position=np.array([1, 2, 3, 4]))
    assert got == pytest.approx(np.sqrt((0.2**2 + 0.1**2) / 3))


def test_positions_decide_not_row_order():
    assert propensity_rmse([0.2, 1], [1, 0.5, 0.2], position=np.array([3, 1])) == 0


def test_nothing_in_common():
    with pytest.raises(DataError, match="share positions"):
        propensity_rmse([1.0], [1.0], position=np.array([2]))


def test_truth_is_relative_to_position_1(tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(json.dumps({"relative_propensity": [0.5, 0.25]}))
    assert read_truth(path).tolist() == [1, 0.5]


@pytest.mark.parametrize(
    "text",
    [
        "no json",
        "{}",
        "[1]",
        '{"relative_propensity": "x"}',
        '{"relative_propensity": []}',
        '{"relative_propensity": [0, 1]}',
        '{"relative_propensity": [1, NaN]}',
        '{"relative_propensity": 1}',
    ],
)
def test_a_broken_truth_is_told(tmp_path, text):
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(DataError, match=r"truth\.json"):
        read_truth(path)


def test_a_missing_truth_is_told(tmp_path):
    with pytest.raises(DataError, match="ultr simulate"):
        read_truth(tmp_path / "none.json")
