"""Mutated files for every reader, as many as wanted: resumable, with bounds on time and memory.

    python -m tests.soak.fuzz --files 100000 --state build/soak

File i of a reader is always the same. A reader runs in a process of its own, so that a hang or a
crash ends that one, and tells which file it was at.
"""  # fmt: skip

from __future__ import annotations

import argparse
import faulthandler
import gzip
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.etl.keyed_family import KEYED
from tests.logs.family import FAMILY, PIECES, mutated
from ultr.errors import DataError
from ultr.logs import raw

READERS = FAMILY | KEYED
BATCH = 2000
MAX_SECONDS = 60
"""For one file of a few hundred bytes: longer is a hang."""

MAX_RSS_BYTES = 2 << 30

BLOCK_BYTES = {64: 1, 400: 3, 4096: 3, 32 << 20: 3}
"""How often each: the smallest, of less than a line, takes ten times as long as all others."""


def edits(rng: random.Random, data: bytes) -> bytes:
    """A random file near `data`: pieces put in, cut out, moved, repeated; or packed and damaged.

    Half of them keep their first line, without which a table has no columns.
    """
    kept = data.find(b"\n") + 1 if rng.random() < 0.5 else 0
    return _packed(rng, data[:kept] + _edited(rng, data[kept:]))


def _edited(rng: random.Random, data: bytes) -> bytes:
    for _ in range(rng.randrange(1, 7)):
        match rng.randrange(6):
            case 0 | 1 | 2:
                piece = rng.choice(PIECES)
                data = mutated(data, [(rng.random(), rng.randrange(0, 40), piece)])
            case 3:
                data = mutated(data, [(rng.random(), rng.randrange(3), rng.randbytes(4))])
            case 4:
                lines = data.split(b"\n")
                rng.shuffle(lines)
                data = b"\n".join(lines)
            case _:
                at = rng.randrange(len(data) + 1)
                data = data[:at] + data[at // 2 : at] * rng.randrange(1, 3) + data[at:]
    return data


def _packed(rng: random.Random, data: bytes) -> bytes:
    if rng.random() < 0.2:
        packed = bytearray(gzip.compress(data))
        if rng.random() < 0.5 and packed:
            packed[rng.randrange(len(packed))] ^= 1 << rng.randrange(8)
        return bytes(packed[: len(packed) - rng.choice([0, 0, 1, 9])])
    return data


def run_batch(name: str, first: int, count: int, at: Path) -> dict[str, Any]:
    """Check files `first` to `first + count - 1`; writes the number of each to `at` before it."""
    member, slowest, refused = READERS[name], (0.0, first), 0
    with tempfile.TemporaryDirectory() as folder:
        for number in range(first, first + count):
            rng = random.Random(f"{name}:{number}")
            path = member.place(Path(folder), edits(rng, member.data))
            raw.BLOCK_BYTES = rng.choices(list(BLOCK_BYTES), list(BLOCK_BYTES.values()))[0]
            at.write_text(str(number))
            faulthandler.dump_traceback_later(MAX_SECONDS, exit=True)
            began = time.monotonic()
            try:
                member.check(path)
            except DataError:
                refused += 1
            slowest = max(slowest, (round(time.monotonic() - began, 3), number))
            faulthandler.cancel_dump_traceback_later()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "slowest_s": slowest[0], "slowest_file": slowest[1],
        "refused": refused, "peak_rss_bytes": peak,
    }  # fmt: skip


def fuzz(name: str, *, files: int, state: Path) -> dict[str, Any]:
    """Bring a reader to so many checked files; goes on where an earlier call was stopped.

    Returns:
        `files refused slowest_s slowest_file peak_rss_bytes seconds` and, if one was found,
        `failure`.
    """
    state.mkdir(parents=True, exist_ok=True)
    kept = state / f"{name.replace(' ', '_')}.json"
    told: dict[str, Any] = (
        json.loads(kept.read_text())
        if kept.exists()
        else {"files": 0, "refused": 0, "slowest_s": 0.0, "peak_rss_bytes": 0, "seconds": 0.0}
    )
    told.pop("failure", None)
    while told["files"] < files:
        began, count = time.monotonic(), min(BATCH, files - told["files"])
        at = state / f"{kept.stem}.at"
        done = subprocess.run(
            [sys.executable, "-m", "tests.soak.fuzz", "--batch", name, str(told["files"]),
             str(count), str(at)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            told["failure"] = f"file {at.read_text()}: {done.stderr[-2000:]}"
            break
        found = json.loads(done.stdout)
        told["files"] += count
        told["refused"] += found["refused"]
        if found["slowest_s"] > told["slowest_s"]:
            told |= {key: found[key] for key in ("slowest_s", "slowest_file")}
        told["peak_rss_bytes"] = max(told["peak_rss_bytes"], found["peak_rss_bytes"])
        told["seconds"] = round(told["seconds"] + time.monotonic() - began, 1)
        kept.write_text(json.dumps(told))
        if told["peak_rss_bytes"] > MAX_RSS_BYTES:
            told["failure"] = f"{told['peak_rss_bytes']:,} bytes of memory"
            break
    return told


def main() -> None:
    """Run the readers named, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="for each reader")
    parser.add_argument("--state", type=Path, default=Path("build/soak"))
    parser.add_argument("--readers", nargs="*", default=list(READERS))
    parser.add_argument("--batch", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.batch:
        name, first, count, at = given.batch
        print(json.dumps(run_batch(name, int(first), int(count), Path(at))))
        return
    results = {name: fuzz(name, files=given.files, state=given.state) for name in given.readers}
    print(json.dumps(results, indent=1))
    sys.exit(any("failure" in r for r in results.values()))


if __name__ == "__main__":
    main()
