"""SetRank: a document is scored beside the others, by self-attention without positions.

Pang, Xu, Ai, Lan, Cheng, Wen: SetRank: Learning a Permutation-Invariant Ranking Model for
Information Retrieval, SIGIR 2020 (arXiv 1912.05891). The blocks normalise before attention and not
after it, so that a way from the features to the score is left on which nothing is normalised.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ultr.errors import UsageError
from ultr.model.layers import Feedforward


@dataclass(frozen=True)
class SetRank:
    """Self-attention over the documents of a query, or over a displayed list.

    Scores do not depend on the order of the documents. A batch costs D² times width, so this is
    slower than an MLP by about D / 100.

    Args:
        width: of the documents' vectors.
        heads: of the attention; a divisor of the width.
        blocks: layers of attention.
        context: `query` attends over all documents of the query in the batch, each scored once;
            `list` over each displayed list, each document scored in every list that shows it.
    """

    width: int = 32
    heads: int = 2
    blocks: int = 1
    context: Literal["query", "list"] = "query"
    reads: ClassVar[Literal["features"]] = "features"
    compares: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Check the widths.

        Raises:
            UsageError: heads that do not divide the width, or none.
        """
        if min(self.width, self.heads, self.blocks) < 1 or self.width % self.heads:
            raise UsageError(
                "setrank takes at least one head and block, and heads that divide the width",
                got=f"width={self.width}, heads={self.heads}, blocks={self.blocks}",
                hint="for example width=32, heads=2, blocks=1",
            )

    def build(self, *, n_features: int, n_documents: int, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module; `n_documents` does not matter to it."""
        del n_documents
        return SetAttention(
            n_features,
            width=self.width,
            heads=self.heads,
            blocks=self.blocks,
            context=self.context,
            rngs=rngs,
        )


class Block(nnx.Module):
    """`x + attention(norm(x))`, then `x + feedforward(norm(x))`."""

    def __init__(self, width: int, *, heads: int, rngs: nnx.Rngs) -> None:
        self.heads = heads
        self.before = nnx.LayerNorm(width, rngs=rngs)
        self.to_heads = nnx.Linear(width, 3 * width, rngs=rngs)
        self.from_heads = nnx.Linear(width, width, rngs=rngs)
        self.between = nnx.LayerNorm(width, rngs=rngs)
        self.forward = Feedforward((width, 2 * width, width), rngs=rngs)

    def __call__(self, x: jax.Array, may_see: jax.Array) -> jax.Array:
        """`x [D, width]`, `may_see [D, D]` (which document looks at which) -> `[D, width]`."""
        x = x + self.from_heads(self._attend(self.before(x), may_see))
        return x + self.forward(self.between(x))

    def _attend(self, x: jax.Array, may_see: jax.Array) -> jax.Array:
        n, width = x.shape
        query, key, value = jnp.split(self.to_heads(x).reshape(n, self.heads, -1), 3, axis=-1)
        logits = jnp.einsum("dhw,ehw->hde", query, key) / jnp.sqrt(width / self.heads)
        attention = jax.nn.softmax(logits, axis=-1, where=may_see)
        return jnp.einsum("hde,ehw->dhw", attention, value).reshape(n, width)


class SetAttention(nnx.Module):
    """The module that `SetRank` describes."""

    def __init__(
        self,
        n_features: int,
        *,
        width: int,
        heads: int,
        blocks: int,
        context: str,
        rngs: nnx.Rngs,
    ) -> None:
        self.context = context
        self.embed = nnx.Linear(n_features, width, rngs=rngs)
        self.blocks = nnx.List([Block(width, heads=heads, rngs=rngs) for _ in range(blocks)])
        self.out = nnx.Linear(width, 1, rngs=rngs)

    def __call__(self, features: jax.Array, query: jax.Array, where: jax.Array) -> jax.Array:
        """`[D, F] -> [D]`; documents see those of their own query that are in `where`."""
        is_same_query = query[:, None] == query[None, :]
        # Each sees itself at least, so that no softmax is empty.
        may_see = (is_same_query & where[None, :]) | jnp.eye(len(query), dtype=bool)
        x = self.embed(features)
        for block in self.blocks:
            x = block(x, may_see)
        return jnp.squeeze(self.out(x), axis=-1)
