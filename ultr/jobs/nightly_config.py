"""What the nightly job is told: one TOML file, checked as a whole before the first stage runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ultr.config import from_mapping
from ultr.errors import UsageError

if TYPE_CHECKING:
    from ultr.etl.features_config import FeaturesConfig
    from ultr.etl.ingest import IngestConfig
    from ultr.etl.lists import ListsConfig
    from ultr.eval.evaluate import EvaluateConfig
    from ultr.train import TrainConfig


@dataclass(frozen=True)
class NightlyConfig:
    """The TOML file; paths are relative to the current directory.

    Args:
        logs: folder of raw log files.
        lake: the lake, made on the first run.
        work: folder of the job: state, summary, and `runs/`.
        pattern: which files of `logs` are read.
        ingest: `ultr.etl.ingest.IngestConfig`.
        features: `ultr.etl.features_config.FeaturesConfig`; left out, no features are added.
        judgments: `JudgmentsStage`; left out, no judgments are added.
        lists: `ultr.etl.lists.ListsConfig`.
        train: `ultr.train.TrainConfig`.
        evaluate: `ultr.eval.evaluate.EvaluateConfig`; left out, the run is not evaluated.
    """

    logs: Path
    lake: Path
    work: Path
    pattern: str = "*"
    ingest: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Any] | None = None
    judgments: dict[str, Any] | None = None
    lists: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)
    evaluate: dict[str, Any] | None = None


@dataclass(frozen=True)
class JudgmentsStage:
    """Arguments of `ultr.etl.judgments.add_judgments`."""

    source: Path
    format: Literal["table", "letor", "qrels", "baidu", "ultra"] = "table"


@dataclass(frozen=True)
class Plan:
    """The whole configuration, typed: a mistake in the last stage shows before the first runs."""

    job: NightlyConfig
    ingest: IngestConfig
    lists: ListsConfig
    train: TrainConfig
    features: FeaturesConfig | None
    judgments: JudgmentsStage | None
    evaluate: EvaluateConfig | None


def plan(job: NightlyConfig, where: str) -> Plan:
    """Type every table of the TOML.

    Args:
        job: the TOML's top level.
        where: what it came from, for error messages.

    Raises:
        UsageError: an unknown key, a wrong type, or a value out of its range.
    """
    from ultr.etl.features_config import FeaturesConfig  # noqa: PLC0415  both sides, only in a job
    from ultr.etl.ingest import IngestConfig  # noqa: PLC0415  both sides, only when a job runs
    from ultr.etl.lists import ListsConfig  # noqa: PLC0415
    from ultr.eval.evaluate import EvaluateConfig  # noqa: PLC0415
    from ultr.train import TrainConfig  # noqa: PLC0415

    def optional(cls: type[Any], values: dict[str, Any] | None, table: str) -> Any:
        return None if values is None else from_mapping(cls, values, where=f"{where} [{table}]")

    ingest = from_mapping(IngestConfig, job.ingest, where=f"{where} [ingest]")
    if ingest.is_dry_run:
        raise UsageError(
            f"{where} [ingest]: a job writes",
            got="is_dry_run = true",
            hint="try the log first: ultr ingest … --dry-run",
        )
    return Plan(
        job=job,
        ingest=ingest,
        lists=from_mapping(ListsConfig, job.lists, where=f"{where} [lists]"),
        train=from_mapping(TrainConfig, job.train, where=f"{where} [train]"),
        features=optional(FeaturesConfig, job.features, "features"),
        judgments=optional(JudgmentsStage, job.judgments, "judgments"),
        evaluate=optional(EvaluateConfig, job.evaluate, "evaluate"),
    )
