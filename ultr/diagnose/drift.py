"""Drift: whether a curve changes over time by more than chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ultr.diagnose.bootstrap import Curve

Z = 4.0
"""With a dozen windows and ten ranks, chance alone goes beyond this once in some hundred logs."""

SIZE = 0.10
"""A relative change below this would not change a ranking."""


class Change(NamedTuple):
    """The most certain change of a rank's value between one window and the mean of all.

    Attributes:
        window: place of the window.
        position: the rank.
        change: value / mean − 1.
        z: its size in standard errors.
    """

    window: int
    position: int
    change: float
    z: float


def greatest_change(curves: Sequence[Curve]) -> Change | None:
    """Among changes that matter in size, the most certain; None if there is none to compare.

    Args:
        curves: one per window; ranks unknown in a window are left out.
    """
    value = np.stack([c.propensity for c in curves])
    spread = np.stack([c.sd_log for c in curves])
    usable = np.isfinite(spread) & (spread > 0) & (np.nan_to_num(value) > 1e-9)
    usable &= (usable.sum(0) > 1)[None]
    if not usable.any():
        return None
    logs = np.where(usable, np.log(np.where(usable, value, 1.0)), 0.0)
    precision = np.where(usable, 1 / np.where(usable, spread, 1.0) ** 2, 0.0)
    total = np.maximum(precision.sum(0), 1e-300)
    difference = logs - (logs * precision).sum(0) / total
    # The window is part of the mean that it is compared with.
    error = np.sqrt(np.maximum(spread**2 - 1 / total, 1e-12))
    z = np.where(usable, np.abs(difference) / error, 0.0)
    matters = np.where(np.abs(np.expm1(difference)) >= SIZE, z, 0.0)
    picked = matters if matters.any() else z
    w, k = np.unravel_index(int(np.argmax(picked)), z.shape)
    return Change(int(w), int(k) + 1, float(np.expm1(difference[w, k])), float(z[w, k]))
