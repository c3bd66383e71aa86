"""Collapsed lists to fixed-shape batches: NumPy and pyarrow only."""

from ultr.data.batches import Plan, Shape, batch_shape, epoch_plan, epoch_plans
from ultr.data.epoch import ListBatch, batches
from ultr.data.lists import Lists
from ultr.data.load import load_lists

__all__ = [
    "ListBatch",
    "Lists",
    "Plan",
    "Shape",
    "batch_shape",
    "batches",
    "epoch_plan",
    "epoch_plans",
    "load_lists",
]
