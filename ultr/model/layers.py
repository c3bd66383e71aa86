"""Layers that several models share."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import jax
from flax import nnx

Activation = Callable[[jax.Array], jax.Array]


class Feedforward(nnx.Module):
    """Fully connected layers; the last one has no activation.

    Args:
        sizes: width of the input, of each hidden layer, and of the output.
        activation: after each hidden layer.
        rngs: for the initial weights.
    """

    def __init__(
        self, sizes: tuple[int, ...], *, rngs: nnx.Rngs, activation: Activation = jax.nn.elu
    ) -> None:
        layers = [nnx.Linear(a, b, rngs=rngs) for a, b in itertools.pairwise(sizes)]
        self.layers = nnx.List(layers)
        self.activation = activation

    def __call__(self, x: jax.Array) -> jax.Array:
        """`[..., sizes[0]] -> [..., sizes[-1]]`."""
        for layer in self.layers[:-1]:
            x = self.activation(layer(x))
        return self.layers[-1](x)
