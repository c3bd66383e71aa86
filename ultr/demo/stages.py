"""The demo's stages: each calls what the command of the same name calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ultr.demo.config import METHODS, DemoConfig

Result = dict[str, Any]


def simulate(config: DemoConfig) -> Result:
    """A raw log with planted position bias."""
    from ultr.simulate import SimulateConfig, Synthetic, simulate  # noqa: PLC0415

    judged = Synthetic(queries=config.queries, docs=config.docs, features=config.features)
    settings = SimulateConfig(
        out=config.simulation,
        synthetic=judged,
        logging=config.logging,
        temperature=config.temperature,
        eta=config.eta,
        sessions=config.sessions,
        seed=config.seed,
    )
    return simulate(settings, quiet=True)


def ingest(config: DemoConfig) -> Result:
    """The raw log into a lake."""
    from ultr.etl.ingest import IngestConfig, ingest  # noqa: PLC0415

    log = config.simulation / "log.tsv"
    return ingest([log], lake=config.lake, config=IngestConfig(format="yandex"), quiet=True)


def features(config: DemoConfig) -> Result:
    """Features of the log's documents."""
    from ultr.etl.features import add_features  # noqa: PLC0415

    return add_features(config.lake, source=config.simulation / "features.parquet")


def judgments(config: DemoConfig) -> Result:
    """Grades, for evaluation only."""
    from ultr.etl.judgments import add_judgments  # noqa: PLC0415

    source = config.simulation / "judgments.parquet"
    return add_judgments(config.lake, source=source, format="table")


def lists(config: DemoConfig) -> Result:
    """Splits, collapse, buckets."""
    from ultr.etl.lists import ListsConfig, build_lists  # noqa: PLC0415

    return build_lists(config.lake, config=ListsConfig(), quiet=True)


def coverage(config: DemoConfig) -> Result:
    """How many of the shown (query, document) pairs were seen at more than one rank."""
    from ultr.lake import open_lake  # noqa: PLC0415

    pairs, several = (
        open_lake(config.lake)
        .sql(
            "select count(*), count(*) filter (n > 1) from (select count(distinct position) as n"
            " from exposures group by query_id, doc_id)"
        )
        .fetchall()[0]
    )
    return {"pairs": pairs, "pairs_at_several_ranks": several}


def train(config: DemoConfig, method: str) -> Result:
    """One method; all with the same ranker, rates and selection."""
    from ultr.train import TrainConfig, train_lake  # noqa: PLC0415

    settings = TrainConfig(
        method=method,  # type: ignore[arg-type]
        propensities=config.truth if method == "ipw" else None,
        seed=config.seed,
    )
    return train_lake(lake=config.lake, run=config.run(method), config=settings)


def evaluate(config: DemoConfig) -> dict[str, Result]:
    """Metrics of each method on the test queries, with its difference in nDCG@10 from naive."""
    from ultr.eval.evaluate import evaluate  # noqa: PLC0415
    from ultr.eval.significance import bootstrap_interval  # noqa: PLC0415

    out: dict[str, Result] = {}
    for method in METHODS:
        run = config.run(method)
        out[method] = evaluate(
            run, lake=config.lake, truth=config.truth, per_query=run / "per_query.parquet"
        )
        gain = _per_query(config, method) - _per_query(config, "naive")
        if method != "naive":
            out[method]["difference"] = (float(gain.mean()), *bootstrap_interval(gain))
    return out


def _per_query(config: DemoConfig, method: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """nDCG@10 by query, in the order of the ids: the same queries for every method."""
    table = pq.read_table(
        config.run(method) / "per_query.parquet", columns=["query_id", "ndcg@10"]
    ).sort_by("query_id")
    values: np.ndarray[Any, np.dtype[np.float64]] = table["ndcg@10"].to_numpy()
    return values
