"""What one accelerator trains per second, what binds it, and what a pass over a large log takes.

    python tests/benchmarks/accelerator.py

Needs JAX, Flax, Optax, Orbax, pyarrow and NumPy; no data. Tail-heavy sessions of ten documents are
made up, an MLP 512-256-128 is trained on them by DLA: resident on the device, and streamed from a
lake in a temporary folder. Each stage is measured alone too: reading files (from the system's cache
where they were just written), decoding and planning on the host, copying to the device, and
arithmetic. Results go to `tests/benchmarks/results/accelerator.json`, or where --out says.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import numpy as np
from made import DOCUMENTS, tail_lists, write_lake
from speed import best_matmuls, rounded, step_flops, trainer

from ultr.lake import open_lake
from ultr.train import TrainConfig
from ultr.train.device import arrays_of, query_weight
from ultr.train.lake_lists import LakeLists
from ultr.train.part import select_part
from ultr.train.source import InMemory
from ultr.train.splits import split_lists
from ultr.train.stream import Streamed

HIDDEN = (512, 256, 128)
SESSIONS = 1.2e9
"""Of the projection: the pages of Baidu-ULTR, taken for ten documents each."""

PEAK_TFLOPS = {
    "H100": {"bfloat16": 989.0, "float32": 494.0},
    "H200": {"bfloat16": 989.0, "float32": 494.0},
    "A100": {"bfloat16": 312.0, "float32": 156.0},
    "L4": {"bfloat16": 121.0, "float32": 60.0},
    "TPU v4": {"bfloat16": 275.0},
    "TPU v5p": {"bfloat16": 459.0},
    "TPU v5 lite": {"bfloat16": 197.0},
    "TPU v6 lite": {"bfloat16": 918.0},
}
"""Dense peaks from the makers' data sheets; float32 as TF32, which XLA uses there by default."""


def peak(dtype: str, given: float | None) -> float | None:
    """TFLOP/s of all devices that share a batch, where they are known."""
    if given is not None:
        return given
    kind = jax.local_devices()[0].device_kind
    known = next((p for name, p in PEAK_TFLOPS.items() if name in kind), {})
    return known[dtype] * jax.local_device_count() if dtype in known else None


def resident(config: TrainConfig, *, sessions: int, features: int, epochs: int) -> dict[str, Any]:
    """Data that stay on the device: rates, and seconds of compilation."""
    data = select_part(tail_lists(sessions, features=features), "train", by="query")
    source = InMemory(data, spec=config.ranker_spec(), config=config)
    state = trainer(config, features=features)
    first = state.epoch(source, 1)
    took = [state.epoch(source, 2 + e) for e in range(epochs)]
    rate = data.n_lists / float(np.median(took))
    return {
        "sessions_per_s": rate,
        "documents_per_s": rate * DOCUMENTS,
        "compile_s": max(0.0, first - float(np.median(took))),
        "sessions": data.n_lists,
    }


def link(config: TrainConfig, *, sessions: int, features: int) -> dict[str, Any]:
    """Copying to the device, alone."""
    data = tail_lists(sessions, features=features)
    spec, weight = config.ranker_spec(), query_weight(data, config.weighting)
    arrays = arrays_of(data, spec=spec, weight=weight, features_dtype=config.features_dtype)
    size = sum(a.nbytes for a in arrays)
    took = []
    for _ in range(4):
        began = time.perf_counter()
        jax.block_until_ready(jax.device_put(arrays))
        took.append(time.perf_counter() - began)
    seconds = float(np.median(took[1:]))
    return {
        "bytes_per_document": size / data.n_documents,
        "bytes_per_s": size / seconds,
        "documents_per_s": data.n_documents / seconds,
    }


def streamed(
    config: TrainConfig, root: Path, *, sessions: int, features: int, epochs: int
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A lake four times the limit: rates as a whole, of reading files, and of decoding alone."""
    write_lake(root, queries=sessions, features=features, buckets=32)
    lake = open_lake(root)
    data = LakeLists(lake, limit=1)
    limit = data.bytes_to_train // 4
    training, _, _ = split_lists(LakeLists(lake, limit=limit), config.ranker_spec())
    with training.cached(root) as kept:
        source = Streamed(kept, spec=config.ranker_spec(), config=config)
        state = trainer(config, features=features)
        state.epoch(source, 1)
        took = float(np.median([state.epoch(source, 2 + e) for e in range(epochs)]))
        began = time.perf_counter()
        for _ in source.groups(epoch=1):
            pass
        kept_s = time.perf_counter() - began
    source = Streamed(training, spec=config.ranker_spec(), config=config)
    documents = training.n_lists * DOCUMENTS
    began = time.perf_counter()
    size = sum(len(path.read_bytes()) for path in lake.paths("candidates") + lake.paths("lists"))
    read = time.perf_counter() - began
    began = time.perf_counter()
    for _ in source.groups(epoch=1):
        pass
    decoded = time.perf_counter() - began
    return (
        {"sessions_per_s": training.n_lists / took, "documents_per_s": documents / took,
         "memory_limit": limit},
        {"bytes_per_document": size / documents, "bytes_per_s": size / read,
         "documents_per_s": documents / read},
        {"documents_per_s": documents / decoded, "from_cache_documents_per_s": documents / kept_s},
    )  # fmt: skip


def measure(chosen: argparse.Namespace, dtype: str, features: int) -> dict[str, Any]:
    """Everything for one type and one number of features."""
    config = TrainConfig(
        hidden=HIDDEN, documents_per_batch=chosen.documents_per_batch,
        features_dtype=dtype, compute_dtype=dtype,
    )  # fmt: skip
    widths = (features, *HIDDEN, 1)
    on_device = resident(config, sessions=chosen.sessions, features=features, epochs=chosen.epochs)
    with tempfile.TemporaryDirectory(dir=chosen.scratch) as folder:
        from_disk, disk, host = streamed(
            config, Path(folder) / "lake", sessions=chosen.streamed_sessions, features=features,
            epochs=chosen.epochs,
        )  # fmt: skip
    copied = link(config, sessions=chosen.streamed_sessions, features=features)
    alone, shape = best_matmuls(widths, dtype=dtype, documents=chosen.reference_documents)
    stages = {
        "disk": disk["documents_per_s"],
        "host": host["documents_per_s"],
        "link": copied["documents_per_s"],
        "arithmetic": on_device["documents_per_s"],
    }
    flops, limit = step_flops(widths), peak(dtype, chosen.peak_tflops)
    teraflops = on_device["documents_per_s"] * flops / 1e12
    return {
        "dtype": dtype,
        "features": features,
        "resident": on_device,
        "streamed": from_disk,
        "stages": {"disk": disk, "host": host, "link": copied},
        "binds_when_streamed": min(stages, key=lambda name: stages[name]),
        "flops_per_document": flops,
        "tflops": teraflops,
        "share_of_peak": None if limit is None else teraflops / limit,
        "peak_tflops": limit,
        "matmuls_alone_documents_per_s": alone,
        "matmuls_alone_batch": shape,
        "share_of_matmuls_alone": on_device["documents_per_s"] / alone,
        "projected_minutes_for_1.2e9_sessions": {
            "resident": SESSIONS / on_device["sessions_per_s"] / 60,
            "streamed": SESSIONS / from_disk["sessions_per_s"] / 60,
        },
    }


def main() -> None:
    """Run and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    is_cpu = jax.default_backend() == "cpu"
    small, large = (20_000, 2_000_000)
    parser.add_argument("--sessions", type=int, default=small if is_cpu else large)
    parser.add_argument("--streamed-sessions", type=int, default=small if is_cpu else 500_000)
    parser.add_argument("--documents-per-batch", type=int, default=2048 if is_cpu else 16_384)
    parser.add_argument("--reference-documents", type=int, default=16_384 if is_cpu else 1 << 20)
    parser.add_argument("--features", type=int, nargs="+", default=[136, 768])
    parser.add_argument("--dtypes", nargs="+", default=["float32"] + ["bfloat16"] * (not is_cpu))
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument(
        "--peak-tflops", type=float, help="of all devices, where the kind is not known"
    )
    parser.add_argument("--scratch", type=Path, help="folder for the lake, on the disk to measure")
    out = Path(__file__).parent / "results" / "accelerator.json"
    parser.add_argument("--out", type=Path, default=out)
    chosen = parser.parse_args()
    result = {
        "command": f"python tests/benchmarks/accelerator.py {' '.join(sys.argv[1:])}".strip(),
        "device": f"{jax.local_device_count()} x {jax.local_devices()[0].device_kind}",
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "versions": {p: version(p) for p in ("jax", "jaxlib", "flax", "optax", "numpy", "pyarrow")},
        "settings": {k: v for k, v in vars(chosen).items() if isinstance(v, int)},
        "runs": [
            rounded(measure(chosen, dtype, features))
            for dtype in chosen.dtypes
            for features in chosen.features
        ],
    }
    chosen.out.parent.mkdir(exist_ok=True)
    chosen.out.write_text(json.dumps(result, indent=1) + "\n")
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
