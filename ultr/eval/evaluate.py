"""Evaluate a run: on a lake's judgments and held-out clicks, or on LETOR files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ultr.config import from_mapping
from ultr.data import load_lists
from ultr.errors import DataError, UsageError
from ultr.eval.documents import Documents, lake_documents, letor_documents
from ultr.eval.held_out import click_metrics
from ultr.eval.output import replacing
from ultr.eval.propensity import propensity_rmse, read_truth
from ultr.eval.ranking import Gain, ranking_metrics
from ultr.eval.run import RunLike, check_names
from ultr.lake import Lake, open_lake
from ultr.progress import progress
from ultr.train import open_run

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class EvaluateConfig:
    """How to evaluate.

    Args:
        queries: the split of a lake's queries; LETOR files are used whole.
        gain: `exponential` (2^grade − 1), or `linear` as in trec_eval.
        max_grade: top of the grade scale, for ERR; by default that of the judgments.
        per_query: Parquet file for the metrics of each query.
    """

    queries: Literal["test", "validation", "train", "all"] = "test"
    gain: Gain = "exponential"
    max_grade: int | None = None
    per_query: Path | None = None


def evaluate(
    run: str | Path | RunLike,
    *,
    lake: Path | None = None,
    letor: Sequence[Path] = (),
    truth: Path | None = None,
    config: EvaluateConfig | None = None,
    quiet: bool = True,
    **settings: Any,
) -> dict[str, Any]:
    """Ranking metrics on grades, click metrics on held-out sessions, propensity error on a truth.

    All candidates of a judged query are ranked; those without a judgment count as irrelevant.

    Args:
        run: a run, or its folder.
        lake: evaluate on its judgments and on its held-out clicks, or
        letor: on these LETOR files.
        truth: a `truth.json` with the planted propensities.
        config: the settings; or give them one by one as keywords.
        quiet: show no progress.
        **settings: fields of `EvaluateConfig`, instead of `config`.

    Returns:
        A flat object; what does not apply is absent. `queries gain`; `n_queries
        n_queries_without_relevant max_grade` and the means over queries `ndcg@k dcg@k
        precision@k` (k = 1, 3, 5, 10) `err@10 mrr map`; `click_nll_listwise`, and `click_nll
        perplexity` of methods that predict probabilities, with `n_sessions` and what they were
        `held_out_by`; `propensity_rmse`.

    Raises:
        UsageError: not exactly one of `lake` and `letor`.
        DataError: not a run, nothing to evaluate on, or features that are not the run's.

    Example:
        >>> evaluate("runs/dla", lake=Path("lake"))["ndcg@10"]  # doctest: +SKIP
    """
    chosen = config or from_mapping(EvaluateConfig, settings, where="evaluate")
    if (lake is None) == (not letor):
        raise UsageError(
            "a run is evaluated on a lake or on LETOR files",
            got="neither" if lake is None else "both",
            hint="give either --lake LAKE or --letor FILE...",
        )
    opened = open_run(run) if isinstance(run, str | Path) else run
    out: dict[str, Any] = {"queries": "all" if letor else chosen.queries, "gain": chosen.gain}
    if lake is not None:
        out |= _on_lake(opened, open_lake(lake), config=chosen, quiet=quiet)
    else:
        out |= _ranking(_letor_scores(opened, letor), config=chosen)
    if truth is not None:
        table = opened.propensities
        out["propensity_rmse"] = propensity_rmse(
            table["propensity"].to_numpy(), read_truth(truth), position=table["position"].to_numpy()
        )
    return out


def _on_lake(run: RunLike, lake: Lake, *, config: EvaluateConfig, quiet: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if lake.rows("judgments"):
        lake.require("candidates", hint=f"run: ultr lists --lake {lake.root}")
        out |= _ranking(_lake_scores(run, lake, split=config.queries, quiet=quiet), config=config)
    if lake.rows("lists"):
        out |= click_metrics(run, load_lists(lake), split=config.queries)
    if not out:
        raise DataError(
            "evaluation needs grades, or held-out sessions with clicks",
            got=f"{lake.root} has no judgments and no such sessions ({config.queries})",
            hint=f"add grades with: ultr judgments FILE --lake {lake.root}",
        )
    return out


Scored = tuple[Documents, Floats]


def _lake_scores(run: RunLike, lake: Lake, *, split: str, quiet: bool) -> Iterator[Scored]:
    reads_features = run.config["reads"] == "features"
    if reads_features:
        check_names(run, lake)
    blocks = lake_documents(lake, split=split, with_features=reads_features)
    total = len({f.keys["bucket"] for f in lake.files("candidates")})
    with progress("evaluate", total=total, unit="buckets", quiet=quiet) as advance:
        for d in blocks:
            yield d, run.score_candidates(d.query_id[d.query], d.document, d.features)
            advance(1)


def _letor_scores(run: RunLike, paths: Sequence[Path]) -> Iterator[Scored]:
    documents = letor_documents(paths)
    features = documents.features
    assert features is not None  # noqa: S101  LETOR has always features
    wanted = run.config.get("n_features", features.shape[1])
    if run.config["reads"] == "features" and features.shape[1] != wanted:
        raise DataError(
            f"the run ranks by {wanted} features",
            got=f"{features.shape[1]} in {', '.join(map(str, paths))}",
            hint="give files with the features of training; where the last ones are only left out"
            f" for being 0, write {wanted}:0 into one line",
        )
    yield documents, run.score(features, documents.query.astype(np.int32))


def _ranking(scored: Iterable[Scored], *, config: EvaluateConfig) -> dict[str, Any]:
    parts, n_seen, top = [], 0, 0
    for documents, scores in scored:
        top = documents.max_grade if config.max_grade is None else config.max_grade
        metrics = ranking_metrics(
            scores,
            documents.grade,
            query=documents.query,
            document=documents.document,
            max_grade=top,
            gain=config.gain,
        )
        query_id = documents.query_id[metrics.pop("query")]
        parts.append(pa.table({"query_id": query_id, **metrics}))
        n_seen += len(documents.query_id)
    table = pa.concat_tables(parts)
    if config.per_query is not None:
        with replacing(config.per_query) as path:
            pq.write_table(table, path, compression="zstd")
    out: dict[str, Any] = {
        "n_queries": table.num_rows,
        "n_queries_without_relevant": n_seen - table.num_rows,
        "max_grade": top,
    }
    if table.num_rows:
        means = (n for n in table.column_names if not n.startswith(("query_id", "n_")))
        out |= {name: float(table[name].to_numpy().mean()) for name in means}
    return out
