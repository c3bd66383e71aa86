"""Propensity models: `bias context -> logits`; examination is exp(logit) up to a constant."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx


class PositionBias(nnx.Module):
    """One logit per position; starts at "every rank is examined alike".

    Args:
        n_positions: the lowest rank on any page.
    """

    def __init__(self, n_positions: int) -> None:
        self.logits = nnx.Param(jnp.zeros(n_positions))

    def __call__(self, position: jax.Array) -> jax.Array:
        """Logits for positions counted from 1, of any shape; 0 (masked) gives some finite value."""
        return self.logits[...].at[jnp.maximum(position - 1, 0)].get(mode="clip")

    def reference(self) -> jax.Array:
        """The logit at position 1, to which propensities are relative."""
        return self.logits[0]
