"""Fit rankers and propensities; open what was fitted."""

from ultr.train.config import TrainConfig
from ultr.train.fit import fit, train_lake
from ultr.train.presets import PRESETS, with_preset
from ultr.train.run import Run, open_run
from ultr.train.run_files import RUN_FILES

__all__ = [
    "PRESETS",
    "RUN_FILES",
    "Run",
    "TrainConfig",
    "fit",
    "open_run",
    "train_lake",
    "with_preset",
]
