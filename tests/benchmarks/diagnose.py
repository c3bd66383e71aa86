"""`ultr diagnose` on a lake of 100 million impressions: seconds and peak memory.

    .venv/bin/python tests/benchmarks/diagnose.py

The logs are those of `tests/benchmarks/lists.py`: ten million pages of ten results in ten periods,
head-heavy and tail-heavy. The bound is 90 s and 2 GiB on 2 cores. The whole command is measured,
from an interpreter that has not imported anything. Results go to
`tests/benchmarks/results/diagnose.json`.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent


def lists_benchmark() -> ModuleType:
    """The benchmark beside this one, whose logs these are."""
    spec = importlib.util.spec_from_file_location("benchmark_lists", HERE / "lists.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make(root: Path, kind: str, *, days: int, pages: int) -> None:
    """A lake with lists and exposures by day."""
    from ultr.etl.lists import ListsConfig, build_lists

    lists = lists_benchmark()
    for day in range(days):
        lists.write_day(root, kind, day=day, pages=pages)
    build_lists(root, config=ListsConfig(period="day"), quiet=True)


def measure(root: Path) -> None:
    """Diagnose once, and print what it took as JSON."""
    began = time.perf_counter()
    from ultr.diagnose import diagnose

    found = diagnose(root)
    seconds = time.perf_counter() - began
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 2),
        "peak_gib": round(used.ru_maxrss / 2**20, 2),
        "state": found.state,
    }
    print(json.dumps(told | {"edges": len(found.graph.edges), "findings": len(found.findings)}))


def run_log(kind: str, folder: Path, *, days: int, pages: int, repeats: int) -> dict[str, object]:
    """Best of some runs, each a process of its own."""
    from ultr.lake import open_lake

    root = folder / kind
    if not root.exists():
        make(root, kind, days=days, pages=pages)
    command = [sys.executable, __file__, "--measure", str(root)]
    found = [
        json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        for _ in range(repeats)
    ]
    best = min(found, key=lambda f: f["seconds"]) | {"peak_gib": max(f["peak_gib"] for f in found)}
    best["impressions"] = days * pages * 10
    best["exposures_rows"] = open_lake(root).rows("exposures")
    best["within_90_s_and_2_gib"] = best["seconds"] <= 90 and best["peak_gib"] <= 2
    sys.stderr.write(f"{kind} {json.dumps(best)}\n")
    return best


def main() -> None:
    """Run and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--pages", type=int, default=1_000_000, help="pages of a day")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--logs", nargs="+", default=["head", "tail"])
    parser.add_argument("--scratch", type=Path, help="where the lakes are made; 4 GB")
    parser.add_argument("--keep", action="store_true", help="use lakes in --scratch, leave them")
    parser.add_argument("--make", action="store_true", help="only make the lakes, and keep them")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        measure(chosen.measure)
        return
    if chosen.make:
        for kind in chosen.logs:
            make(chosen.scratch / kind, kind, days=chosen.days, pages=chosen.pages)
        return
    out: dict[str, object] = {
        "command": "python tests/benchmarks/diagnose.py",
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "cores": len(os.sched_getaffinity(0)),
        "versions": {p: version(p) for p in ("duckdb", "numpy", "polars", "pyarrow")},
    }
    folder = chosen.scratch if chosen.keep else Path(tempfile.mkdtemp(dir=chosen.scratch))
    try:
        for kind in chosen.logs:
            out[kind] = run_log(
                kind, folder, days=chosen.days, pages=chosen.pages, repeats=chosen.repeats
            )
    finally:
        if not chosen.keep:
            shutil.rmtree(folder)
    path = HERE / "results" / "diagnose.json"
    path.write_text(json.dumps(out, indent=1) + "\n")
    sys.stdout.write(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
