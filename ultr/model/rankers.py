"""Rankers: `(features [D, F], query [D], where [D]) -> scores [D]`.

A ranker is chosen by a small frozen description and built when the number of features is known.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import jax
import jax.numpy as jnp
from flax import nnx


class RankerSpec(Protocol):
    """Describes a ranker.

    `reads` says what stands in for the features: the transformed feature matrix `[D, F]`, or the
    document's row `[D]` for a ranker with one parameter per (query, document).
    """

    @property
    def reads(self) -> Literal["features", "row"]:
        """What the ranker is given."""
        ...

    def build(self, *, n_features: int, n_documents: int, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module."""
        ...


@dataclass(frozen=True)
class MLP:
    """Fully connected layers with ELU, no normalisation of the input.

    Input LayerNorm is left out on purpose: it mixes a document's features and costs .03 nDCG@10
    on MQ2008.

    Args:
        hidden: width of each hidden layer.
    """

    hidden: tuple[int, ...] = (64, 32)
    reads: Literal["features"] = "features"

    def build(self, *, n_features: int, n_documents: int, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module; `n_documents` does not matter to it."""
        del n_documents
        return _Feedforward(n_features, self.hidden, jax.nn.elu, rngs)


@dataclass(frozen=True)
class Linear:
    """A weighted sum of the features."""

    reads: Literal["features"] = "features"

    def build(self, *, n_features: int, n_documents: int, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module; `n_documents` does not matter to it."""
        del n_documents
        return _Feedforward(n_features, (), jax.nn.elu, rngs)


@dataclass(frozen=True)
class TableRanker:
    """One free score per (query, document), for logs without features."""

    reads: Literal["row"] = "row"

    def build(self, *, n_features: int, n_documents: int, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module; neither features nor random numbers matter to it."""
        del n_features, rngs
        return _Scores(n_documents)


class _Feedforward(nnx.Module):
    def __init__(
        self,
        n_features: int,
        hidden: tuple[int, ...],
        activation: Callable[[jax.Array], jax.Array],
        rngs: nnx.Rngs,
    ) -> None:
        sizes = (n_features, *hidden, 1)
        layers = [nnx.Linear(a, b, rngs=rngs) for a, b in itertools.pairwise(sizes)]
        self.layers = nnx.List(layers)
        self.activation = activation

    def __call__(self, features: jax.Array, query: jax.Array, where: jax.Array) -> jax.Array:
        del query, where  # pointwise: a document's score does not depend on the others
        x = features
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return jnp.squeeze(self.layers[-1](x), axis=-1)


class _Scores(nnx.Module):
    def __init__(self, n_documents: int) -> None:
        self.scores = nnx.Param(jnp.zeros(n_documents))

    def __call__(self, features: jax.Array, query: jax.Array, where: jax.Array) -> jax.Array:
        del query, where
        return self.scores[...].at[features].get(mode="clip")
