"""What measurements of speed share: rates of sources, and the arithmetic that bounds them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from made import DOCUMENTS

from ultr.train import TrainConfig
from ultr.train.source import Segment, Source
from ultr.train.start import start
from ultr.train.step import Model, State, run_epoch


@dataclass
class Trainer:
    """A state that is passed over segments.

    Args:
        model: the static part.
        state: what the next step begins with.
    """

    model: Model
    state: State

    def step(self, segment: Segment) -> None:
        """Pass over a segment and wait for its end."""
        self.state, measured = run_epoch(self.model, self.state, segment.arrays, segment.plan)
        jax.block_until_ready(measured)

    def epoch(self, source: Source, number: int) -> float:
        """Pass over an epoch; seconds."""
        began = time.perf_counter()
        for segment in source.segments(epoch=number):
            self.step(segment)
        return time.perf_counter() - began


def trainer(config: TrainConfig, *, features: int, positions: int = DOCUMENTS) -> Trainer:
    """A training at its beginning."""
    model, state = start(
        n_features=features, n_documents=1, config=config, decay=config.decays[0],
        log_propensity=jnp.zeros(positions), is_frozen=False,
    )  # fmt: skip
    return Trainer(model, state)


def step_flops(widths: tuple[int, ...]) -> float:
    """Multiplications and additions of a document forwards and backwards, matrices alone.

    Two for each weight forwards, two for its gradient, two for that of its input, which the first
    layer does not need.
    """
    weights = [a * b for a, b in itertools.pairwise(widths)]
    return float(6 * sum(weights) - 2 * weights[0])


def matmuls(
    widths: tuple[int, ...], documents: int, *, dtype: str, repeats: int
) -> Callable[[], float]:
    """The matrix products of `step_flops` and nothing else: a function that gives documents/s."""
    keys = jax.random.split(jax.random.key(0), len(widths))
    sizes = list(itertools.pairwise(widths))
    weights = [
        jax.random.normal(k, s, dtype) / s[0] ** 0.5 for k, s in zip(keys, sizes, strict=False)
    ]
    inputs = jax.random.normal(keys[-1], (documents, widths[0]), dtype)

    @jax.jit
    def products(weights: list[jax.Array], inputs: jax.Array) -> list[jax.Array]:
        def one(weights: list[jax.Array], _: None) -> tuple[list[jax.Array], None]:
            layers = [inputs]
            for w in weights:
                layers.append(layers[-1] @ w)
            gradient, out = layers.pop(), []
            while layers:
                layer, w = layers.pop(), weights[len(layers)]
                out.append(layer.T @ gradient)
                gradient = gradient @ w.T if layers else gradient
            # Each product is used, or the compiler would leave it out.
            kept = [w + 1e-9 * g for w, g in zip(weights, reversed(out), strict=True)]
            return kept, None

        return jax.lax.scan(one, weights, length=repeats)[0]

    jax.block_until_ready(products(weights, inputs))

    def measure() -> float:
        began = time.perf_counter()
        jax.block_until_ready(products(weights, inputs))
        return repeats * documents / (time.perf_counter() - began)

    return measure


def best_matmuls(widths: tuple[int, ...], *, dtype: str, documents: int) -> tuple[float, int]:
    """The highest rate over batch shapes, documents/s, and its shape.

    Args:
        widths: of the layers, input and output included.
        dtype: of the products.
        documents: of each measurement, about.
    """
    shapes = [512 << i for i in range(12) if 512 << i <= documents]
    rates = []
    for shape in shapes:
        measure = matmuls(widths, shape, dtype=dtype, repeats=max(1, documents // shape))
        rates.append(max(measure() for _ in range(3)))
    best = int(np.argmax(rates))
    return rates[best], shapes[best]


def rounded(value: Any) -> Any:
    """Figures with four digits, in whatever they stand."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value
