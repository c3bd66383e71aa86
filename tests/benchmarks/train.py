"""How fast training is: head-heavy, tail-heavy beside its bare matrix products, out of core.

    .venv/bin/python tests/benchmarks/train.py --speed

Ratios are of measurements that take turns in one process, so that a busy machine slows both sides;
figures are medians. Results go to `tests/benchmarks/results/train_speed.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pyarrow.parquet as pq
from made import DOCUMENTS, tail_lists, write_lake
from speed import best_matmuls, matmuls, rounded, step_flops, trainer

from ultr.data import Lists, load_lists
from ultr.eval.ranking import ranking_metrics
from ultr.lake import open_lake
from ultr.train import TrainConfig, fit
from ultr.train.lake_lists import LakeLists
from ultr.train.part import Part, select_part
from ultr.train.run import Run
from ultr.train.source import InMemory
from ultr.train.splits import split_lists
from ultr.train.stream import open_source

HIDDEN, FEATURES = (512, 256, 128), 136
RESULTS = Path(__file__).parent / "results" / "train_speed.json"


def tail_heavy(*, sessions: int, rounds: int) -> dict[str, Any]:
    """Nothing to collapse; epochs and bare matrix products take turns."""
    config = TrainConfig(hidden=HIDDEN, documents_per_batch=2048)
    data = select_part(tail_lists(sessions, features=FEATURES), "train", by="query")
    source = InMemory(data, spec=config.ranker_spec(), config=config)
    state = trainer(config, features=FEATURES)
    widths = (FEATURES, *HIDDEN, 1)
    _, shape = best_matmuls(widths, dtype="float32", documents=8192)
    alone = matmuls(widths, shape, dtype="float32", repeats=65_536 // shape)
    state.epoch(source, 1)
    pairs = []
    for number in range(rounds):
        rate = data.n_lists / state.epoch(source, 2 + number)
        pairs.append((rate, rate * DOCUMENTS / alone()))
    rates, shares = np.array(pairs).T
    return {
        "sessions_per_s": float(np.median(rates)),
        "best_sessions_per_s": float(rates.max()),
        "share_of_matmuls_alone": float(np.median(shares)),
        "matmuls_alone_batch": shape,
        "gflops": float(np.median(rates)) * DOCUMENTS * step_flops(widths) / 1e9,
        "sessions": data.n_lists,
        "rounds": rounds,
    }


def out_of_core(folder: Path, *, sessions: int, rounds: int) -> dict[str, Any]:
    """A lake four times the limit beside the same lake in memory, epoch by epoch in turn."""
    config = TrainConfig(hidden=HIDDEN, documents_per_batch=2048)
    spec = config.ranker_spec()
    lake = open_lake(write_lake(folder, queries=sessions, features=FEATURES, buckets=32))
    size = LakeLists(lake, limit=1).bytes_to_train
    streamed = LakeLists(lake, limit=size // 4)
    part, _, _ = split_lists(streamed, spec)
    with part.cached(folder) as cached:
        parts = (cached, part, split_lists(load_lists(lake), spec)[0])
        sources = [open_source(one, spec=spec, config=config) for one in parts]
        states = [trainer(config, features=FEATURES) for _ in sources]
        first = [state.epoch(source, 1) for state, source in zip(states, sources, strict=True)]
        rounds_s = [
            [state.epoch(source, 2 + number) for state, source in zip(states, sources, strict=True)]
            for number in range(rounds)
        ]
    cached_s, uncached_s, memory_s = np.array(rounds_s).T
    trained = sessions * 9 / 10
    return {
        "sessions_per_s": trained / float(np.median(cached_s)),
        "in_memory_sessions_per_s": trained / float(np.median(memory_s)),
        "share_of_in_memory_rate": float(np.median(memory_s / cached_s)),
        "first_epoch_s": first[0],
        "share_on_a_disk_without_room": float(np.median(memory_s / uncached_s)),
        "bytes_to_train": size,
        "memory_limit": size // 4,
        "buckets_together": streamed.group,
        "sessions": int(trained),
        "rounds": rounds,
    }


def peak_memory(folder: Path, *, limit: int | None) -> float:
    """GiB that a training adds to a process that has compiled one, in a process of its own."""
    code = (
        "import sys; from pathlib import Path; import train;"
        "train.grow(Path(sys.argv[1]), int(sys.argv[2]) or None)"
    )
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(limit or 0)],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, check=True,
    )  # fmt: skip
    return float(done.stdout.split()[-1])


def grow(folder: Path, limit: int | None) -> None:
    """Train two epochs and print by how much the peak of memory rose, GiB."""
    config = TrainConfig(hidden=HIDDEN, documents_per_batch=2048)
    spec = config.ranker_spec()
    small = select_part(tail_lists(2000, features=FEATURES), "train", by="query")
    trainer(config, features=FEATURES).epoch(InMemory(small, spec=spec, config=config), 1)
    before = _peak_kib()
    lake = open_lake(folder)
    data: Lists | LakeLists = load_lists(lake) if limit is None else LakeLists(lake, limit=limit)
    part, _, _ = split_lists(data, spec)
    del data
    state = trainer(config, features=FEATURES)
    with part.cached(folder) if isinstance(part, Part) else nullcontext(part) as read:
        source = open_source(read, spec=spec, config=config)
        for epoch in (1, 2):
            state.epoch(source, epoch)
    sys.stdout.write(f"{(_peak_kib() - before) / 2**20}\n")


def _peak_kib() -> int:
    """Peak resident memory; `ru_maxrss` would include that of the process that started this one."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def head_heavy(folder: Path, *, sessions: int, rounds: int) -> dict[str, Any]:
    """The synthetic set: rate after compilation, and when DLA reaches its final nDCG@10."""
    from first_light import prepare  # the table side, which the other measurements do without

    from ultr.simulate import Synthetic

    lake = prepare(folder, synthetic=Synthetic(), sessions=sessions, seed=0)
    data = load_lists(lake)
    out = rate_of(data, rounds=rounds)
    judged = Judged(folder / "sim", data)
    began = time.perf_counter()
    run = fit(data, run=folder / "run", hidden=HIDDEN)
    default_s, final = time.perf_counter() - began, judged.ndcg(run)
    out["by_default"] = {
        "ndcg@10": final,
        "seconds": default_s,
        "compile_seconds": run.summary["compile_seconds"],
    }
    jax.clear_caches()
    began = time.perf_counter()
    joint = fit(data, run=folder / "joint", hidden=HIDDEN, is_refitted=False, weight_decay=1.0)
    out["joint_training"] = {
        "ndcg@10": judged.ndcg(joint),
        "seconds": time.perf_counter() - began,
        "compile_seconds": joint.summary["compile_seconds"],
    }
    out["to_99_percent_of_its_end"] = to_target(folder, data, judged, out)
    return out


def to_target(folder: Path, data: Lists, judged: Judged, out: dict[str, Any]) -> dict[str, Any]:
    """The shortest joint training, from nothing compiled, whose nDCG@10 is 99% of its end."""
    target = 0.99 * out["joint_training"]["ndcg@10"]
    for evaluations in (1, 2, 3, 4, 6, 8, 12, 20, 40):
        jax.clear_caches()
        began = time.perf_counter()
        run = fit(
            data, run=folder / f"short-{evaluations}", hidden=HIDDEN, is_refitted=False,
            weight_decay=1.0, evaluations=evaluations,
        )  # fmt: skip
        seconds, reached = time.perf_counter() - began, judged.ndcg(run)
        if reached >= target:
            break
    return {
        "seconds": seconds,
        "compile_seconds": run.summary["compile_seconds"],
        "ndcg@10": reached,
        "epochs": run.summary["epochs"],
        "of_default": reached / out["by_default"]["ndcg@10"],
    }


def rate_of(data: Lists, *, rounds: int) -> dict[str, Any]:
    """Sessions/s through the optimizer after compilation, of 20 epochs each round."""
    config = TrainConfig(hidden=HIDDEN)
    spec = config.ranker_spec()
    source = InMemory(split_lists(data, spec)[0], spec=spec, config=config)
    sessions = data.sessions_of("train", by="query")
    state = trainer(config, features=data.n_features, positions=data.max_position)
    compile_s = state.epoch(source, 1)
    rates = [
        20 * sessions / sum(state.epoch(source, 2 + 20 * r + e) for e in range(20))
        for r in range(rounds)
    ]
    return {
        "sessions_per_s": float(np.median(rates)),
        "best_sessions_per_s": max(rates),
        "first_epoch_s": compile_s,
        "sessions": sessions,
    }


class Judged:
    """Grades of queries that were never logged."""

    def __init__(self, simulated: Path, data: Lists) -> None:
        tables = [
            pq.read_table(simulated / f"{name}.parquet").sort_by(
                [("query_id", "ascending"), ("doc_id", "ascending")]
            )
            for name in ("features", "judgments")
        ]
        features, judgments = tables
        query = judgments["query_id"].to_numpy()
        chosen = ~np.isin(query, data.query_id[data.list_query])
        self.features = np.stack(features["features"].to_numpy())[chosen]
        self.grade = judgments["grade"].to_numpy()[chosen]
        self.query = np.unique(query[chosen], return_inverse=True)[1]

    def ndcg(self, run: Run) -> float:
        """Mean nDCG@10."""
        scores = run.score(self.features)
        documents = np.arange(len(scores))
        metrics = ranking_metrics(
            scores, self.grade, query=self.query, document=documents, max_grade=4
        )
        return float(metrics["ndcg@10"].mean())


def main() -> None:
    """Run what was asked for and write it into the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", nargs="*", choices=["tail", "core", "head"], default=None)
    parser.add_argument("--sessions", type=int, default=1_000_000, help="of the head-heavy log")
    parser.add_argument("--tail-sessions", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scratch", type=Path, help="folder for logs and lakes")
    chosen = parser.parse_args()
    out = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    folder = Path(tempfile.mkdtemp(dir=chosen.scratch))
    tail = {"sessions": chosen.tail_sessions, "rounds": chosen.rounds}
    for name in chosen.speed or ("tail", "core", "head"):
        if name == "tail":
            found = tail_heavy(**tail)
        elif name == "core":
            found = out_of_core(folder / "core", **tail)
            found["peak_growth_gib"] = peak_memory(folder / "core", limit=found["memory_limit"])
            found["in_memory_peak_growth_gib"] = peak_memory(folder / "core", limit=None)
        else:
            found = head_heavy(folder / "head", sessions=chosen.sessions, rounds=chosen.rounds)
        found["command"] = f"python tests/benchmarks/train.py {' '.join(sys.argv[1:])}"
        found["load_average"] = os.getloadavg()[0]
        found["niceness"] = os.nice(0)
        out[name] = rounded(found)
        sys.stdout.write(json.dumps({name: out[name]}, indent=1) + "\n")
    shutil.rmtree(folder)
    out["machine"] = f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}"
    packages = ("jax", "jaxlib", "flax", "optax", "numpy", "pyarrow")
    out["versions"] = {package: version(package) for package in packages}
    RESULTS.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
