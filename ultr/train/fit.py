"""Train on lists and leave a run directory."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.config import from_mapping
from ultr.data import Lists, load_lists
from ultr.errors import DataError, UsageError
from ultr.lake import open_lake
from ultr.model import RankerSpec, as_spec
from ultr.staleness import stale_inputs
from ultr.train.config import TrainConfig
from ultr.train.loop import Fitted
from ultr.train.phases import train_method
from ultr.train.presets import with_preset
from ultr.train.propensities import read_propensities, shown_cells, write_propensities
from ultr.train.run import Run, open_run, save_params
from ultr.train.run_files import RUN_FILES

OnEpoch = Callable[[dict[str, Any]], None]


def fit(
    data: Lists,
    *,
    run: str | Path,
    config: TrainConfig | None = None,
    overwrite: bool = False,
    on_epoch: OnEpoch = lambda _: None,
    **settings: Any,
) -> Run:
    """Fit the ranker and the propensities, and leave a run directory.

    Args:
        data: what `ultr.load_lists` gives.
        run: the folder to make.
        config: the settings; or give them one by one as keywords.
        overwrite: replace a finished run in that folder.
        on_epoch: receives the measurements of each epoch.
        **settings: fields of `TrainConfig`, instead of `config`; or a `preset` and what differs.

    Raises:
        DataError: nothing to learn from (no clicks, no features for a ranker on features).
        UsageError: an unknown setting, or a folder that holds a finished run or something else.

    Example:
        >>> run = ultr.fit(ultr.load_lists("lake"), run="runs/dla", method="dla")  # doctest: +SKIP
        >>> run.propensities  # doctest: +SKIP
    """
    settings = with_preset(settings)
    if "ranker" in settings:
        settings["ranker"] = as_spec(settings["ranker"])
    chosen = config if config is not None else from_mapping(TrainConfig, settings, where="ultr.fit")
    spec, root = chosen.ranker_spec(), Path(run)
    data = data.with_bias(chosen.bias)
    if chosen.list_size is not None:
        data = data.top(chosen.list_size)
    if spec.reads == "row":
        data = data.one_row_per_pair()
    is_drawn = chosen.sessions_per_batch is not None
    training, held_out, selected_by = _splits(data, spec, merge=not is_drawn)
    sessions = int(data.split("train", by=selected_by).sessions.sum())
    n_positions = max(training.max_position, held_out.max_position)
    log_propensity = None
    if chosen.propensities is not None:
        shown = shown_cells(training, held_out)
        given = read_propensities(chosen.propensities, cells=shown, bias=data.bias)
        log_propensity = jnp.asarray(np.log(given), jnp.float32)
    _claim(root, overwrite=overwrite)
    _write_json(root / "config.json", {
        "settings": chosen.to_json(),
        "reads": spec.reads,
        "n_features": data.n_features,
        "n_documents": data.n_documents,
        "n_positions": n_positions,
        "bias": [dataclasses.asdict(column) for column in data.bias],
        "selected_by": selected_by,
        "predicts_probability": False,
        "lake": data.lake,
    })  # fmt: skip
    with (root / "metrics.jsonl").open("w", encoding="utf-8") as log:

        def record(line: dict[str, Any]) -> None:
            log.write(json.dumps(line) + "\n")
            log.flush()
            on_epoch(line)

        fitted = train_method(
            training,
            held_out,
            config=chosen,
            n_documents=1 + int(data.doc_row.max(initial=-1)),
            sessions=sessions,
            log_propensity=log_propensity,
            on_epoch=record,
        )
    _save(root, fitted, data=data, spec=spec, cells=shown_cells(training))
    return open_run(root, ranker=spec)


def train_lake(
    *, lake: Path, run: Path, config: TrainConfig, overwrite: bool = False,
    on_epoch: OnEpoch = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Train on a lake: what `ultr train` calls.

    Args:
        lake: its folder.
        run: as in `fit`.
        config: the settings.
        overwrite: as in `fit`.
        on_epoch: as in `fit`.

    Returns:
        `sessions epochs best_epoch click_nll_listwise seconds compile_seconds
        sessions_per_second propensities`.

    Raises:
        DataError: the lake has no lists, or they are older than what they were made from.
    """
    source = open_lake(lake)
    # Judgments are for evaluation and change nothing here.
    changed = [name for name in stale_inputs(source) if name != "judgments"]
    if changed:
        raise DataError(
            "training reads lists made of what the lake holds now",
            got=f"{' and '.join(changed)} of {lake} changed since",
            hint=f"run: ultr lists --lake {lake}",
        )
    data = load_lists(source, by_pattern=config.sessions_per_batch is not None)
    return fit(data, run=run, config=config, overwrite=overwrite, on_epoch=on_epoch).summary


def _splits(data: Lists, spec: RankerSpec, *, merge: bool) -> tuple[Lists, Lists, str]:
    """Training lists, held-out lists, and by what they were split."""
    if spec.reads == "features" and data.transform is None:
        raise DataError(
            "a ranker on features needs features",
            got="a lake without any",
            hint="add them with ultr features --from FILE and run ultr lists again, "
            "or train with --ranker table",
        )
    # Lists without clicks contribute nothing to any of these objectives.
    clicked = data.select(data.clicks.sum(axis=1) > 0)
    if not clicked.n_lists:
        raise DataError(
            "training needs clicks",
            got=f"{data.n_lists:,} lists without a click",
            hint="check the click column of the mapping, or ingest more of the log",
        )
    by = "query" if spec.reads == "features" else "session"
    training, held_out = clicked.split("train", by=by), clicked.split("validation", by=by)
    if by == "query" and not (training.n_lists and held_out.n_lists):
        # A log of a few queries: held-out sessions of known queries are better than nothing.
        by = "session"
        training, held_out = clicked.split("train", by=by), clicked.split("validation", by=by)
    if not (training.n_lists and held_out.n_lists):
        raise DataError(
            "training needs clicked sessions in the training and in the validation split",
            got=f"{training.n_lists} and {held_out.n_lists} lists",
            hint="ingest more of the log",
        )
    if by == "query" and merge:
        training, held_out = _whole_queries(training), _whole_queries(held_out)
    return training, held_out, by


def _whole_queries(data: Lists) -> Lists:
    """Lists that differ only in the split of their sessions become one."""
    unsplit = np.zeros_like(data.session_split)
    return dataclasses.replace(data, session_split=unsplit).merge_clicks()


def _claim(root: Path, *, overwrite: bool) -> None:
    """Make the run's folder; never overwrite a finished run or a foreign folder unasked."""
    if (root / "summary.json").exists() and not overwrite:
        raise UsageError(
            "a finished run is not overwritten",
            got=f"{root} holds one",
            hint="choose another --run, or say --overwrite",
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
    except OSError as error:  # a file stands there, or above it, or the disk is not ours
        raise UsageError(
            "--run needs a folder that can be made",
            got=f"{root}: {error.strerror}",
            hint="choose another --run",
        ) from error
    if any(root.iterdir()) and not (root / "config.json").exists():
        raise UsageError(
            "--run needs a new or empty folder",
            got=f"{root} holds something else",
            hint="choose another --run",
        )
    # The mark of a finished run goes first: a job killed from here on leaves an unfinished run.
    (root / "summary.json").unlink(missing_ok=True)
    for name in RUN_FILES:
        if name not in ("checkpoint", "config.json"):  # what says that the folder is a run's
            (root / name).unlink(missing_ok=True)
    shutil.rmtree(root / "checkpoint", ignore_errors=True)


def _save(
    root: Path, fitted: Fitted, *, data: Lists, spec: RankerSpec, cells: NDArray[Any]
) -> None:
    logits = fitted.log_propensity
    save_params(root, fitted.params.ranker, logits)
    path = root / "propensities.parquet"
    table = np.asarray(logits, np.float64)
    propensity = write_propensities(path, table, cells=cells, bias=data.bias)
    if spec.reads == "row":
        # Documents that split queries repeat share the row of their first place, and come last.
        own = data.doc_row == np.arange(data.n_documents)
        pairs = {"query_id": data.query_id[data.doc_query][own], "doc_id": data.doc_id[own]}
        pq.write_table(pa.table(pairs), root / "documents.parquet")
    elif data.transform is not None:
        _write_json(root / "transform.json", data.transform.to_json())
    _write_json(root / "lake.json", data.lake)
    # Last, since it marks the run as finished.
    _write_json(root / "summary.json", {
        "sessions": fitted.sessions,
        "epochs": fitted.epochs,
        "best_epoch": fitted.best_epoch,
        "click_nll_listwise": fitted.click_nll_listwise,
        "seconds": fitted.seconds,
        "compile_seconds": fitted.compile_seconds,
        "sessions_per_second": fitted.sessions * fitted.epochs / max(fitted.steps_seconds, 1e-9),
        "propensities": propensity,
    })  # fmt: skip


def _write_json(path: Path, value: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(value, indent=1), encoding="utf-8")
    temporary.replace(path)
