"""What a run ended with, times left out: the same whether training was stopped or not."""

from __future__ import annotations

import hashlib
import json

import ultr
from ultr.train.arrays import load_arrays, named

TIMES = ("seconds", "compile_seconds", "sessions_per_second", "documents_per_second")


def untimed(value):
    return {k: v for k, v in value.items() if k not in TIMES}


def outcome(root):
    """Parameters bit by bit, and every file."""
    ultr.open_run(root)  # whole, and fit to score
    arrays = named(load_arrays(root / "checkpoint"))
    lines = (root / "metrics.jsonl").read_text().splitlines()
    return {
        "params": {k: v.tobytes() for k, v in arrays.items()},
        "metrics": [untimed(json.loads(line)) for line in lines],
        "summary": untimed(json.loads((root / "summary.json").read_text())),
        "config": json.loads((root / "config.json").read_text()),
        "files": {
            name: hashlib.sha256((root / name).read_bytes()).hexdigest()
            for name in ("propensities.parquet", "propensities_by_period.parquet")
        },
    }
