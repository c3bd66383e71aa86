"""One training step and one epoch of them: pure functions, state in, state out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from ultr.data import Plan
from ultr.objectives import Terms
from ultr.objectives.softmax import log_softmax
from ultr.train.sharding import shared

T = TypeVar("T")
C = TypeVar("C")
M = TypeVar("M")

SUM_DECAY = 0.95
"""Of the running mean of a batch's Σ c w: long against one epoch's noise, short against the drift
of the weights."""


class Towers(NamedTuple):
    """One value for the ranker and one for the propensity model."""

    ranker: Any
    propensity: Any


class State(NamedTuple):
    """Everything that a step changes.

    Attributes:
        params: of both towers.
        averaged: running mean of the parameters.
        optimizer: of both towers.
        sums: running mean of Σ c w and Σ c v of a batch, and the weight of what was seen so far.
        shrink: share by which the ranker's parameters decay in a step (rate × weight decay).
        step: steps taken.
    """

    params: Towers
    averaged: Towers
    optimizer: Towers
    sums: jax.Array
    shrink: jax.Array
    step: jax.Array


class Arrays(NamedTuple):
    """A data set on the device, each with at least one empty row at the end, for padding.

    Attributes:
        inputs: `[N + 1, F]` features, or `[N + 1]` rows.
        query: `[N + 1]` index of the document's query, −1 where empty.
        document: `[L + 1, K]` index of the documents of a list.
        position: `[L + 1, K]` rank from 1, 0 where masked.
        clicks: `[L + 1, K]` number of clicks, weighted.
        context: `[L + 1, K, C]` levels of the bias columns, 0 where masked.
    """

    inputs: jax.Array
    query: jax.Array
    document: jax.Array
    position: jax.Array
    clicks: jax.Array
    context: jax.Array


class Batch(NamedTuple):
    """One batch in fixed shape: D documents, L lists of K."""

    inputs: jax.Array
    query: jax.Array
    where_document: jax.Array
    document: jax.Array
    position: jax.Array
    where: jax.Array
    clicks: jax.Array
    context: jax.Array


class Model(NamedTuple):
    """The static part.

    Attributes:
        graphs: definitions of both modules.
        optimizers: of both towers.
        averaging: decay per step of the running mean of the parameters.
        objective: called as `ultr.train.start.objective` says.
        compute_dtype: of the ranker's arithmetic; its parameters, the losses and all sums are
            float32 whatever it is.
        sum_decay: of the running mean of a batch's Σ c w; at 0 a batch is divided by its own.
        is_deterministic: compile for the same bits in every run on a GPU too.
    """

    graphs: Towers
    optimizers: Towers
    averaging: float
    objective: Callable[..., Terms]
    compute_dtype: str = "float32"
    sum_decay: float = SUM_DECAY
    is_deterministic: bool = False


def gather(arrays: Arrays, plan: Plan) -> Batch:
    """Put one batch together from its indices (`plan` without its leading axis)."""
    plan = shared(plan)
    position, query = arrays.position[plan.list], arrays.query[plan.document]
    batch = Batch(
        inputs=arrays.inputs[plan.document],
        query=query,
        where_document=query >= 0,
        document=arrays.document[plan.list] + plan.shift[:, None],
        position=position,
        where=position > 0,
        clicks=arrays.clicks[plan.list],
        context=arrays.context[plan.list],
    )
    return shared(batch)


def logits(
    graphs: Towers, params: Towers, batch: Batch, *, compute_dtype: str = "float32"
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Scores f `[L, K]`, propensity logits g `[L, K]`, and g at the reference, `[L, 1]` or `[]`.

    Each document is scored once and gathered by every list that shows it.
    """
    weights, inputs = _in_dtype((params.ranker, batch.inputs), compute_dtype)
    ranker = nnx.merge(graphs.ranker, weights)
    propensity = nnx.merge(graphs.propensity, params.propensity)
    at = jnp.where(batch.where, batch.document, 0)
    if scores_lists(ranker):
        scores = list_scores(ranker, inputs[at], batch.where)
    else:
        scores = ranker(inputs, batch.query, batch.where_document)[at]
    g = propensity(batch.position, batch.context)
    return scores.astype(jnp.float32), g, propensity.reference(batch.context)


def scores_lists(ranker: Any) -> bool:
    """Whether the ranker is to see one displayed list at a time."""
    return getattr(ranker, "context", "query") == "list"


def list_scores(ranker: Any, inputs: jax.Array, where: jax.Array) -> jax.Array:
    """Scores `[L, K]` of documents `[L, K, F]`, each list by itself."""
    query = jnp.zeros(where.shape[1], jnp.int32)
    return jax.vmap(lambda x, w: ranker(x, query, w))(inputs, where)


def _in_dtype(tree: T, dtype: str) -> T:
    """Floating-point arrays in a type; the gradient arrives in their own."""

    def cast(value: jax.Array) -> jax.Array:
        is_float = jnp.issubdtype(value.dtype, jnp.floating)
        return value.astype(dtype) if is_float and value.dtype != dtype else value

    return jax.tree.map(cast, tree)


def update(model: Model, state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
    """One step of both towers: `(state, batch) -> (state, measurements)`.

    The losses are divided by the *expected* Σ c w of a batch, not by the batch's own: whole
    queries differ in size by orders of magnitude, and dividing by the own sum would give a session
    in a small batch more weight than one in a large batch.
    """
    decay = model.sum_decay

    def loss(params: Towers) -> tuple[jax.Array, Terms]:
        f, g, reference = logits(model.graphs, params, batch, compute_dtype=model.compute_dtype)
        terms = model.objective(
            f, batch.clicks, logits=g, reference=reference, position=batch.position,
            where=batch.where,
        )  # fmt: skip
        own = jax.lax.stop_gradient(jnp.stack([terms.rank_weight, terms.propensity_weight]))
        expected = (decay * state.sums[:2] + (1 - decay) * own) / (
            decay * state.sums[2] + (1 - decay)
        )
        safe = jnp.maximum(expected, 1e-12)
        return terms.rank / safe[0] + terms.propensity / safe[1], terms

    gradients, terms = jax.grad(loss, has_aux=True)(state.params)
    steps = [
        optimizer.update(gradient, memory, params)
        for optimizer, gradient, memory, params in zip(
            model.optimizers, gradients, state.optimizer, state.params, strict=True
        )
    ]
    # Decay is decoupled from the gradient (AdamW) and part of the state, so that trainings that
    # differ in it share one compiled program.
    kept = jax.tree.map(lambda p: (1 - state.shrink) * p, state.params.ranker)
    kept = Towers(kept, state.params.propensity)
    params = [optax.apply_updates(p, u) for p, (u, _) in zip(kept, steps, strict=True)]
    own = jnp.stack([terms.rank_weight, terms.propensity_weight, jnp.ones(())])
    # Early on the mean is short, so that it does not hold on to where training began.
    keep = jnp.minimum(model.averaging, (1.0 + state.step) / (10.0 + state.step))
    new = State(
        Towers(*params),
        jax.tree.map(lambda a, b: keep * a + (1 - keep) * b, state.averaged, Towers(*params)),
        Towers(*(memory for _, memory in steps)),
        decay * state.sums + (1 - decay) * own,
        state.shrink,
        state.step + 1,
    )
    # A batch without clicks (padding at the end of an epoch) must not move momenta or decay.
    is_empty = terms.clicks == 0
    new = jax.tree.map(lambda a, b: jnp.where(is_empty, a, b), state, new)
    measured = {
        **terms._asdict(),
        "documents": batch.where_document.sum(),
        "gradient_norm_ranker": jnp.where(is_empty, 0.0, optax.tree.norm(gradients.ranker)),
        "gradient_norm_propensity": jnp.where(is_empty, 0.0, optax.tree.norm(gradients.propensity)),
    }
    return new, measured


def run_epoch(
    model: Model, state: State, arrays: Arrays, plan: Plan
) -> tuple[State, dict[str, jax.Array]]:
    """All batches of a plan in one dispatch; measurements are `[B]` each, 0 for empty batches."""
    return PROGRAMS[model.is_deterministic](model, state, arrays, plan)


def _epoch(
    model: Model, state: State, arrays: Arrays, plan: Plan
) -> tuple[State, dict[str, jax.Array]]:
    def one(state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        return update(model, state, batch)

    return _over(one, state, arrays, plan)


# The gradient of a gather adds up what the lists send to a document. On a GPU that is done by
# atomic additions, in the order in which they come; this option has XLA sort and segment the sums,
# and choose its kernels without a race. A CPU takes it and has nothing to change.
_DETERMINISTIC = {"xla_gpu_deterministic_ops": True}

PROGRAMS = {
    False: jax.jit(_epoch, static_argnums=0, donate_argnums=1),
    True: jax.jit(_epoch, static_argnums=0, donate_argnums=1, compiler_options=_DETERMINISTIC),
}
"""An epoch, by `Model.is_deterministic`."""


def click_nll(model: Model, params: Towers, arrays: Arrays, plan: Plan) -> jax.Array:
    """`−Σ c log softmax(f + g)` of every list of a plan, `[B, L]`; 0 where padded."""
    # Trainings that differ in how they learn share one compiled program.
    return _click_nll(model.graphs, model.compute_dtype, params, arrays, plan)


@partial(jax.jit, static_argnums=(0, 1))
def _click_nll(
    graphs: Towers, compute_dtype: str, params: Towers, arrays: Arrays, plan: Plan
) -> jax.Array:
    def one(carry: None, batch: Batch) -> tuple[None, jax.Array]:
        f, g, _ = logits(graphs, params, batch, compute_dtype=compute_dtype)
        nll = -jnp.sum(batch.clicks * log_softmax(f + g, where=batch.where), axis=-1)
        return carry, nll

    return _over(one, None, arrays, plan)[1]


def list_logits(
    model: Model, params: Towers, arrays: Arrays, plan: Plan
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """f, g and clicks of every list of a plan, `[B, L, K]`; g is −∞ and the rest 0 where masked."""
    return _list_logits(model.graphs, model.compute_dtype, params, arrays, plan)


@partial(jax.jit, static_argnums=(0, 1))
def _list_logits(
    graphs: Towers, compute_dtype: str, params: Towers, arrays: Arrays, plan: Plan
) -> tuple[jax.Array, jax.Array, jax.Array]:
    def one(carry: None, batch: Batch) -> tuple[None, tuple[jax.Array, jax.Array, jax.Array]]:
        f, g, _ = logits(graphs, params, batch, compute_dtype=compute_dtype)
        masked = jnp.where(batch.where, f, 0), jnp.where(batch.where, g, -jnp.inf)
        return carry, (*masked, jnp.where(batch.where, batch.clicks, 0))

    return _over(one, None, arrays, plan)[1]


def _over(
    one: Callable[[C, Batch], tuple[C, M]], carry: C, arrays: Arrays, plan: Plan
) -> tuple[C, M]:
    """`lax.scan` over the batches of a plan that stops at the first empty one.

    Plans are made for the worst order of queries; the batches it does not need cost no time.
    """

    def batch(i: jax.Array) -> Batch:
        return gather(arrays, jax.tree.map(lambda a: a[i], plan))

    def body(i: jax.Array, so_far: tuple[C, M]) -> tuple[C, M]:
        carry, measured = so_far
        carry, new = one(carry, batch(i))
        return carry, jax.tree.map(lambda a, m: a.at[i].set(m), measured, new)

    n = plan.list.shape[0]
    shapes = jax.eval_shape(lambda c, i: one(c, batch(i))[1], carry, jnp.int32(0))
    measured = jax.tree.map(lambda m: jnp.zeros((n, *m.shape), m.dtype), shapes)
    used = jnp.count_nonzero(jnp.any(arrays.position[plan.list[:, 0]] > 0, axis=-1))
    return jax.lax.fori_loop(0, used, body, (carry, measured))
