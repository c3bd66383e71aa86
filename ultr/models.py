"""Rankers and propensity models for a training loop of one's own; `ultr.losses` has an example.

Rankers are described first and built when the number of features is known; the module that comes of
it is called as `(features [D, F], query [D], where [D]) -> scores [D]`. Propensity models are
modules: `model(position, context) -> logits`, and `model.reference(context)` is what they are
relative to.

Example:
    >>> from flax import nnx
    >>> ranker = DCN(crosses=2).build(n_features=5, n_documents=0, rngs=nnx.Rngs(0))
    >>> propensity = MonotoneBias(PositionBias(10))
"""

from ultr.model import (
    DCN,
    MLP,
    ContextBias,
    DenseBias,
    Linear,
    MonotoneBias,
    PositionBias,
    RankerSpec,
    SetRank,
    TableRanker,
)

__all__ = [
    "DCN",
    "MLP",
    "ContextBias",
    "DenseBias",
    "Linear",
    "MonotoneBias",
    "PositionBias",
    "RankerSpec",
    "SetRank",
    "TableRanker",
]
