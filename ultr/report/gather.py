"""Everything that the report of a run shows, gathered before a line of it is written.

What cannot be had is None, and `missing` says why: a lake without grades, a run whose lake is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ultr.errors import DataError, UltrError
from ultr.lake import Lake, open_lake
from ultr.schema import TABLES

if TYPE_CHECKING:
    from ultr.diagnose import Diagnosis
    from ultr.eval.compare import Compared

_REASONS = 12


@dataclass(frozen=True)
class Gathered:
    """What there is to show.

    Args:
        run: folder of the run.
        method: its method, as the summary for people names it.
        settings: of its training.
        summary: what training reported.
        propensities: `position, propensity` and context columns.
        metrics: one mapping per evaluation of training.
        evaluation: what `ultr evaluate` says; empty if it could not.
        per_query: metrics of each judged query, with `query` as text where the lake has it.
        compared: runs beside this one, on the same queries.
        diagnosis: of the lake.
        rows: rows of each table of the lake.
        rejects: reason -> lines.
        sources: what was read: `source, format, lines, sessions, rejects` where known.
        lake: what the run says of its lake.
        missing: what -> why it is not there.
    """

    run: Path
    method: str
    settings: Mapping[str, Any]
    summary: Mapping[str, Any]
    propensities: pa.Table
    metrics: Sequence[Mapping[str, Any]]
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    per_query: pa.Table | None = None
    compared: Sequence[Compared] = ()
    diagnosis: Diagnosis | None = None
    rows: Mapping[str, int] = field(default_factory=dict)
    rejects: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lake: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)


def gather(
    run: Path, *, lake: Path | None = None, others: Sequence[Path] = (), quiet: bool = True
) -> Gathered:
    """Read a run, and ask its lake.

    Args:
        run: folder of a finished run.
        lake: where to evaluate; by default where the run was trained.
        others: runs to compare it with; the first is what all are compared with.
        quiet: show no progress.

    Raises:
        DataError: no run there, or a damaged one; a lake that was named and is not there.
    """
    from ultr.train import open_run  # noqa: PLC0415  JAX takes seconds to import

    opened = open_run(run)
    own = Gathered(
        run=run,
        method=str(opened.config["settings"]["method"]),
        settings=opened.config["settings"],
        summary=opened.summary,
        propensities=opened.propensities,
        metrics=_lines(run / "metrics.jsonl"),
        lake=opened.config.get("lake", {}),
    )
    found: dict[str, Any] = {}
    missing: dict[str, str] = {}
    root = lake or Path(str(own.lake.get("root", "")))
    try:
        source = open_lake(root)
    except UltrError as error:
        if lake is not None:
            raise
        missing["lake"] = str(error)
        return replace(own, missing=missing)
    found |= _of_lake(source)
    found |= _evaluated(run, source, missing=missing, quiet=quiet)
    found |= _diagnosed(run, source, missing=missing, quiet=quiet)
    if others:
        found |= _compared([*others, run], source, missing=missing)
    return replace(own, **found, missing=missing)


def _lines(path: Path) -> list[dict[str, Any]]:
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(
            "the files of a run must be as ultr train wrote them",
            got=f"{path}: {error}",
            hint="restore the folder from a backup, or train again",
        ) from error


def _of_lake(lake: Lake) -> dict[str, Any]:
    from ultr.lake_info import sources_of  # noqa: PLC0415

    rows = {name: lake.rows(name) for name in TABLES if lake.rows(name)}
    reasons: dict[str, int] = {}
    for path in lake.paths("rejects"):
        counts = pq.read_table(path, columns=["reason"])["reason"].value_counts()
        for entry in counts.to_pylist():
            reasons[entry["values"]] = reasons.get(entry["values"], 0) + entry["counts"]
    top = dict(sorted(reasons.items(), key=lambda item: -item[1])[:_REASONS])
    return {"rows": rows, "rejects": top, "sources": sources_of(lake)}


def _evaluated(run: Path, lake: Lake, *, missing: dict[str, str], quiet: bool) -> dict[str, Any]:
    from ultr.eval.evaluate import evaluate  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        table = Path(folder) / "per_query.parquet"
        try:
            found = evaluate(run, lake=lake.root, per_query=table, quiet=quiet)
        except UltrError as error:
            missing["evaluation"] = str(error)
            return {}
        if "ndcg@10" not in found:
            missing["grades"] = "the lake has no judgments of the test queries"
        per_query = _with_text(pq.read_table(table), lake) if table.exists() else None
    return {"evaluation": found, "per_query": per_query}


def _with_text(table: pa.Table, lake: Lake) -> pa.Table:
    """The same table with `query`: the text of each, or its key."""
    wanted = table["query_id"].combine_chunks()
    parts = [
        batch.filter(pc.is_in(batch["query_id"], value_set=wanted))
        for path in lake.paths("queries")
        for batch in [pq.read_table(path)]
    ]
    if not parts:
        return table
    known = pa.concat_tables(parts, promote_options="default").to_pylist()
    text = {row["query_id"]: row.get("text") or row["key"] for row in known}
    names = [text.get(q) for q in wanted.to_pylist()]
    return table.append_column("query", pa.array(names, pa.string()))


def _diagnosed(run: Path, lake: Lake, *, missing: dict[str, str], quiet: bool) -> dict[str, Any]:
    from ultr.diagnose import diagnose  # noqa: PLC0415

    try:
        return {"diagnosis": diagnose(lake, run=run, quiet=quiet)}
    except UltrError as error:
        missing["diagnosis"] = str(error)
        return {}


def _compared(runs: Sequence[Path], lake: Lake, *, missing: dict[str, str]) -> dict[str, Any]:
    from ultr.eval.compare import compare  # noqa: PLC0415

    try:
        return {"compared": compare(list(runs), lake=lake.root)}
    except UltrError as error:
        missing["comparison"] = str(error)
        return {}
