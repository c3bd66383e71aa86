"""The whole way on planted bias: propensity error, and nDCG beside naive, true IPW and LightGBM.

    .venv/bin/python tests/benchmarks/first_light.py --mq2008 ../shared/data/mq2008

Every seed goes through files: simulate, ingest, features, judgments, lists, train, evaluate. The
methods differ in their weights only. LightGBM (extra `bench`) gets the same clicks of the same
training queries, as collapsed lists with their counts as weights, which is exact for its gradients.
Results go to `tests/benchmarks/results/first_light.json`.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

from ultr.etl.features import add_features
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.judgments import add_judgments
from ultr.etl.lists import ListsConfig, build_lists
from ultr.eval.evaluate import evaluate
from ultr.eval.ranking import ranking_metrics
from ultr.lake import open_lake
from ultr.letor import read_letor_files
from ultr.simulate import SimulateConfig, Synthetic, simulate
from ultr.train import TrainConfig, train_lake

METHODS = ("naive", "dla", "ipw")


def prepare(folder: Path, **settings: object) -> Path:
    """A lake with simulated sessions, through the raw log."""
    simulate(SimulateConfig(out=folder / "sim", **settings), quiet=True)
    lake = folder / "lake"
    config = IngestConfig(format="yandex")
    ingest([folder / "sim" / "log.tsv"], lake=lake, config=config, quiet=True)
    add_features(lake, source=folder / "sim" / "features.parquet")
    add_judgments(lake, source=folder / "sim" / "judgments.parquet", format="table")
    build_lists(lake, config=ListsConfig(), quiet=True)
    return lake


def train_all(folder: Path, lake: Path, *, seed: int, letor: list[Path]) -> dict[str, dict]:
    """Train and evaluate every method: method -> metrics."""
    truth, out = folder / "sim" / "truth.json", {}
    for method in METHODS:
        given = truth if method == "ipw" else None
        config = TrainConfig(method=method, propensities=given, seed=seed)
        summary = train_lake(lake=lake, run=folder / method, config=config)
        where = {"letor": letor} if letor else {"lake": lake, "queries": "test"}
        metrics = evaluate(folder / method, truth=truth, **where)
        out[method] = {
            "ndcg@10": metrics["ndcg@10"],
            "err@10": metrics["err@10"],
            "propensity_rmse": metrics["propensity_rmse"],
            **{k: summary[k] for k in ("seconds", "compile_seconds", "epochs", "best_epoch")},
        }
    return out


def lightgbm_ndcg(lake_path: Path, letor: list[Path], *, regularisation: float) -> dict[str, float]:
    """LambdaMART with and without `position` on the training queries' clicks: nDCG@10."""
    import lightgbm

    lake = open_lake(lake_path)
    features, rows = [], []
    base = 0
    for bucket in sorted({f.keys["bucket"] for f in lake.files("lists")}, key=int):
        candidates = lake.read("candidates", bucket=bucket)
        values = np.stack(candidates["features"].to_pylist()).astype(np.float32)
        rows += [
            {**row, "row": [base + r for r in row["row"]]}
            for row in lake.read("lists", bucket=bucket).to_pylist()
            if row["query_split"] == "train" and sum(row["click"])
        ]
        features.append(values)
        base += len(values)
    x = np.concatenate(features)
    size = np.array([len(r["row"]) for r in rows])
    flat = {k: np.concatenate([r[k] for r in rows]) for k in ("row", "click", "position")}
    test = read_letor_files(letor)
    out = {}
    for name, position in (("lightgbm", None), ("lightgbm_position", flat["position"] - 1)):
        data = lightgbm.Dataset(
            x[flat["row"]], flat["click"], group=size, position=position,
            weight=np.repeat([r["n"] for r in rows], size), params={"verbose": -1},
        )  # fmt: skip
        settings = {
            "objective": "lambdarank", "num_leaves": 31, "learning_rate": 0.1, "verbose": -1,
            "num_threads": 2, "lambdarank_position_bias_regularization": regularisation,
        }  # fmt: skip
        model = lightgbm.train(settings, data, 100)
        _, query = np.unique(test.qid, return_inverse=True)
        scores = model.predict(test.features)
        metrics = ranking_metrics(
            scores, test.grade, query=query, document=np.arange(len(scores)), max_grade=2
        )
        out[name] = float(metrics["ndcg@10"].mean())
    return out


def synthetic(seeds: int, sessions: int) -> list[dict]:
    """Propensity error on the generated set, for both logging policies."""
    out = []
    for logging in ("deterministic", "plackett-luce"):
        for seed in range(seeds):
            folder = Path(tempfile.mkdtemp())
            lake = prepare(
                folder, synthetic=Synthetic(), sessions=sessions, seed=seed, logging=logging
            )
            result = train_all(folder, lake, seed=seed, letor=[])
            out.append({"logging": logging, "seed": seed, "methods": result})
            report("synthetic", out[-1])
            shutil.rmtree(folder)
    return out


def mq2008(parts: Path, seeds: int, sessions: int) -> list[dict]:
    """Train on partitions 1 and 2, test on 3; paired over seeds."""
    out = []
    for seed in range(seeds):
        folder = Path(tempfile.mkdtemp())
        training = (parts / "S1.txt", parts / "S2.txt")
        lake = prepare(folder, letor=training, sessions=sessions, seed=seed)
        test = [parts / "S3.txt"]
        result = train_all(folder, lake, seed=seed, letor=test)
        result["lightgbm"] = lightgbm_ndcg(lake, test, regularisation=0.0)
        out.append({"seed": seed, "methods": result})
        report("mq2008", out[-1])
        shutil.rmtree(folder)
    return out


def report(name: str, line: dict) -> None:
    """One line per seed on standard error, so that a long run can be watched."""
    sys.stderr.write(f"{name} {json.dumps(line)}\n")


def summarise(runs: list[dict]) -> dict[str, float]:
    """Means over seeds, and the share of the gap to IPW that DLA closes."""

    def mean(method: str, key: str) -> float:
        return float(np.mean([r["methods"][method][key] for r in runs]))

    out = {f"{m} ndcg@10": mean(m, "ndcg@10") for m in METHODS}
    out["dla propensity_rmse"] = mean("dla", "propensity_rmse")
    out["dla seconds"] = mean("dla", "seconds")
    gap = out["ipw ndcg@10"] - out["naive ndcg@10"]
    if gap > 0.02:
        out["share of the gap closed"] = (out["dla ndcg@10"] - out["naive ndcg@10"]) / gap
    if "lightgbm" in runs[0]["methods"]:
        for name in ("lightgbm", "lightgbm_position"):
            out[f"{name} ndcg@10"] = mean("lightgbm", name)
    return {k: round(v, 4) for k, v in out.items()}


def main() -> None:
    """Run and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mq2008", type=Path, help="folder with S1.txt, S2.txt, S3.txt")
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--synthetic-seeds", type=int, default=3)
    parser.add_argument("--mq2008-seeds", type=int, default=10)
    chosen = parser.parse_args()
    out = {
        "command": f"python tests/benchmarks/first_light.py {' '.join(sys.argv[1:])}",
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": {p: version(p) for p in ("jax", "flax", "optax", "polars", "duckdb")},
        "summary": {},
    }
    runs = synthetic(chosen.synthetic_seeds, chosen.sessions)
    for logging in ("deterministic", "plackett-luce"):
        part = [r for r in runs if r["logging"] == logging]
        if part:
            out["summary"][f"synthetic, {logging}"] = summarise(part)
    out["synthetic"] = runs
    if chosen.mq2008 and chosen.mq2008_seeds:
        out["mq2008"] = mq2008(chosen.mq2008, chosen.mq2008_seeds, chosen.sessions)
        out["summary"]["mq2008, deterministic"] = summarise(out["mq2008"])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    out["peak_memory_gib"] = round(peak, 2)
    path = Path(__file__).parent / "results" / "first_light.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(out, indent=1) + "\n")
    sys.stdout.write(json.dumps(out["summary"], indent=1) + "\n")


if __name__ == "__main__":
    main()
