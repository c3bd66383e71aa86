"""Rankers and propensity models (Flax NNX)."""

from ultr.model.custom import CustomRanker
from ultr.model.dcn import DCN
from ultr.model.kinds import KINDS, as_spec, kind_of, spec_to_json
from ultr.model.propensity import (
    BiasModel,
    ContextBias,
    DenseBias,
    MonotoneBias,
    PositionBias,
)
from ultr.model.rankers import MLP, Linear, RankerSpec, TableRanker
from ultr.model.setrank import SetRank

__all__ = [
    "DCN",
    "KINDS",
    "MLP",
    "BiasModel",
    "ContextBias",
    "CustomRanker",
    "DenseBias",
    "Linear",
    "MonotoneBias",
    "PositionBias",
    "RankerSpec",
    "SetRank",
    "TableRanker",
    "as_spec",
    "kind_of",
    "spec_to_json",
]
