"""Where arrays lie: data and parameters on every local device, a batch shared out among them.

Each device gathers, scores and differentiates its part of a batch's documents and lists; the
compiler sums gradients over devices. A plan does not know the devices, and its sizes are multiples
of 8: any number of devices takes the same steps, up to the order of float sums.
"""

from __future__ import annotations

import functools
import math
from typing import TypeVar

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

T = TypeVar("T")

_PARTS = 8
"""What the sizes of a batch are a multiple of."""


@functools.cache
def _mesh() -> Mesh | None:
    """The local devices that share a batch: the most whose number divides 8; None for one."""
    devices = jax.local_devices()
    count = math.gcd(len(devices), _PARTS)
    return Mesh(np.array(devices[:count]), ("batch",)) if count > 1 else None


def n_devices() -> int:
    """How many devices share a batch."""
    mesh = _mesh()
    return 1 if mesh is None else mesh.size


def everywhere(tree: T) -> T:
    """Put arrays on every device as a whole."""
    mesh = _mesh()
    return jax.device_put(tree, None if mesh is None else _sharding(mesh))


def by_column(tree: T) -> T:
    """Put arrays `[B, D]` on the devices, each with its part of D."""
    mesh = _mesh()
    return jax.device_put(tree, None if mesh is None else _sharding(mesh, None, "batch"))


def shared(tree: T) -> T:
    """Inside a compiled program: every array is shared out by its first axis."""
    mesh = _mesh()
    if mesh is None:
        return tree
    together: T = jax.lax.with_sharding_constraint(  # type: ignore[no-untyped-call]
        tree, jax.tree.map(lambda _: _sharding(mesh, "batch"), tree)
    )
    return together


def _sharding(mesh: Mesh, *axes: str | None) -> NamedSharding:
    return NamedSharding(mesh, PartitionSpec(*axes))  # type: ignore[no-untyped-call]
