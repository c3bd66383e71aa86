"""Rankers: `(features [D, F], query [D], where [D]) -> scores [D]`.

A ranker is chosen by a small frozen description and built when the number of features is known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from flax import nnx

from ultr.model.layers import Feedforward

Reads = Literal["features", "row"]


@runtime_checkable
class RankerSpec(Protocol):
    """Describes a ranker.

    `reads` says what stands in for the features: the transformed feature matrix `[D, F]`, or the
    document's row `[D]` for a ranker with one parameter per (query, document). The module that
    `build` makes holds parameters only. Where it has an attribute `context` that is "list", it is
    called once for each displayed list, else once for all documents of a batch.
    """

    @property
    def reads(self) -> Reads:
        """What the ranker is given."""
        ...

    @property
    def compares(self) -> bool:
        """Whether a document's score depends on the others of its query."""
        ...

    def build(self, *, n_features: int, n_documents: int, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module.

        Args:
            n_features: F, columns of the transformed features.
            n_documents: N, for rankers with a parameter per document.
            rngs: for the initial weights.
        """
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
    reads: ClassVar[Literal["features"]] = "features"
    compares: ClassVar[bool] = False

    def build(self, *, n_features: int, n_documents: int, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module; `n_documents` does not matter to it."""
        del n_documents
        return Pointwise(n_features, self.hidden, rngs=rngs)


@dataclass(frozen=True)
class Linear:
    """A weighted sum of the features."""

    reads: ClassVar[Literal["features"]] = "features"
    compares: ClassVar[bool] = False

    def build(self, *, n_features: int, n_documents: int, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module; `n_documents` does not matter to it."""
        del n_documents
        return Pointwise(n_features, (), rngs=rngs)


@dataclass(frozen=True)
class TableRanker:
    """One free score per (query, document), for logs without features."""

    reads: ClassVar[Literal["row"]] = "row"
    compares: ClassVar[bool] = False

    def build(self, *, n_features: int, n_documents: int, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module; neither features nor random numbers matter to it."""
        del n_features, rngs
        return Scores(n_documents)


class Pointwise(Feedforward):
    """Scores each document by itself, with fully connected layers.

    Args:
        n_features: F.
        hidden: width of each hidden layer; none makes a weighted sum.
        rngs: for the initial weights.
    """

    def __init__(self, n_features: int, hidden: tuple[int, ...], *, rngs: nnx.Rngs) -> None:
        super().__init__((n_features, *hidden, 1), rngs=rngs)

    def __call__(  # type: ignore[override]
        self, features: jax.Array, query: jax.Array, where: jax.Array
    ) -> jax.Array:
        """`[D, F] -> [D]`; neither `query` nor `where` matters to it."""
        del query, where
        return jnp.squeeze(super().__call__(features), axis=-1)


class Scores(nnx.Module):
    """A parameter per document.

    Args:
        n_documents: how many.
    """

    def __init__(self, n_documents: int) -> None:
        self.scores = nnx.Param(jnp.zeros(n_documents))

    def __call__(self, features: jax.Array, query: jax.Array, where: jax.Array) -> jax.Array:
        """Rows `[D]` (int32) -> `[D]`."""
        del query, where
        return self.scores[...].at[features].get(mode="clip")
