"""DCN-v2: explicit feature crosses beside fully connected layers.

Wang, Shivanna, Cheng, Jain, Lin, Hong, Chi: DCN V2: Improved Deep & Cross Network and Practical
Lessons for Web-scale Learning to Rank Systems, WWW 2021 (arXiv 2008.13535), the parallel form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ultr.model.layers import Feedforward


@dataclass(frozen=True)
class DCN:
    """Cross layers and fully connected layers side by side, one weighted sum of both at the end.

    Args:
        crosses: number of cross layers: products of up to `crosses + 1` features.
        hidden: width of each fully connected layer.
        rank: of the cross layers' weights, at most F; None for full matrices.
    """

    crosses: int = 2
    hidden: tuple[int, ...] = (64, 32)
    rank: int | None = None
    reads: ClassVar[Literal["features"]] = "features"
    compares: ClassVar[bool] = False

    def build(self, *, n_features: int, n_documents: int, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module; `n_documents` does not matter to it."""
        del n_documents
        return DeepCross(
            n_features, crosses=self.crosses, hidden=self.hidden, rank=self.rank, rngs=rngs
        )


class Cross(nnx.Module):
    """`x_0 ⊙ (W x + b) + x`, equation 1 of the paper; `W = U Vᵀ` where a rank is given (eq. 2)."""

    def __init__(self, width: int, *, rank: int | None, rngs: nnx.Rngs) -> None:
        sizes = (width, width) if rank is None else (width, rank, width)
        self.weights = Feedforward(sizes, rngs=rngs, activation=_same)

    def __call__(self, first: jax.Array, x: jax.Array) -> jax.Array:
        """`x_0 [D, F]`, `x [D, F]` -> `[D, F]`."""
        return first * self.weights(x) + x


class DeepCross(nnx.Module):
    """The module that `DCN` describes."""

    def __init__(
        self,
        n_features: int,
        *,
        crosses: int,
        hidden: tuple[int, ...],
        rank: int | None,
        rngs: nnx.Rngs,
    ) -> None:
        self.crosses = nnx.List([Cross(n_features, rank=rank, rngs=rngs) for _ in range(crosses)])
        self.deep = Feedforward((n_features, *hidden), rngs=rngs) if hidden else None
        self.out = nnx.Linear(n_features + (hidden[-1] if hidden else 0), 1, rngs=rngs)

    def __call__(self, features: jax.Array, query: jax.Array, where: jax.Array) -> jax.Array:
        """`[D, F] -> [D]`; neither `query` nor `where` matters to it."""
        del query, where
        crossed = features
        for cross in self.crosses:
            crossed = cross(features, crossed)
        parts = [crossed]
        if self.deep is not None:
            parts.append(jax.nn.elu(self.deep(features)))
        return jnp.squeeze(self.out(jnp.concatenate(parts, axis=-1)), axis=-1)


def _same(x: jax.Array) -> jax.Array:
    return x
