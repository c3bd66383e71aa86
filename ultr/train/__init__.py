"""Fit rankers and propensities; open what was fitted."""

from ultr.train.config import TrainConfig
from ultr.train.fit import fit, train_lake
from ultr.train.run import Run, open_run

__all__ = ["Run", "TrainConfig", "fit", "open_run", "train_lake"]
