"""Rankers and propensity models (Flax NNX)."""

from ultr.model.propensity import PositionBias
from ultr.model.rankers import MLP, Linear, RankerSpec, TableRanker

__all__ = ["MLP", "Linear", "PositionBias", "RankerSpec", "TableRanker"]
