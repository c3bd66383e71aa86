"""Two or more runs on the same queries: differences, intervals, p-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ultr.data import Lists, load_lists
from ultr.errors import DataError, UsageError
from ultr.eval.clicks import listwise_nll
from ultr.eval.evaluate import EvaluateConfig, per_query_metrics
from ultr.eval.held_out import held_out_lists
from ultr.eval.run import RunLike
from ultr.eval.significance import bootstrap_interval, paired_randomisation_test
from ultr.lake import open_lake
from ultr.train import open_run

Floats = NDArray[np.float64]

METRICS = ("ndcg@10", "ndcg@5", "dcg@10", "err@10", "mrr", "map")
CLICKS = "click_nll_listwise"


@dataclass(frozen=True)
class Compared:
    """One metric of one run beside the first run's.

    Args:
        run: its folder.
        metric: a ranking metric (higher is better), or `click_nll_listwise` (lower is better).
        n_queries: that both runs were measured on.
        value: mean over queries; of the likelihood, over clicks.
        difference: from the first run; 0 for itself.
        low: 95% bootstrap interval of the difference over queries.
        high: its upper end.
        p: of the paired randomisation test; 1 for the first run.
    """

    run: str
    metric: str
    n_queries: int
    value: float
    difference: float
    low: float
    high: float
    p: float


def compare(
    runs: Sequence[str | Path | RunLike], *, lake: str | Path, config: EvaluateConfig | None = None
) -> list[Compared]:
    """Compare runs with the first one, on the judged queries and the held-out clicks of a lake.

    Args:
        runs: at least two runs or their folders; the first is what the others are compared with.
        lake: where to evaluate.
        config: which queries, and the gain.

    Raises:
        UsageError: fewer than two runs.
        DataError: neither judgments nor held-out clicks.

    Example:
        >>> compare(["runs/naive", "runs/dla"], lake="lake")  # doctest: +SKIP
    """
    if len(runs) < 2:
        raise UsageError(
            "a comparison needs at least two runs",
            got=f"{len(runs)}",
            hint="for example: ultr compare runs/naive runs/dla --lake lake",
        )
    chosen, source = config or EvaluateConfig(), open_lake(lake)
    opened = [open_run(r) if isinstance(r, str | Path) else r for r in runs]
    found: list[Compared] = []
    if source.rows("judgments"):
        tables = [per_query_metrics(run, source, config=chosen).table for run in opened]
        found += _rankings(opened, tables)
    if source.rows("lists"):
        found += _likelihoods(opened, load_lists(source), split=chosen.queries)
    if not found:
        raise DataError(
            "a comparison needs judged queries, or held-out clicks",
            got=f"{source.root} has neither",
            hint=f"add grades with: ultr judgments FILE --lake {source.root}",
        )
    return found


def _rankings(runs: Sequence[RunLike], tables: Sequence[pa.Table]) -> list[Compared]:
    first = tables[0]
    return [
        _compared(
            run,
            metric,
            table[metric].to_numpy(),
            first[metric].to_numpy(),
        )
        for metric in METRICS
        for run, table in zip(runs, tables, strict=True)
        if table.num_rows
    ]


def _compared(run: RunLike, metric: str, values: Floats, base: Floats) -> Compared:
    """Values per query of both runs, in the same order: they rank the same judged queries."""
    difference = values - base
    low, high = bootstrap_interval(difference, resamples=2_000)
    return Compared(
        run=str(run.root),
        metric=metric,
        n_queries=len(values),
        value=float(values.mean()),
        difference=float(difference.mean()),
        low=low,
        high=high,
        p=paired_randomisation_test(values, base),
    )


def _likelihoods(runs: Sequence[RunLike], data: Lists, *, split: str) -> list[Compared]:
    """Held-out click likelihood, on the sessions whose positions every run knows."""
    parts = [held_out_lists(run, data, split=split) for run in runs]
    if len({p.by for p in parts}) > 1:
        return []  # held out by query for one and by session for another: not the same sessions
    common = min((p.lists for p in parts), key=lambda lists: lists.n_lists)
    clicks = common.clicks.astype(np.float64)
    if not clicks.sum():
        return []
    sums = [_by_query(run, common) for run in runs]
    total = np.bincount(common.list_query, clicks.sum(axis=1), len(common.query_id))
    has_clicks = total > 0
    share = total[has_clicks].mean()
    out = []
    for run, own in zip(runs, sums, strict=True):
        # Scaled so that the mean over queries is the mean over clicks.
        values, base = own[has_clicks] / share, sums[0][has_clicks] / share
        out.append(_compared(run, CLICKS, values, base))
    return out


def _by_query(run: RunLike, data: Lists) -> Floats:
    f, g = run.list_logits(data)
    nll = listwise_nll(f, g, clicks=data.clicks.astype(np.float64), where=data.where)
    return np.asarray(np.bincount(data.list_query, nll, len(data.query_id)), np.float64)


def as_table(found: Sequence[Compared]) -> pa.Table:
    """One row per run and metric."""
    rows: list[dict[str, Any]] = [vars(c) for c in found]
    return pa.Table.from_pylist(rows)
