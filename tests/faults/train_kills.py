"""Kill a training at a random moment, resume it, and compare with an undisturbed one."""

from __future__ import annotations

import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

EVERY_PHASE = {
    "documents_per_batch": 128, "evaluations": 5, "hidden": (8,), "checkpoint_seconds": 0.0,
}  # fmt: skip
"""In a few seconds; a checkpoint at each segment."""

ONE_PHASE = EVERY_PHASE | {"ranker": "linear", "min_steps": 1000, "evaluations": 12}

_TRAIN = """
import ast, pickle, sys
import ultr
with open(sys.argv[1], "rb") as file:
    data = pickle.load(file)
ultr.fit(data, run=sys.argv[2], resume=True, **ast.literal_eval(sys.argv[3]))
"""


def write_data(path: Path, data: object) -> Path:
    """Lists in a file, for a process of its own."""
    path.write_bytes(pickle.dumps(data))
    return path


def killed(
    data: Path, root: Path, settings: dict[str, Any], *, more_lines: int, after_s: float
) -> bool:
    """Train in a process and kill it.

    Args:
        data: the lists.
        root: the run's folder.
        settings: of the training.
        more_lines: of measurements that it is let write.
        after_s: seconds after that.

    Returns:
        Whether the kill came before the end.
    """
    arguments = [str(data), str(root), repr(settings)]
    with subprocess.Popen([sys.executable, "-c", _TRAIN, *arguments]) as process:
        metrics, began = root / "metrics.jsonl", None
        while process.poll() is None:
            now = metrics.read_bytes().count(b"\n") if metrics.exists() else 0
            begun = (root / "training" / ".lock").exists()
            # What was written after the last checkpoint is cut off first: count from there.
            began = now if begun and (began is None or now < began) else began
            if began is not None and now >= began + more_lines:
                time.sleep(after_s)
                break
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL


def kill_often(data: Path, root: Path, *, rng: random.Random, kills: int) -> int:
    """Kill a training at random moments, up to so many times; returns how often."""
    done = 0
    while done < kills:
        lines, after_s = rng.randrange(3), rng.uniform(0, 0.1)
        if not killed(data, root, EVERY_PHASE, more_lines=lines, after_s=after_s):
            break  # it came to its end
        done += 1
    return done
