"""Finished training runs as tables beside a lake's views.

A folder given as `--runs` is a run, or holds runs at any depth; `ultr sql` without one takes the
folder `runs` beside the lake if it is there. A run that did not finish has no `summary.json` and is
left out. The metrics of its queries are there once
`ultr evaluate --run RUN --lake LAKE --per-query RUN/per_query.parquet` has written them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ultr.errors import DataError, UsageError
from ultr.schema import Column, Table

PER_QUERY = "per_query.parquet"
"""Where in a run's folder `run_queries` looks for what `ultr evaluate --per-query` writes."""

_RUN = Column("run", pa.string(), "the run's folder, below --runs")

RUNS = Table(
    "runs",
    row="finished training run",
    columns=(
        _RUN,
        Column("method", pa.string(), "dla, naive, ipw …", is_optional=True),
        Column("ranker", pa.string(), "mlp, linear, table …", is_optional=True),
        Column("seed", pa.int64(), "of parameters and order", is_optional=True),
        Column("lake_version", pa.int64(), "commits of the lake it was trained on", True),
        Column("sessions", pa.int64(), "sessions it was trained on", is_optional=True),
        Column("epochs", pa.int64(), "passes over them", is_optional=True),
        Column("best_epoch", pa.int64(), "the pass whose state was kept", is_optional=True),
        Column(
            "click_nll_listwise",
            pa.float64(),
            "negative log likelihood of held-out clicks",
            is_optional=True,
        ),
        Column("seconds", pa.float64(), "time of training, compilation included", True),
        Column("settings", pa.string(), "all settings, as JSON", is_optional=True),
    ),
    key=("run",),
)

RUN_METRICS = Table(
    "run_metrics",
    row="measurement of a training epoch",
    columns=(
        _RUN,
        Column("line", pa.int64(), "line of metrics.jsonl, from 1"),
        Column("phase", pa.string(), "the phase of training", is_optional=True),
        Column("epoch", pa.int64(), "the pass over the sessions", is_optional=True),
        Column("metric", pa.string(), "what was measured"),
        Column("value", pa.float64(), "its value", is_optional=True),
    ),
    key=("run", "line", "metric"),
)

RUN_PROPENSITIES = Table(
    "run_propensities",
    row="learned propensity of a position and context",
    columns=(
        _RUN,
        Column("context", pa.string(), "context columns as name=value, empty without"),
        Column("position", pa.int64(), "rank on the page, from 1"),
        Column("propensity", pa.float64(), "examination relative to the first position"),
    ),
    key=("run", "context", "position"),
)

RUN_QUERIES = Table(
    "run_queries",
    row="metric of a query, of runs that were evaluated with --per-query RUN/per_query.parquet",
    columns=(
        _RUN,
        Column("query_id", pa.int64(), "the query, as a stable 64-bit id"),
        Column("metric", pa.string(), "ndcg@10, err@10, mrr …"),
        Column("value", pa.float64(), "its value"),
    ),
    key=("run", "query_id", "metric"),
)

RUN_TABLES = {t.name: t for t in (RUNS, RUN_METRICS, RUN_PROPENSITIES, RUN_QUERIES)}
"""Declared like the tables of the lake; read from the files of runs."""


def find_runs(folders: Sequence[Path]) -> dict[str, Path]:
    """Name -> folder of the finished runs in and below `folders`.

    Raises:
        UsageError: a folder that is not there, or two runs of one name.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(
                "--runs is a folder with runs", got=f"{folder}: no folder", hint="give another"
            )
        for summary in sorted(folder.rglob("summary.json")):
            run = summary.parent
            if not (run / "config.json").is_file():
                continue  # the summary of something else
            name = run.relative_to(folder).as_posix() if run != folder else run.resolve().name
            if found.setdefault(name, run).resolve() != run.resolve():
                raise UsageError(
                    "each run has a name of its own",
                    got=f"{name} is {found[name]} and {run}",
                    hint="give the folder above both as --runs",
                )
    return found


def default_runs(lake: Path) -> list[Path]:
    """What `ultr sql` takes without `--runs`: the folder `runs` beside the lake, if it is there."""
    beside = lake.resolve().parent / "runs"
    return [beside] if beside.is_dir() else []


def read_runs(runs: Mapping[str, Path]) -> dict[str, pa.Table]:
    """The rows of the run tables but `run_queries`, which stays in its files.

    Raises:
        DataError: a file of a run cannot be read.
    """
    makers = {"runs": _summary, "run_metrics": _metrics, "run_propensities": _propensities}
    out = {}
    for table, rows_of in makers.items():
        rows = [{"run": name} | row for name, root in runs.items() for row in _read(rows_of, root)]
        out[table] = pa.Table.from_pylist(rows, RUN_TABLES[table].arrow())
    return out


def per_query_files(runs: Mapping[str, Path]) -> dict[str, Path]:
    """Run -> its metrics per query, of runs that were evaluated on a lake.

    Raises:
        DataError: a file cannot be read.
    """
    found = {n: r / PER_QUERY for n, r in runs.items() if (r / PER_QUERY).is_file()}
    # LETOR files name queries by text: these are no queries of the lake.
    return {
        n: p
        for n, p in found.items()
        if pa.types.is_int64(_read(pq.read_schema, p).field("query_id").type)
    }


def _summary(root: Path) -> Iterator[dict[str, Any]]:
    config, summary = (_json((root / f"{n}.json").read_text()) for n in ("config", "summary"))
    settings = config.get("settings", {})
    row = {k: settings.get(k) for k in ("method", "ranker", "seed")}
    row |= {c.name: summary[c.name] for c in RUNS.columns if c.name in summary}
    version = config.get("lake", {}).get("version")
    yield row | {"lake_version": version, "settings": json.dumps(settings)}


def _metrics(root: Path) -> Iterator[dict[str, Any]]:
    path = root / "metrics.jsonl"
    for number, text in enumerate(path.read_text().splitlines() if path.exists() else [], start=1):
        line = _json(text)
        at = {"line": number, "phase": line.pop("phase", None), "epoch": line.pop("epoch", None)}
        for name, value in line.items():
            if isinstance(value, int | float):
                yield at | {"metric": name, "value": float(value)}


def _propensities(root: Path) -> Iterator[dict[str, Any]]:
    for row in pq.read_table(root / "propensities.parquet").to_pylist():
        position, propensity = row.pop("position"), row.pop("propensity")
        context = ", ".join(f"{k}={v}" for k, v in row.items())
        yield {"context": context, "position": position, "propensity": propensity}


def _json(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise TypeError(f"not an object but {value!r:.40}")
    return value


def _read(read: Any, path: Path) -> Any:
    """What `read(path)` gives, with its errors told as those of the run."""
    try:
        found = read(path)
        return list(found) if isinstance(found, Iterator) else found
    except (
        OSError,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        pa.ArrowException,
    ) as error:
        raise DataError(
            "the files of a run must be as ultr wrote them",
            got=f"{path}: {type(error).__name__}: {error}",
            hint="restore the folder from a backup, train or evaluate again, or leave it out",
        ) from error
