"""Objectives: pure functions of scores, propensity logits and clicks, one method a file."""

from ultr.objectives.dla import dla_offset, dla_weights
from ultr.objectives.softmax import Terms, softmax_nll
from ultr.objectives.weighted import ipw, naive

__all__ = ["Terms", "dla_offset", "dla_weights", "ipw", "naive", "softmax_nll"]
