"""Propensity models: `bias context -> logits`; examination is exp(logit) up to a constant.

Every model gives a table with a cell for each position and each combination of levels, made once a
step from its parameters; the impressions of a batch look their cells up.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from ultr.errors import DataError
from ultr.model.layers import Feedforward

MAX_CELLS = 2_000_000
"""Of the table; a context with more combinations would be slow, and no log fills it."""


class BiasModel(nnx.Module):
    """What all propensity models share.

    Args:
        shape: `(P, *levels)`: the lowest rank on any page, and the number of levels of each bias
            column.
        per_document: whether each bias column differs between documents of a list.

    Raises:
        DataError: more combinations than a table can hold.
    """

    def __init__(self, shape: tuple[int, ...], per_document: tuple[bool, ...]) -> None:
        self.shape, self.per_document = shape, per_document
        cells = 1
        for size in shape:
            cells *= max(size, 1)
        if cells > MAX_CELLS:
            raise DataError(
                f"position and bias context have at most {MAX_CELLS:,} combinations",
                got=f"{' × '.join(map(str, shape))} of position and levels",
                hint="choose columns with --set 'bias=[…]', or coarser bins with ultr lists",
            )

    @abstractmethod
    def table(self) -> jax.Array:
        """Logits of all combinations, `[P, *levels]`."""

    def __call__(self, position: jax.Array, context: jax.Array | None = None) -> jax.Array:
        """Logits `[...]`.

        Args:
            position: `[...]` counted from 1; 0 (masked) gives some finite value.
            context: `[..., C]` levels; None without bias columns.
        """
        levels = [] if context is None else [context[..., c] for c in range(context.shape[-1])]
        return self._at(jnp.maximum(position - 1, 0), levels)

    def reference(self, context: jax.Array | None = None) -> jax.Array:
        """What propensities are relative to: the logits at position 1, `[..., 1]`.

        In the list's own context, at the first level of the columns that its documents differ in.

        Args:
            context: `[..., K, C]` levels, 0 where masked.
        """
        if context is None or context.shape[-1] == 0:
            return self._at(jnp.zeros((), jnp.int32), [])
        own = jnp.max(context, axis=-2)  # of the whole list, or masked
        levels = [
            jnp.zeros_like(own[..., c]) if is_own else own[..., c]
            for c, is_own in enumerate(self.per_document)
        ]
        return self._at(jnp.zeros_like(levels[0]), levels)[..., None]

    def _at(self, row: jax.Array, levels: list[jax.Array]) -> jax.Array:
        return self.table().at[(row, *levels)].get(mode="clip")


class PositionBias(BiasModel):
    """A free logit per cell; starts at "everything is examined alike".

    Without bias columns a logit per position. Beside them it holds propensities that are known:
    what another model learned, or what the user gives.

    Args:
        shape: `(P, *levels)`, or P alone.
        per_document: whether each bias column differs between documents of a list.
    """

    def __init__(self, shape: tuple[int, ...] | int, per_document: tuple[bool, ...] = ()) -> None:
        whole = (shape,) if isinstance(shape, int) else shape
        super().__init__(whole, per_document)
        self.logits = nnx.Param(jnp.zeros(whole))

    def table(self) -> jax.Array:
        """Logits of all combinations, `[P, *levels]`."""
        return self.logits[...]


class ContextBias(BiasModel):
    """A free logit per position and per level, and a small network for what they do together.

    Embeddings of position and levels, one hidden layer, whose output starts at 0.

    Args:
        shape: `(P, *levels)`.
        per_document: whether each bias column differs between documents of a list.
        rngs: for the initial weights.
        width: of each embedding.
        hidden: width of the hidden layer.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        per_document: tuple[bool, ...],
        *,
        rngs: nnx.Rngs,
        width: int = 4,
        hidden: int = 16,
    ) -> None:
        super().__init__(shape, per_document)
        self.effects = nnx.List([nnx.Param(jnp.zeros(size)) for size in shape])
        self.embeddings = nnx.List([nnx.Embed(size, width, rngs=rngs) for size in shape])
        self.network = Feedforward((width * len(shape), hidden, 1), rngs=rngs)
        self.network.layers[-1].kernel[...] *= 0.0

    def table(self) -> jax.Array:
        """Logits of all combinations, `[P, *levels]`."""
        axes = range(len(self.shape))
        sums = sum(_along(self.effects[i][...], i, self.shape) for i in axes)
        cells = jnp.stack(jnp.meshgrid(*map(jnp.arange, self.shape), indexing="ij"), axis=-1)
        embedded = [self.embeddings[i](cells[..., i]) for i in axes]
        return sums + self.network(jnp.concatenate(embedded, axis=-1))[..., 0]


class DenseBias(BiasModel):
    """One-hot positions through fully connected layers with ELU, as in the code of Ai et al. 2018.

    Args:
        n_positions: P.
        hidden: width of each hidden layer.
        rngs: for the initial weights.
    """

    def __init__(self, n_positions: int, *, hidden: tuple[int, ...], rngs: nnx.Rngs) -> None:
        super().__init__((n_positions,), ())
        self.network = Feedforward((n_positions, *hidden, 1), rngs=rngs)

    def table(self) -> jax.Array:
        """Logits of all positions, `[P]`."""
        return self.network(jnp.eye(self.shape[0]))[:, 0]


class MonotoneBias(BiasModel):
    """Another model, made never to rise from one position to the next in any context.

    The other's logits from position 2 on are steps: `g_k = g_1 − Σ_{2 ≤ j ≤ k} softplus(step_j)`.
    A document that is read from the top down is examined ever less; a log that shows otherwise is
    told so by its fit, not by its curve.

    Args:
        steps: the model whose table is read as steps.
    """

    _START = -4.0
    """Added to steps, so that training starts at "every rank is examined almost alike"."""

    def __init__(self, steps: BiasModel) -> None:
        super().__init__(steps.shape, steps.per_document)
        self.steps = steps

    def table(self) -> jax.Array:
        """Logits of all combinations, `[P, *levels]`."""
        steps = self.steps.table()
        falls = jax.nn.softplus(self._START + steps[1:])
        return jnp.concatenate([steps[:1], steps[:1] - jnp.cumsum(falls, axis=0)])


def _along(values: jax.Array, axis: int, shape: tuple[int, ...]) -> Any:
    return values.reshape([-1 if i == axis else 1 for i in range(len(shape))])
