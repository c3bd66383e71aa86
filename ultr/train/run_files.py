"""The files of a run's folder beside its checkpoint, read and checked."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ultr.config import from_mapping
from ultr.data.context import BiasColumn
from ultr.errors import DataError, UsageError
from ultr.model import as_spec
from ultr.train.config import TrainConfig
from ultr.train.seal import broken_files, write_seal
from ultr.transform import Transform

RUN_FILES = (
    "checkpoint",
    "checkpoint.json",
    "config.json",
    "documents.parquet",
    "lake.json",
    "metrics.jsonl",
    "propensities.parquet",
    "propensities_by_period.parquet",
    "residuals.parquet",
    "summary.json",
    "training",
    "transform.json",
)
"""What training and evaluation leave in a run's folder."""

_SEAL = "checkpoint.json"
_SEALED = ("checkpoint",)
_SIZES = ("n_features", "n_documents", "n_positions")


@dataclass(frozen=True)
class RunFiles:
    """What stands beside the checkpoint.

    Args:
        config: `config.json`.
        settings: its settings, typed.
        summary: `summary.json`.
        transform: `transform.json`; None for a ranker that reads no features.
        bias: columns of the bias context.
    """

    config: dict[str, Any]
    settings: TrainConfig
    summary: dict[str, Any]
    transform: Transform | None
    bias: tuple[BiasColumn, ...]


def read_run_files(root: Path, *, ranker: object = None) -> RunFiles:
    """Read the files of a finished run.

    Args:
        root: the run's folder.
        ranker: the user's own, which no file can hold; needed where the run was trained with one.

    Raises:
        DataError: no run there, one that did not finish, or a damaged file.
    """
    missing = [n for n in ("config.json", "summary.json") if not (root / n).is_file()]
    if missing:
        raise DataError(
            "a run is a folder that ultr train finished",
            got=f"{root} has no {' and no '.join(missing)}",
            hint=f"train it with: ultr train --lake LAKE --run {root}",
        )
    config, summary = (_read_object(root / f"{n}.json") for n in ("config", "summary"))
    path = root / "config.json"
    with _whole(path):
        given = _with_ranker(config["settings"], ranker, root=root)
        settings = from_mapping(TrainConfig, given, where=str(path))
        columns = [from_mapping(BiasColumn, b, where=str(path)) for b in config.get("bias", [])]
        sizes = [int(config[name]) for name in _SIZES]
        reads = settings.ranker_spec().reads
        if config["reads"] != reads or min(sizes) < 0:
            raise ValueError(f"reads is {config['reads']!r}, sizes are {sizes}")
    if reads == "row":
        return RunFiles(config, settings, summary, None, tuple(columns))
    path = root / "transform.json"
    with _whole(path):
        transform = Transform.from_json(_read_object(path))
        if len(transform.mean) != config["n_features"]:
            raise ValueError(f"{len(transform.mean)} features, not {config['n_features']}")
    return RunFiles(config, settings, summary, transform, tuple(columns))


def _with_ranker(settings: dict[str, Any], ranker: object, *, root: Path) -> dict[str, Any]:
    """The settings with the user's own ranker in place of its name.

    Nothing that a folder names is imported: the caller has to give it.
    """
    named = settings["ranker"]
    if not (isinstance(named, dict) and named.get("kind") == "custom"):
        return settings
    if ranker is None:
        raise DataError(
            "a run with a ranker of your own is opened with that ranker",
            got=f"{root} was trained with {named.get('name')}, and none was given",
            hint="in Python: ultr.open_run(path, ranker=…), and give the run to evaluate or score",
        )
    return {**settings, "ranker": as_spec(ranker)}


def read_run_table(root: Path, name: str) -> pa.Table:
    """Read a Parquet file of a run.

    Raises:
        DataError: it is gone or damaged.
    """
    path = root / name
    with _whole(path):
        return pq.read_table(path)


def seal_checkpoint(root: Path) -> None:
    """Write down what the files of the checkpoint are, for `check_checkpoint`."""
    write_seal(root / _SEAL, _SEALED)


def check_checkpoint(root: Path) -> None:
    """Check that the checkpoint is what was written.

    Raises:
        DataError: files are gone or changed.
    """
    with _whole(root / _SEAL):
        wrong = broken_files(root / _SEAL, _SEALED)
    if wrong:
        raise DataError(
            "the run's checkpoint must be whole",
            got=f"{len(wrong)} files of {root} are gone or not as written, first {wrong[0]}",
            hint="train again, or restore the folder from a backup",
        )


def _read_object(path: Path) -> dict[str, Any]:
    with _whole(path):
        value = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(value, dict):
            raise TypeError(f"not an object but {value!r:.40}")
        return value


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, UsageError, pa.ArrowException) as error:
        raise DataError(
            "the files of a run must be as ultr train wrote them",
            got=f"{path}: {type(error).__name__}: {error}",
            hint="restore the folder from a backup, or train again",
        ) from error
