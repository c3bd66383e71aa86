"""A ranker of one's own: any Flax NNX module with the rankers' signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from ultr.errors import UsageError

_HINT = "def __call__(self, features, query, where): … return scores of shape [D]"


@dataclass(frozen=True)
class CustomRanker:
    """Wraps a class or function that makes a module.

    Args:
        factory: called as `factory(n_features, rngs=rngs)`; what it returns is called as
            `(features [D, F], query [D], where [D]) -> [D]` and holds parameters only.

    Example:
        >>> class Sum(nnx.Module):
        ...     def __init__(self, n_features, *, rngs):
        ...         self.layer = nnx.Linear(n_features, 1, rngs=rngs)
        ...
        ...     def __call__(self, features, query, where):
        ...         return self.layer(features)[:, 0]
        >>> module = CustomRanker(Sum).build(n_features=3, n_documents=9, rngs=nnx.Rngs(0))
    """

    factory: Callable[..., Any]
    reads: ClassVar[Literal["features"]] = "features"
    compares: ClassVar[bool] = True

    @property
    def name(self) -> str:
        """`module:qualified name` of the factory, for people: a run says what it was made with."""
        kind = self.factory if hasattr(self.factory, "__qualname__") else type(self.factory)
        return f"{kind.__module__}:{kind.__qualname__}"

    def build(self, *, n_features: int, n_documents: int, rngs: nnx.Rngs) -> nnx.Module:
        """Make the module and check it.

        Raises:
            UsageError: not a module, one with state beside its parameters, or scores that are not
                one number per document.
        """
        del n_documents
        try:
            module = self.factory(n_features, rngs=rngs)
        except TypeError as error:
            raise UsageError(
                "a ranker of one's own is made by factory(n_features, rngs=rngs)",
                got=f"{self.name}: {error}",
                hint="def __init__(self, n_features, *, rngs): …",
            ) from error
        if not isinstance(module, nnx.Module):
            raise _wrong(self.name, f"a {type(module).__name__}, not a flax.nnx.Module", _HINT)
        others = [path for path, v in nnx.to_flat_state(nnx.state(module)) if not _is_param(v)]
        if others:
            raise _wrong(
                self.name,
                f"state beside its parameters: {'.'.join(map(str, others[0]))}",
                "leave out dropout and batch statistics; weight decay is a setting of training",
            )
        fixed = [v for v in jax.tree.leaves(nnx.state(module)) if not _can_learn(v)]
        if fixed:
            raise _wrong(
                self.name, f"parameters that are no real numbers: {fixed[0].dtype}",
                "keep constants as attributes, not as nnx.Param",
            )  # fmt: skip
        batch = jnp.zeros((4, n_features)), jnp.zeros(4, jnp.int32), jnp.ones(4, bool)
        try:
            scores = nnx.eval_shape(module, *batch)
        except TypeError as error:
            raise _wrong(self.name, f"a module that cannot be called so: {error}", _HINT) from error
        if not isinstance(scores, jax.ShapeDtypeStruct) or scores.shape != (4,):
            raise _wrong(self.name, f"for 4 documents: {scores}", _HINT)
        if not _can_learn(scores):
            raise _wrong(self.name, f"scores of {scores.dtype}: nothing can be learned", _HINT)
        return module


def _is_param(variable: Any) -> bool:
    return isinstance(variable, nnx.Param)


def _can_learn(values: Any) -> bool:
    return bool(jnp.issubdtype(values.dtype, jnp.floating))


def _wrong(name: str, got: str, hint: str) -> UsageError:
    return UsageError(
        "a ranker maps (features [D, F], query [D], where [D]) to scores [D]",
        got=f"{name} gives {got}",
        hint=hint,
    )
