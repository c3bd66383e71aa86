"""The all-pairs likelihood, maximised for many replicates at once.

For the pair p = {k, k'} with weight H, clicks C_k and C_k':
ℓ = Σ_p Σ_side C·log(θ r_p) + (H − C)·log(1 − θ r_p), with a = log θ and b = log r. It is concave in
(a, b). A few steps of the fixed point of its Poisson form bring it near, Newton's method to the
end; b is eliminated, and what is left is the Laplacian of the position graph.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Index = NDArray[np.integer[Any]]

_FIXED_POINT, _NEWTON = 40, 40
_TOLERANCE = 1e-8
_RIDGE = 1e-9
_TRACE = 1e-7
_HIGHEST = np.log(1 - 1e-9)


def fit_pairs(clicks: Floats, weight: Floats, *, upper: Index, lower: Index, nodes: int) -> Floats:
    """Fit log θ, relative to node 0.

    Args:
        clicks: `[R, P, 2]` weighted clicks at the upper and the lower node of each pair.
        weight: `[R, P]` H, the sum of the harmonic weights.
        upper: `[P]` node of the upper side, from 0.
        lower: `[P]` node of the lower side.
        nodes: K.

    Returns:
        `[R, K]`, NaN for nodes that no pair with clicks connects with node 0.
    """
    used = clicks.sum(-1) > 0
    clicks, weight = clicks * used[..., None], np.where(used, weight, 0.0)
    a, b = _fixed_point(clicks, weight, upper=upper, lower=lower, nodes=nodes)
    for _ in range(_NEWTON):
        step_a, step_b = _newton(a, b, clicks, weight, upper=upper, lower=lower)
        a, b = a + step_a, b + step_b
        # θr is a probability; only rates of 1 come near.
        b = np.minimum(b, _HIGHEST - np.maximum(a[:, upper], a[:, lower]))
        if np.abs(step_a).max(initial=0) < _TOLERANCE:
            break
    joined = _connected(used, upper=upper, lower=lower, nodes=nodes)
    return np.asarray(np.where(joined, a - a[:, :1], np.nan))


def _fixed_point(
    clicks: Floats, weight: Floats, *, upper: Index, lower: Index, nodes: int
) -> tuple[Floats, Floats]:
    total = clicks.sum(-1)
    by_node = _scatter(clicks[..., 0], upper, nodes) + _scatter(clicks[..., 1], lower, nodes)
    theta = np.ones((len(clicks), nodes))
    rate = np.zeros_like(weight)
    for _ in range(_FIXED_POINT):
        rate = _divide(total, weight * (theta[:, upper] + theta[:, lower]))
        seen = weight * rate
        theta = _divide(by_node, _scatter(seen, upper, nodes) + _scatter(seen, lower, nodes))
        theta = np.where(theta > 0, np.maximum(theta, 1e-12), 1e-12)
        theta /= np.maximum(theta.max(1, keepdims=True), 1e-12)
    a = np.log(theta)
    b = np.log(np.maximum(rate, 1e-12))
    return a, np.minimum(b, _HIGHEST - np.maximum(a[:, upper], a[:, lower]))


def _newton(
    a: Floats, b: Floats, clicks: Floats, weight: Floats, *, upper: Index, lower: Index
) -> tuple[Floats, Floats]:
    nodes, r = a.shape[1], np.arange(len(a))[:, None]
    gradient, curvature = [], []
    for side, node in enumerate((upper, lower)):
        p = np.exp(np.minimum(a[:, node] + b, _HIGHEST))
        # Where every look is a click, the maximum is at the border: a trace of a miss keeps off it.
        misses = np.maximum(weight - clicks[..., side], _TRACE * weight)
        gradient.append(clicks[..., side] - misses * p / (1 - p))
        curvature.append(misses * p / (1 - p) ** 2)
    (g1, g2), (d1, d2) = gradient, curvature
    edge = _divide(d1 * d2, d1 + d2)
    pull = _divide(g1 + g2, d1 + d2)
    rhs = _scatter(g1 - d1 * pull, upper, nodes) + _scatter(g2 - d2 * pull, lower, nodes)
    laplacian = np.zeros((len(a), nodes, nodes))
    laplacian[r, upper, lower] = -edge
    laplacian[r, lower, upper] = -edge
    diagonal = _scatter(edge, upper, nodes) + _scatter(edge, lower, nodes)
    at = np.arange(nodes)
    laplacian[:, at, at] = diagonal + _RIDGE * np.maximum(diagonal.max(1, keepdims=True), 1.0)
    step_a = np.zeros_like(a)
    step_a[:, 1:] = np.linalg.solve(laplacian[:, 1:, 1:], rhs[:, 1:, None])[..., 0]
    step_a = np.clip(step_a, -1, 1)
    step_b = pull - _divide(d1 * step_a[:, upper] + d2 * step_a[:, lower], d1 + d2)
    return step_a, np.clip(step_b, -1, 1)


def _connected(
    used: NDArray[np.bool_], *, upper: Index, lower: Index, nodes: int
) -> NDArray[np.bool_]:
    """`[R, K]` whether pairs in use lead from node 0 to a node."""
    reached = np.zeros((len(used), nodes), bool)
    reached[:, 0] = True
    for _ in range(nodes):
        step = (used & (reached[:, upper] | reached[:, lower])).astype(np.float64)
        before = reached.sum()
        reached |= (_scatter(step, upper, nodes) + _scatter(step, lower, nodes)) > 0
        if reached.sum() == before:
            break
    return reached


def _scatter(values: Floats, node: Index, nodes: int) -> Floats:
    """`[R, P]` summed into `[R, K]`."""
    return np.asarray(values @ (node[:, None] == np.arange(nodes)).astype(np.float64))


def _divide(a: Floats, b: Floats) -> Floats:
    return np.divide(a, b, out=np.zeros_like(a), where=b > 0)
