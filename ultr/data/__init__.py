"""Collapsed lists to fixed-shape batches: NumPy and pyarrow only."""

from ultr.data.batches import Plan, Shape, batch_shape, epoch_plan, epoch_plans
from ultr.data.lists import Lists
from ultr.data.load import load_lists

__all__ = ["Lists", "Plan", "Shape", "batch_shape", "epoch_plan", "epoch_plans", "load_lists"]
