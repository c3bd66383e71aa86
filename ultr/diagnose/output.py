"""A diagnosis as files: curves that `ultr train --propensities` takes, edges, AUCs, findings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from ultr.diagnose.bootstrap import Curve
from ultr.diagnose.result import Diagnosis
from ultr.errors import UsageError
from ultr.results import check_target, replacing, table_writer

FINDINGS = "findings.json"


def write_diagnosis(found: Diagnosis, folder: Path, *, inputs: tuple[Path, ...] = ()) -> list[Path]:
    """Write a diagnosis into a folder, which is made if need be.

    `propensities_<estimate>.parquet` have `position, propensity, low, high`, relative to the first
    rank; `ctr.parquet`, `edges.parquet`, `auc.parquet` and `drift.parquet` what their names say.
    What a diagnosis does not have is not written.

    Args:
        found: the diagnosis.
        folder: where; its parent exists.
        inputs: files and folders that it was made from, which are never replaced.

    Returns:
        The files.

    Raises:
        UsageError: a folder that cannot be made, or lies in a lake.
    """
    check_folder(folder, inputs=inputs)
    written = []
    for name, table in tables(found):
        with table_writer(folder / name, table.schema, inputs=inputs) as writer:
            writer.write_table(table)
        written.append(folder / name)
    with replacing(folder / FINDINGS, inputs=inputs) as temporary:
        told = {"state": found.state, "findings": [asdict(f) for f in found.findings]}
        temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return [*written, folder / FINDINGS]


def check_folder(folder: Path, *, inputs: tuple[Path, ...] = ()) -> None:
    """Make the folder, before the work for it begins; raises as `write_diagnosis`."""
    check_target(folder / FINDINGS if folder.is_dir() else folder, inputs=inputs)
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UsageError(
            "a diagnosis goes into a folder", got=str(error), hint="choose another --out"
        ) from error


def tables(found: Diagnosis) -> Iterator[tuple[str, pa.Table]]:
    """File name and rows of each table."""
    for name, curve in found.curves.estimates.items():
        yield f"propensities_{name}.parquet", _curve(curve)
    if found.curves.ctr is not None:
        yield "ctr.parquet", _rates(found, found.curves.ctr)
    if found.graph.edges:
        yield "edges.parquet", _edges(found)
    if found.auc:
        pairs = list(found.auc)
        a, b = (pa.array([p[i] for p in pairs], pa.int16()) for i in (0, 1))
        values = list(found.auc.values())
        yield "auc.parquet", pa.table({"position_a": a, "position_b": b, "auc": values})
    parts = [
        _curve(c).append_column("window", pa.array([window] * len(c.known)))
        .append_column("curve", pa.array([name] * len(c.known)))
        for name, by_window in found.curves.drift.items()
        for window, c in by_window.items()
        if len(c.known)
    ]  # fmt: skip
    if parts:
        names = ["curve", "window", "position", "propensity", "low", "high"]
        yield "drift.parquet", pa.concat_tables(parts).select(names)


def _curve(curve: Curve) -> pa.Table:
    at = curve.known - 1
    return pa.table(
        {
            "position": pa.array(curve.known, pa.int16()),
            "propensity": curve.propensity[at],
            "low": curve.low[at],
            "high": curve.high[at],
        }
    )


def _rates(found: Diagnosis, ctr: Curve) -> pa.Table:
    positions = list(found.shown)
    impressions, clicks = ([found.shown[k][i] for k in positions] for i in (0, 1))
    rates = [c / n for n, c in zip(impressions, clicks, strict=True)]
    curves = {"ctr_relative": ctr.propensity, "low": ctr.low, "high": ctr.high}
    return pa.table(
        {"position": pa.array(positions, pa.int16()), "impressions": impressions,
         "clicks": clicks, "ctr": rates}
        | {name: [float(v[k - 1]) for k in positions] for name, v in curves.items()}
    )  # fmt: skip


def _edges(found: Diagnosis) -> pa.Table:
    edges = found.graph.edges
    return pa.table(
        {
            "position_a": pa.array([e.a[0] for e in edges], pa.int16()),
            "context_a": [e.a[1] for e in edges],
            "position_b": pa.array([e.b[0] for e in edges], pa.int16()),
            "context_b": [e.b[1] for e in edges],
            "documents": [e.documents for e in edges],
            "impressions": [e.impressions for e in edges],
        }
    )
