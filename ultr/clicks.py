"""Simulated clicks: how a user with known biases clicks on graded result pages.

All click models share one signature, `sample(rng, grades, *, user, where) -> clicks`, and stand in
`CLICK_MODELS`. Positions are the columns, from 1; pages are independent given their grades.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ultr.errors import DataError, UsageError

EXAMINATION = (0.68, 0.61, 0.48, 0.34, 0.28, 0.20, 0.11, 0.10, 0.08, 0.06)
"""ρ, the probability that position 1..10 is examined (Joachims et al. 2005; Ai et al. 2018)."""

MAX_ETA = 100.0
"""ρ^η has to stay a positive number: propensities are relative to that of position 1."""

Grades = npt.NDArray[np.integer[Any]]
Clicks = npt.NDArray[np.int8]
Where = npt.NDArray[np.bool_]
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True)
class User:
    """What drives a simulated user.

    Args:
        eta: severity of position bias, the exponent of the examination; 0 is none.
        epsilon: probability of clicking on an examined document of grade 0.
        y_max: the grade at which an examined document is surely clicked.
    """

    eta: float = 1.0
    epsilon: float = 0.1
    y_max: int = 4

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UsageError: an η that is not in [0, 100], or an ε that is not in [0, 1).
            DataError: no grade above 0.
        """
        if not 0 <= self.eta <= MAX_ETA:
            raise UsageError(
                f"the bias severity η is a number from 0 to {MAX_ETA:.0f}",
                got=str(self.eta),
                hint="for example --eta 1",
            )
        if not 0 <= self.epsilon < 1:
            raise UsageError(
                "the click noise ε is in [0, 1)",
                got=str(self.epsilon),
                hint="for example --epsilon 0.1",
            )
        if self.y_max < 1:
            raise DataError(
                "clicks follow relevance, so some document must have a grade above 0",
                got=f"highest grade {self.y_max}",
                hint="check the grades of the judged set",
            )


Sampler = Callable[..., Clicks]
"""`(rng, grades [S, K], *, user, where [S, K] or None) -> clicks [S, K]`."""


def attractiveness(user: User) -> Probabilities:
    """[y_max + 1] P(click | examined, grade) = ε + (1 − ε)(2^y − 1)/(2^y_max − 1).

    Example:
        >>> [f"{p:.2f}" for p in attractiveness(User())]
        ['0.10', '0.16', '0.28', '0.52', '1.00']
    """
    gain = 2.0 ** np.arange(user.y_max + 1) - 1
    return np.asarray(user.epsilon + (1 - user.epsilon) * gain / gain[-1], np.float32)


def examination(user: User, *, positions: int) -> npt.NDArray[np.float64]:
    """[positions] ρ_k^η of the position-based model.

    Raises:
        UsageError: more positions than ρ is known for.
    """
    if not 1 <= positions <= len(EXAMINATION):
        raise UsageError(
            f"simulated pages have 1 to {len(EXAMINATION)} positions, for which examination was "
            "measured",
            got=str(positions),
            hint=f"--positions {len(EXAMINATION)}",
        )
    return np.asarray(EXAMINATION[:positions]) ** user.eta


def pbm(
    rng: np.random.Generator, grades: Grades, *, user: User, where: Where | None = None
) -> Clicks:
    """Position-based model: a click is examination, by position only, and attractiveness.

    Args:
        rng: source of randomness.
        grades: [S, K] of the documents at positions 1..K, 0..y_max.
        user: biases.
        where: [S, K] false where a page has no document; default: full pages.

    Returns:
        [S, K] 1 where clicked.

    Raises:
        UsageError: more positions than ρ is known for.

    Example:
        >>> grades = np.full((20_000, 2), 4)
        >>> rate = pbm(np.random.default_rng(0), grades, user=User()).mean(0)
        >>> bool(np.all(np.abs(rate - EXAMINATION[:2]) < 0.02))
        True
    """
    theta = examination(user, positions=grades.shape[1]).astype(np.float32)
    # One uniform number decides both: examined and attracted are independent.
    clicked = rng.random(grades.shape, np.float32) < theta * attractiveness(user)[grades]
    return (clicked if where is None else clicked & where).astype(np.int8)


CLICK_MODELS: dict[str, Sampler] = {"pbm": pbm}
"""Name -> sampler."""
