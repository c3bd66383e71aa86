"""Clicks with planted position bias, as raw logs: a judged set, a logging policy, a click model."""

from ultr.simulate.config import SimulateConfig, Synthetic
from ultr.simulate.run import simulate

__all__ = ["SimulateConfig", "Synthetic", "simulate"]
