"""Fit rankers and propensities; open what was fitted."""

from ultr.train.config import TrainConfig
from ultr.train.continued import settings_of
from ultr.train.fit import fit, train_lake
from ultr.train.folder import is_finished
from ultr.train.identification import Identification
from ultr.train.presets import PRESETS, with_preset
from ultr.train.run import Run, open_run
from ultr.train.run_files import RUN_FILES

__all__ = [
    "PRESETS",
    "RUN_FILES",
    "Identification",
    "Run",
    "TrainConfig",
    "fit",
    "is_finished",
    "open_run",
    "settings_of",
    "train_lake",
    "with_preset",
]
