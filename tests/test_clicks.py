"""Click models: rates against their formulas, masks, seeds."""

import doctest

import numpy as np
import pytest

from ultr import clicks
from ultr.clicks import CLICK_MODELS, EXAMINATION, MAX_ETA, User, attractiveness, examination, pbm
from ultr.errors import DataError, UsageError

Z = 5.0
"""Standard errors that a mean of the seeded draws may lie from its expectation."""


def rng(seed=0):
    return np.random.default_rng(seed)


def test_examples():
    assert doctest.testmod(clicks).failed == 0


def test_attractiveness_of_the_paper():
    np.testing.assert_allclose(
        attractiveness(User()), [0.1 + 0.9 * (2**y - 1) / 15 for y in range(5)], rtol=1e-6
    )
    np.testing.assert_allclose(attractiveness(User(epsilon=0, y_max=1)), [0, 1])


def test_examination_is_rho_to_the_eta():
    np.testing.assert_allclose(
        examination(User(eta=2), positions=3), [0.68**2, 0.61**2, 0.48**2], rtol=1e-12
    )
    assert (examination(User(eta=0), positions=10) == 1).all()


def test_the_severest_bias_still_examines_every_position():
    assert (examination(User(eta=MAX_ETA), positions=10) > 0).all()


@pytest.mark.parametrize("positions", [0, 11])
def test_positions_without_a_known_examination(positions):
    with pytest.raises(UsageError, match="1 to 10 positions"):
        examination(User(), positions=positions)


@pytest.mark.parametrize(
    "bad", [{"eta": -1}, {"eta": 101}, {"eta": np.nan}, {"epsilon": 1}, {"epsilon": -0.1}]
)
def test_bad_users(bad):
    with pytest.raises(UsageError):
        User(**bad)


def test_no_relevant_document():
    with pytest.raises(DataError, match="above 0"):
        User(y_max=0)


@pytest.mark.parametrize("eta", [0.0, 1.0, 2.0])
def test_pbm_rates(eta):
    n, user = 40_000, User(eta=eta)
    grades = np.tile(rng(1).permuted(np.tile(np.arange(5), 2)), (n, 1))
    rate = pbm(rng(), grades, user=user).mean(0)
    expected = examination(user, positions=10) * attractiveness(user)[grades[0]]
    error = np.sqrt(expected * (1 - expected) / n) + 1e-6
    assert (np.abs(rate - expected) <= Z * error).all()


def test_pbm_positions_are_independent():
    n = 40_000
    c = pbm(rng(), np.full((n, 3), 2), user=User()).astype(float)
    correlation = np.corrcoef(c.T)[np.triu_indices(3, 1)]
    assert (np.abs(correlation) < Z / np.sqrt(n)).all()


def test_randomised_pages_give_the_inverse_propensities():
    """Clicks on shuffled pages are proportional to examination: 1, 1.115, 1.417, 2, … 11.33."""
    n, user = 400_000, User()
    draw = rng(3)
    grades = draw.permuted(np.tile([0, 0, 0, 1, 1, 2, 2, 3, 4, 0], (n, 1)), axis=1)
    count = pbm(draw, grades, user=user).sum(0, dtype=np.int64)
    inverse = count[0] / count
    expected = EXAMINATION[0] / np.array(EXAMINATION)
    # Delta method: the relative variance of a ratio of (near) independent counts.
    error = expected * np.sqrt(1 / count + 1 / count[0])
    assert (np.abs(inverse - expected)[1:] <= Z * error[1:]).all()


@pytest.mark.parametrize("name", CLICK_MODELS)
class TestLaws:
    """What holds for every click model."""

    def grades(self, n=500):
        return rng(2).integers(0, 5, (n, 10))

    def test_clicks_are_zero_or_one(self, name):
        c = CLICK_MODELS[name](rng(), self.grades(), user=User())
        assert c.dtype == np.int8
        assert c.shape == (500, 10)
        assert set(np.unique(c)) == {0, 1}

    def test_seed_decides(self, name):
        first, same, other = (
            CLICK_MODELS[name](rng(s), self.grades(), user=User()) for s in (0, 0, 1)
        )
        assert (first == same).all()
        assert (first != other).any()

    def test_nothing_is_clicked_where_nothing_is(self, name):
        grades = self.grades()
        where = np.arange(10) < rng(4).integers(0, 11, (500, 1))
        full = CLICK_MODELS[name](rng(), grades, user=User())
        masked = CLICK_MODELS[name](rng(), grades, user=User(), where=where)
        np.testing.assert_array_equal(masked, full * where)

    def test_no_noise_no_click_on_grade_0(self, name):
        c = CLICK_MODELS[name](rng(), np.zeros((200, 10), int), user=User(epsilon=0))
        assert not c.any()
