"""Evaluate a run: on a lake's judgments and held-out clicks, or on LETOR files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ultr.config import from_mapping
from ultr.data import Lists, load_lists
from ultr.errors import DataError, UsageError
from ultr.eval.documents import Documents, lake_documents, letor_documents
from ultr.eval.frequency import NOT_METRICS, by_frequency, with_frequency
from ultr.eval.held_out import click_metrics, held_out_lists
from ultr.eval.offline import examination_curve, offline_metrics
from ultr.eval.propensity import propensity_rmse, read_truth
from ultr.eval.ranking import Gain, ranking_metrics
from ultr.eval.residuals import residuals, write_residuals
from ultr.eval.run import Known, RunLike, check_names, identification, run_files
from ultr.lake import Lake, open_lake
from ultr.letor import MAX_GRADE
from ultr.progress import progress
from ultr.results import check_table_target, table_writer
from ultr.train import open_run

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class EvaluateConfig:
    """How to evaluate.

    Args:
        queries: the split of a lake's queries; LETOR files are used whole.
        gain: `exponential` (2^grade − 1), or `linear` as in trec_eval.
        max_grade: top of the grade scale, for ERR; by default that of the judgments.
        per_query: Parquet or CSV file for the metrics of each query.
        propensities: value new rankings with these instead of the run's own.
    """

    queries: Literal["test", "validation", "train", "all"] = "test"
    gain: Gain = "exponential"
    max_grade: int | None = None
    per_query: Path | None = None
    propensities: Path | None = None

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            UsageError: a grade outside the scale.
        """
        if self.max_grade is not None and not 1 <= self.max_grade <= MAX_GRADE:
            raise UsageError(
                f"the top of the grade scale is a whole number from 1 to {MAX_GRADE}",
                got=f"--max-grade {self.max_grade}",
                hint="give the highest grade that a judge could give",
            )


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
        precision@k` (k = 1, 3, 5, 10) `err@10 mrr map`; `known_documents of_documents` of a
        ranker with a parameter per pair; `click_nll_listwise`, and `click_nll
        perplexity` of methods that predict probabilities, with `n_sessions` and what they were
        `held_out_by`; `click_nll_calibrated perplexity_calibrated` and the worth of the new
        ranking without labels (`ultr.eval.offline.new_ranking_values`); `propensity_rmse`.
        `residuals.parquet` in the run's folder is written anew.

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
    if chosen.per_query is not None:
        inputs = [*letor, *([truth] if truth else []), *run_files(opened)]
        check_table_target(chosen.per_query, inputs=inputs)
    out: dict[str, Any] = {"queries": "all" if letor else chosen.queries, "gain": chosen.gain}
    if lake is not None:
        out |= _on_lake(opened, open_lake(lake), config=chosen, quiet=quiet)
    else:
        out |= _summary(_per_query(_letor_scores(opened, letor), config=chosen), config=chosen)
    if truth is not None:
        table = opened.propensities
        out["propensity_rmse"] = propensity_rmse(
            table["propensity"].to_numpy(), read_truth(truth), position=table["position"].to_numpy()
        )
    return out


def _on_lake(run: RunLike, lake: Lake, *, config: EvaluateConfig, quiet: bool) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if lake.rows("judgments"):
        found = per_query_metrics(run, lake, config=config, quiet=quiet)
        out |= _summary(found, config=config)
    if lake.rows("lists"):
        data = load_lists(lake)
        clicks = click_metrics(run, data, split=config.queries)
        out |= {name: value for name, value in clicks.items() if name not in out}
        if clicks:
            out |= _without_labels(run, data, lake=lake, config=config)
    if not out:
        raise DataError(
            "evaluation needs grades, or held-out sessions with clicks",
            got=f"{lake.root} has no judgments and no such sessions ({config.queries})",
            hint=f"add grades with: ultr judgments FILE --lake {lake.root}",
        )
    return out


def _without_labels(
    run: RunLike, data: Lists, *, lake: Lake, config: EvaluateConfig
) -> dict[str, Any]:
    """What held-out clicks say of the ranking; nothing where no examination is known."""
    chosen = held_out_lists(run, data, split=config.queries).lists
    f, g = run.list_logits(chosen)
    if run.root.is_dir() and os.access(run.root, os.W_OK):  # a run kept read-only has none
        write_residuals(run.root, residuals(f, g, chosen))
    curve = examination_curve(run, data, given=config.propensities)
    if curve is None:
        return {"no_new_ranking_values": "the method knows no examination; give --propensities"}
    state = identification(run) if config.propensities is None else None
    rests_on = {} if state is None else {"propensities_rest_on": state}
    return rests_on | offline_metrics(
        run, f, chosen, data=data, lake=lake, split=config.queries, curve=curve
    )


Scored = tuple[Documents, Floats]


def _lake_scores(
    run: RunLike, lake: Lake, *, known: Known, split: str, quiet: bool
) -> Iterator[Scored]:
    reads_features = run.config["reads"] == "features"
    if reads_features:
        check_names(run, lake)
    blocks = lake_documents(lake, split=split, with_features=reads_features)
    total = len({f.keys["bucket"] for f in lake.files("candidates")})
    with progress("evaluate", total=total, unit="buckets", quiet=quiet) as advance:
        for d in blocks:
            query_id = d.query_id[d.query]
            known.add(query_id, d.document)
            yield d, run.score_candidates(query_id, d.document, d.features)
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


@dataclass(frozen=True)
class PerQuery:
    """Ranking metrics of each query.

    Args:
        table: `query_id`, `n_documents`, `n_relevant` and the metrics; of a lake also `sessions`
            and `frequency` (`ultr.eval.frequency`).
        n_seen: queries, those without a relevant document included.
        max_grade: top of the scale.
        known: `known_documents of_documents` of a ranker with a parameter per pair.
    """

    table: pa.Table
    n_seen: int
    max_grade: int
    known: dict[str, int] = field(default_factory=dict)


def per_query_metrics(
    run: RunLike, lake: Lake, *, config: EvaluateConfig, quiet: bool = True
) -> PerQuery:
    """Ranking metrics of each judged query of a lake.

    Args:
        run: the run.
        lake: with judgments and candidates.
        config: which queries, and the gain.
        quiet: show no progress.

    Raises:
        DataError: candidates are missing, or features that are not the run's.
    """
    lake.require("candidates", hint=f"run: ultr lists --lake {lake.root}")
    known = Known(run)
    scored = _lake_scores(run, lake, known=known, split=config.queries, quiet=quiet)
    found = replace(_per_query(scored, config=config), known=known.report(lake.root))
    if not lake.rows("lists"):
        return found
    return replace(found, table=with_frequency(found.table, lake))


def _per_query(scored: Iterable[Scored], *, config: EvaluateConfig) -> PerQuery:
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
    return PerQuery(pa.concat_tables(parts), n_seen, top)


def _summary(found: PerQuery, *, config: EvaluateConfig) -> dict[str, Any]:
    table = found.table
    if config.per_query is not None:
        with table_writer(config.per_query, table.schema) as writer:
            writer.write_table(table)
    out: dict[str, Any] = {
        "n_queries": table.num_rows,
        "n_queries_without_relevant": found.n_seen - table.num_rows,
        "max_grade": found.max_grade,
    }
    if table.num_rows:
        means = (n for n in table.column_names if n not in NOT_METRICS)
        out |= {name: float(table[name].to_numpy().mean()) for name in means}
    if "frequency" in table.column_names:
        out |= by_frequency(table, metrics=("ndcg@10",))
    return out | found.known
