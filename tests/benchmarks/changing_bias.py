"""Bias that changes midway: η 0.5, then 2. How soon does a run that is continued follow?

    .venv/bin/python tests/benchmarks/changing_bias.py

A log with η = 0.5 is trained on; then nights with η = 2 come, each a source of its own, and each
continues the run of the night before on its own sessions only (`ultr train --continue`). Beside it,
for each night: the run before it, which does not know of the change, and a run that is trained anew
on all nights and the first log together. The error is the RMSE of relative propensities against
those of η = 2. Results go to `tests/benchmarks/results/changing_bias.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from ultr.etl.features import add_features
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.lists import ListsConfig, build_lists
from ultr.simulate import SimulateConfig, Synthetic, simulate
from ultr.train import TrainConfig, open_run, train_lake

RESULTS = Path(__file__).parent / "results" / "changing_bias.json"
GOAL = 0.1


def simulated(out: Path, *, eta: float, sessions: int, seed: int, logging: str) -> Path:
    """A log; the judged set and the logger depend on the seed alone."""
    simulate(
        SimulateConfig(
            out=out,
            synthetic=Synthetic(),
            eta=eta,
            sessions=sessions,
            seed=seed,
            logging=logging,
            format="table",
        ),
        quiet=True,
    )
    return out


def nights_of(log: Path, folder: Path, *, sessions: int) -> list[Path]:
    """Cut a log of one row a page into files of so many pages."""
    folder.mkdir()
    rows, paths = pq.read_table(log), []
    for number, begin in enumerate(range(0, rows.num_rows, sessions)):
        paths.append(folder / f"night-{number}.parquet")
        pq.write_table(rows.slice(begin, sessions), paths[-1])
    return paths


def add(lake: Path, log: Path, *, mapping: Path) -> None:
    """One more source."""
    config = IngestConfig(format="table", mapping=mapping)
    ingest([log], lake=lake, config=config, quiet=True)


def error(run: Path, truth: list[float]) -> float:
    """RMSE of the run's relative propensities."""
    found = open_run(run).propensities["propensity"].to_numpy()
    return float(np.sqrt(np.mean((found - np.asarray(truth)[: len(found)]) ** 2)))


def experiment(folder: Path, *, seed: int, logging: str, chosen: argparse.Namespace) -> dict:
    """All nights of one seed."""
    common = {"seed": seed, "logging": logging}
    before = simulated(folder / "before", eta=0.5, sessions=chosen.before, **common)
    total = chosen.nights * chosen.night
    after = simulated(folder / "after", eta=2.0, sessions=total, **common)
    old, new = (json.loads((f / "truth.json").read_text())["relative_propensity"]
                for f in (before, after))  # fmt: skip
    lake, run, config = folder / "lake", folder / "run-0", TrainConfig(seed=seed)
    add(lake, before / "log.parquet", mapping=before / "mapping.toml")
    add_features(lake, source=before / "features.parquet")
    build_lists(lake, config=ListsConfig(period="source"), quiet=True)
    summary = train_lake(lake=lake, run=run, config=config)
    out = {
        "seed": seed,
        "logging": logging,
        "before": {"sessions": chosen.before, "rmse": error(run, old), "rmse_of_2": error(run, new),
                   "seconds": summary["seconds"]},
        "nights": [],
    }  # fmt: skip
    for number, log in enumerate(nights_of(after / "log.parquet", folder / "nights",
                                           sessions=chosen.night), start=1):  # fmt: skip
        add(lake, log, mapping=before / "mapping.toml")
        build_lists(lake, config=ListsConfig(period="source"), quiet=True)
        continued = folder / f"run-{number}"
        summary = train_lake(lake=lake, run=continued, config=config, continue_from=run)
        train_lake(lake=lake, run=folder / f"anew-{number}", config=config)
        out["nights"].append({
            "sessions_since_the_change": number * chosen.night,
            "continued": error(continued, new),
            "anew_on_everything": error(folder / f"anew-{number}", new),
            "seconds": summary["seconds"],
        })  # fmt: skip
        sys.stderr.write(f"{json.dumps(out['nights'][-1])}\n")
        run = continued
    return out


def followed_after(run: dict) -> int | None:
    """Sessions since the change after which the curve is right and stays so; None if never."""
    good = None
    for night in reversed(run["nights"]):
        if night["continued"] > GOAL:
            break
        good = night["sessions_since_the_change"]
    return good


def main() -> None:
    """Run and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=int, default=100_000, help="sessions with η = 0.5")
    parser.add_argument("--night", type=int, default=20_000, help="sessions of a night with η = 2")
    parser.add_argument("--nights", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=1)
    chosen = parser.parse_args()
    runs: list[dict] = []
    for seed in range(chosen.seeds):
        for logging in ("plackett-luce", "deterministic"):
            with tempfile.TemporaryDirectory() as folder:
                runs.append(experiment(Path(folder), seed=seed, logging=logging, chosen=chosen))
            write(runs)
    followed = {f"{r['logging']}, seed {r['seed']}": followed_after(r) for r in runs}
    sys.stdout.write(json.dumps(followed, indent=1) + "\n")


def write(runs: list[dict]) -> None:
    """Write the results so far."""
    out = {
        "command": f"python tests/benchmarks/changing_bias.py {' '.join(sys.argv[1:])}".strip(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "goal": f"RMSE against the curve of η = 2 of at most {GOAL}, then and later",
        "sessions_until_followed": {
            f"{r['logging']}, seed {r['seed']}": followed_after(r) for r in runs
        },
        "runs": runs,
    }
    RESULTS.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
