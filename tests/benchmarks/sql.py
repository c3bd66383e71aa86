"""Every named query of `sql/` over a lake of 100 million impressions.

    .venv/bin/python tests/benchmarks/sql.py

The logs are those of `lists.py`: head-heavy (100,000 queries) and tail-heavy (5,000,000 queries,
hardly a page twice, so that `exposures` is nearly as long as the log). Each query is a process of
its own with the files in the page cache; the best of `--repeats` counts. `cpu_seconds` are those of
all threads together, which other work on the machine disturbs less than `seconds`; `load` is how
many processes wanted a core in the last minute. Results go to `tests/benchmarks/results/sql.json`.
"""

from __future__ import annotations

import argparse
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

from lists import LOGS, build, write_day

from ultr.lake import open_lake
from ultr.sql import connect, load, named_queries
from ultr.sql.connection import run


def measure(name: str, root: Path, *, repeats: int) -> dict[str, float]:
    """One named query: seconds to all of its rows, and the peak of memory."""
    query, times = load(name), []
    connection = connect(open_lake(root))
    for _ in range(repeats + 1):
        began, busy = time.perf_counter(), time.process_time()
        rows = run(connection, query.sql, query.bind({})).fetchall()
        times.append((time.perf_counter() - began, time.process_time() - busy))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    seconds, busy = map(min, zip(*times[1:], strict=True))  # the first filled the page cache
    found = {"seconds": seconds, "cpu_seconds": busy, "peak_gib": peak}
    return {k: round(v, 3) for k, v in found.items()} | {"rows": len(rows)}


def in_process(name: str, root: Path, *, repeats: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", name, "--lake", str(root)]
    command += ["--repeats", str(repeats)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


def run_log(kind: str, folder: Path, chosen: argparse.Namespace) -> dict[str, object]:
    root = chosen.keep / kind if chosen.keep else folder / kind
    if not root.exists():
        for day in range(chosen.days):
            write_day(root, kind, day=day, pages=chosen.impressions // 10 // chosen.days)
        build(root)
    made = open_lake(root).manifest.meta["lists"]
    out: dict[str, object] = {k: made[k] for k in ("sessions", "impressions")}
    out["exposures"] = open_lake(root).rows("exposures")
    for name, query in named_queries().items():
        if query.kind in chosen.kinds:
            out[name] = in_process(name, root, repeats=chosen.repeats)
            sys.stderr.write(f"{kind} {name} {json.dumps(out[name])}\n")
    if not chosen.keep:
        shutil.rmtree(root)
    return out


def main() -> None:
    """Run and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--impressions", type=int, default=100_000_000)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--logs", nargs="+", choices=LOGS, default=list(LOGS))
    kinds = ["analysis", "checks"]
    parser.add_argument("--kinds", nargs="+", choices=kinds, default=kinds)
    parser.add_argument("--scratch", type=Path, help="where the lakes are made; 4 GB")
    parser.add_argument("--keep", type=Path, help="keep the lakes here, and use those of before")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--lake", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(chosen.measure, chosen.lake, repeats=chosen.repeats)))
        return
    path = Path(__file__).parent / "results" / "sql.json"
    out: dict[str, object] = json.loads(path.read_text()) if path.exists() else {}
    given = " ".join("DIR" if Path(a).is_absolute() else a for a in sys.argv[1:])
    command = f"python tests/benchmarks/sql.py {given}".strip()
    out |= {
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "cores": len(os.sched_getaffinity(0)),
        "versions": {p: version(p) for p in ("duckdb", "pyarrow")},
    }
    with tempfile.TemporaryDirectory(dir=chosen.scratch) as folder:
        for kind in chosen.logs:
            known = out.get(kind)
            # Kinds that were measured apart stand together, each with its command.
            found = run_log(kind, Path(folder), chosen)
            found |= {f"{k} command": command for k in chosen.kinds}
            found |= {f"{k} load": round(os.getloadavg()[0], 1) for k in chosen.kinds}
            out[kind] = (known if isinstance(known, dict) else {}) | found
    path.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
