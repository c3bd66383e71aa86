"""Diagnose a lake: what is its log fit for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.diagnose.about_curves import (
    about_ctr,
    about_drift,
    about_harvesting,
    about_randomisation,
    about_weights,
)
from ultr.diagnose.about_log import about_log
from ultr.diagnose.about_model import about_policy, about_residuals
from ultr.diagnose.about_swaps import about_swaps, context_graph, position_graph, state_of
from ultr.diagnose.bootstrap import FEW_QUERIES, Curve, curve, with_data
from ultr.diagnose.config import DiagnoseConfig
from ultr.diagnose.counts import Counts, count
from ultr.diagnose.features import sample
from ultr.diagnose.finding import Finding, missing
from ultr.diagnose.harvest import ESTIMATES, all_pairs
from ultr.diagnose.overlap import rank_auc
from ultr.diagnose.policy import strength
from ultr.diagnose.quality import count_pages
from ultr.diagnose.randomised import binomial, click_rates, fixed_ranks
from ultr.diagnose.residuals import read_residuals
from ultr.diagnose.result import Curves, Diagnosis, State
from ultr.errors import DataError
from ultr.lake import Lake, open_lake

Floats = NDArray[np.float64]


def diagnose(
    lake: Lake | str | Path,
    *,
    run: str | Path | None = None,
    config: DiagnoseConfig | None = None,
    quiet: bool = True,
) -> Diagnosis:
    """Say what a log is fit for: its quality, what identifies its bias, and what that bias is.

    What a lake lacks is told in a finding, and the rest is diagnosed.

    Args:
        lake: a lake, or its folder.
        run: folder of a trained run, whose residuals and propensities are looked at too.
        config: settings.
        quiet: show no progress.

    Raises:
        DataError: no lake, a file of it is gone or damaged, or a run that cannot be read.

    Example:
        >>> ultr.diagnose("lake").state  # doctest: +SKIP
        'swaps'
    """
    lake = lake if isinstance(lake, Lake) else open_lake(lake)
    config = config or DiagnoseConfig()
    run = None if run is None else Path(run)
    _check_run(run)
    if not lake.rows("sessions"):
        advice = f"read a log: ultr ingest LOG --format … --lake {lake.root}"
        return Diagnosis("unknown", (missing("log", "the lake holds no pages.", advice=advice),))
    findings = about_log(lake, count_pages(lake, memory_gib=config.memory_gib))
    if not lake.rows("exposures"):
        advice = f"run: ultr lists --lake {lake.root}"
        words = "position bias is read from exposures, which the lake does not have yet."
        findings.append(missing("identifiability", words, advice=advice))
        return Diagnosis("unknown", tuple(findings + _about_run(run)))
    counts = count(lake, config=config, quiet=quiet)
    found = sample(lake, rows=config.sample_rows)
    auc = {} if found is None else rank_auc(found)
    graph = context_graph(counts)
    state = state_of(position_graph(graph), auc, config=config)
    findings += about_swaps(counts, graph, auc, state, config=config)
    by_position = counts.by_position
    curves = Curves()
    if by_position[:, 1].sum() and counts.positions > 1:
        curves = _curves(counts, config=config)
        findings += _about_curves(curves, counts, state, run, config=config)
    findings.append(about_policy(None if found is None else strength(found)))
    shown = {k: (int(n), int(c)) for k, (n, c) in enumerate(by_position.tolist(), start=1) if n}
    return Diagnosis(state, tuple(findings + _about_run(run)), curves, graph, auc, shown)


def _curves(counts: Counts, *, config: DiagnoseConfig) -> Curves:
    fit = partial(curve, replicates=config.replicates, seed=config.seed)
    by_name: dict[str, Callable[[Floats], Floats]] = {
        name: partial(estimate, positions=counts.positions) for name, estimate in ESTIMATES.items()
    }
    shown = counts.shown.sum(0)
    ctr = fit(shown, click_rates)
    if with_data(shown) < FEW_QUERIES:
        ctr = binomial(shown.sum(0), ctr)
    estimates = {name: fit(counts.swaps, estimate) for name, estimate in by_name.items()}
    estimates = {name: c for name, c in estimates.items() if len(c.known) > 1}
    fixed = fixed_ranks(counts)
    if config.is_randomised or (fixed is not None and fixed.is_shuffled):
        estimates["randomised"] = ctr
    drift: dict[str, dict[str, Curve]] = {}
    if len(counts.windows.names) > 1:
        harvested = partial(all_pairs, positions=counts.positions)
        names = counts.windows.names
        drift = {
            "ctr": {n: fit(s, click_rates) for n, s in zip(names, counts.shown, strict=True)},
            "all_pairs": {
                n: fit(s, harvested) for n, s in zip(names, counts.window_swaps, strict=True)
            },
        }
    return Curves(ctr, estimates, drift)


def _about_curves(
    curves: Curves, counts: Counts, state: State, run: Path | None, *, config: DiagnoseConfig
) -> list[Finding]:
    assert curves.ctr is not None  # noqa: S101  there are clicks
    estimates = curves.estimates
    unknown = Curve(*(np.full(counts.positions, np.nan) for _ in range(4)))
    harvested = estimates.get("all_pairs", unknown)
    found = [
        about_ctr(counts, curves.ctr),
        about_harvesting(harvested, curves.ctr, state, counts),
        about_randomisation(
            estimates.get("randomised"), fixed_ranks(counts), is_told=config.is_randomised
        ),
        about_drift(curves.drift, len(counts.windows.names)),
    ]
    used, source = _propensities(run, counts.positions), f"of {run}"
    if used is None:
        name = "randomised" if "randomised" in estimates else "all_pairs"
        used, source = (
            estimates.get(name),
            "by randomisation" if name == "randomised" else "harvested",
        )
    if used is not None:
        found.append(about_weights(counts.by_position[:, 1], used, source=source))
    return found


def _about_run(run: Path | None) -> list[Finding]:
    return [] if run is None else [about_residuals(run, read_residuals(run))]


def _check_run(run: Path | None) -> None:
    if run is not None and not run.is_dir():
        raise DataError(
            "a run is a folder that ultr train made",
            got=f"{run} is none",
            hint=f"train one with: ultr train --lake LAKE --run {run}",
        )


def _propensities(run: Path | None, positions: int) -> Curve | None:
    """The curve of a run, by position, without an interval; None if it has none."""
    path = None if run is None else run / "propensities.parquet"
    if path is None or not path.exists():
        return None
    try:
        table = pq.read_table(path, columns=["position", "propensity"])
    except (OSError, KeyError, ValueError, pa.ArrowException) as error:
        raise DataError(
            "a run's propensities must be readable",
            got=f"{path}: {str(error).splitlines()[0]}",
            hint="train the run again",
        ) from error
    value = np.full(positions, np.nan)
    for k, p in zip(*(table[c].to_pylist() for c in table.column_names), strict=True):
        if 1 <= k <= positions and p > 0:
            value[k - 1] = p
    return Curve(value, value, value, np.zeros(positions))
