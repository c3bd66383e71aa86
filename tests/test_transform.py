"""The feature transform: the formula, chunks that do not matter, missing and wild values."""

import json

import numpy as np
import pytest

from ultr.errors import DataError
from ultr.transform import Transform, fit_transform

NAMES = ("a", "b", "c")


def matrix(n=200, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal([0, 5, -3], [1, 0.1, 20], (n, 3)).astype(np.float32)


def test_it_standardises():
    x = matrix()
    fitted = fit_transform([x], NAMES)
    np.testing.assert_allclose(fitted.mean, x.astype(float).mean(0), rtol=1e-12)
    np.testing.assert_allclose(fitted.scale, x.astype(float).std(0), rtol=1e-12)
    z = fitted.apply(x)
    assert z.dtype == np.float32
    np.testing.assert_allclose(z.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(z.std(0), 1, rtol=1e-4)


@pytest.mark.parametrize("cuts", [[1], [0, 50], [3, 3, 199], list(range(1, 200))])
def test_chunks_do_not_matter(cuts):
    x = matrix()
    x[::7, 1] = np.nan
    whole, parts = fit_transform([x], NAMES), fit_transform(np.split(x, cuts), NAMES)
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(parts.scale, whole.scale, rtol=1e-10)


def test_a_large_mean_does_not_cancel():
    x = np.array([[1e6 + i] for i in range(10)])
    fitted = fit_transform(np.split(x, 5), ("t",))
    np.testing.assert_allclose(fitted.scale[0], np.std(np.arange(10)), rtol=1e-9)


def test_a_constant_becomes_zero():
    x = np.full((50, 1), 0.1, np.float32)
    fitted = fit_transform(np.split(x, [9, 20]), ("c",))
    assert fitted.scale == (1.0,)
    np.testing.assert_allclose(fitted.apply(x), 0, atol=1e-6)


def test_missing_is_the_mean_and_wild_is_clipped():
    fitted = fit_transform([matrix()], NAMES)
    z = fitted.apply(np.array([[np.nan, 1e9, -1e9], [np.inf, -np.inf, np.nan]], np.float32))
    np.testing.assert_array_equal(z, [[0, fitted.clip, -fitted.clip], [10, -10, 0]])


def test_a_feature_that_is_always_missing_is_zero():
    fitted = fit_transform([np.full((3, 1), np.nan)], ("m",))
    assert (fitted.mean, fitted.scale) == ((0.0,), (1.0,))
    assert fit_transform([], ("m",)) == fitted


def test_any_leading_shape():
    fitted, x = fit_transform([matrix()], NAMES), matrix(24, seed=1)
    np.testing.assert_array_equal(
        fitted.apply(x.reshape(2, 3, 4, 3)).reshape(24, 3), fitted.apply(x)
    )


def test_json_keeps_every_bit():
    fitted = fit_transform([matrix()], NAMES)
    assert Transform.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted


def test_another_number_of_features_is_refused():
    with pytest.raises(DataError, match="fitted on 3 features"):
        fit_transform([matrix()], NAMES).apply(np.zeros((5, 2)))
