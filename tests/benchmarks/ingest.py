"""Ingest, `lists` and reading back, each beside the bare tools on the same files in the same run.

    .venv/bin/python tests/benchmarks/ingest.py --gigabytes 1 10

Every figure of ours is a process of its own, start and imports included in `wall_s`; `seconds` is
what the command says. Ratios are wall time over wall time: below 1 is faster than the tool. The
made-up logs and what they assume stand in `ingest_logs.py`. Runs alternate, the fastest counts.
Each call adds its figures to `tests/benchmarks/results/ingest.json`; `--note` says how they were
taken, such as beside other work, where only the memory is of interest.
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
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ingest_logs import DISTINCT_PARTS

from ultr.cli.ingest import command as ingest_command

BYTES_PER_SESSION = 2900
SESSIONS_PER_PART = 100_000
ULTR = [sys.executable, "-c", "from ultr.cli import main; main()"]

WRITE = """
import sys, json, pathlib, ingest_logs
getattr(ingest_logs, sys.argv[1])(pathlib.Path(sys.argv[2]), **json.loads(sys.argv[3]))
"""

BARE_SCAN = """
import sys, polars as pl
columns, paths = int(sys.argv[1]), sys.argv[2:]
schema = {f"c{i}": pl.String for i in range(columns)}
for path in paths:
    pl.scan_csv(path, has_header=False, separator="\\t", quote_char=None, schema=schema,
                missing_columns="insert").collect()
"""

BARE_JSON = """
import sys, polars as pl
for path in sys.argv[1:]:
    pl.scan_ndjson(path).collect()
"""

CTR = """
import sys, time, json, ultr
lake = ultr.open_lake(sys.argv[1])
query = (
    "select position, count(*), avg(click) from"
    " (select unnest(position) as position, unnest(click) as click from sessions)"
    " group by position order by position"
)
seconds = []
for _ in range(5):
    began = time.monotonic()
    rows = lake.sql(query).fetchall()
    seconds.append(time.monotonic() - began)
print(json.dumps({"seconds": min(seconds), "impressions": sum(r[1] for r in rows)}))
"""


def run(command: Sequence[str | Path]) -> dict[str, Any]:
    """Run a command: its wall time, CPU time, peak memory and what it printed as JSON."""
    began = time.monotonic()
    with subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} failed")
    measured = {
        "wall_s": round(time.monotonic() - began, 3),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 3),
        "peak_mib": usage.ru_maxrss >> 10,
    }
    if out and not out.startswith(b"{"):
        raise SystemExit(f"{command} printed {out[:200]!r}, which is no JSON")
    return measured | (json.loads(out) if out else {})


def write(name: str, path: Path, **settings: float) -> list[Path]:
    """Write a log in a process of its own: what this one holds counts in its children's peak."""
    path.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", WRITE, f"write_{name}", str(path), json.dumps(settings)]
    subprocess.run(command, check=True, cwd=Path(__file__).parent)
    return sorted(path.iterdir()) if path.is_dir() else [path]


def discard(command: Sequence[str | Path]) -> dict[str, Any]:
    """Run a command whose output is data."""
    return run(["sh", "-c", '"$@" > /dev/null', "sh", *command])


def compare(
    runs: dict[str, Callable[[], dict[str, Any]]], *, repeats: int, alone: bool
) -> dict[str, dict[str, Any]]:
    """The fastest of several runs of each, alternating; and ours as a ratio to the others.

    With `alone` ours only: the bare tools hold a whole file in memory.
    """
    if alone:
        return {"ultr": runs["ultr"]()}
    best: dict[str, dict[str, Any]] = {}
    for _ in range(repeats):
        for name, measure in runs.items():
            got = measure()
            if name not in best or got["wall_s"] < best[name]["wall_s"]:
                best[name] = got
    ours = best["ultr"]["wall_s"]
    ratios = {f"to {n}": round(ours / r["wall_s"], 3) for n, r in best.items() if n != "ultr"}
    return best | {"ratio": ratios}


def ingested(form: str, paths: Sequence[Path], lake: Path) -> dict[str, Any]:
    """`ultr ingest` into a new lake."""
    shutil.rmtree(lake, ignore_errors=True)
    told = run([*ULTR, "ingest", *paths, "--format", form, "--lake", lake, "--json"])
    keep = ("wall_s", "cpu_s", "peak_mib", "sessions", "impressions", "clicks", "rejects",
            "seconds", "sessions_per_second")  # fmt: skip
    size = {t.name: sum(f.stat().st_size for f in t.iterdir()) for t in lake.iterdir()
            if t.is_dir()}  # fmt: skip
    return {k: told[k] for k in keep} | {"lake_bytes": size}


def baidu(
    folder: Path, *, gigabytes: float, repeats: int, level: int, alone: bool
) -> dict[str, Any]:
    """Raw gzip'd parts to a lake."""
    sessions = round(gigabytes * 1e9 / BYTES_PER_SESSION)
    parts = max(2, round(sessions / SESSIONS_PER_PART))
    paths = write("baidu", folder / "baidu", sessions=sessions, parts=parts, level=level)
    found = compare(
        {
            "ultr": lambda: ingested("baidu", paths, folder / "lake"),
            "gzip -dc": lambda: discard(["gzip", "-dc", *paths]),
            "polars scan": lambda: run([sys.executable, "-c", BARE_SCAN, "32", *paths]),
        },
        repeats=repeats if gigabytes <= 2 else 1,
        alone=alone,
    )
    shutil.rmtree(folder / "baidu")
    distinct = min(parts, DISTINCT_PARTS)
    return {"gigabytes_of_text": gigabytes, "parts": parts, "distinct_parts": distinct, **found}


def yandex(folder: Path, *, sessions: int, repeats: int, alone: bool) -> dict[str, Any]:
    """A plain log to a lake that stays, for `lists` and for reading back."""
    (path,) = write("yandex", folder / "yandex.tsv", sessions=sessions)
    found = compare(
        {
            "ultr": lambda: ingested("yandex", [path], folder / "lake"),
            "cat": lambda: discard(["cat", path]),
            "polars scan": lambda: run([sys.executable, "-c", BARE_SCAN, "15", path]),
        },
        repeats=repeats,
        alone=alone,
    )
    return {"bytes": path.stat().st_size, **found}


def ubi(folder: Path, *, sessions: int, repeats: int, alone: bool) -> dict[str, Any]:
    """Queries and events with explicit impressions to a lake."""
    paths = write("ubi", folder / "ubi", sessions=sessions)
    found = compare(
        {
            "ultr": lambda: ingested("ubi", paths, folder / "lake"),
            "cat": lambda: discard(["cat", *paths]),
            "polars scan": lambda: run([sys.executable, "-c", BARE_JSON, *paths]),
        },
        repeats=repeats,
        alone=alone,
    )
    return {"bytes": sum(p.stat().st_size for p in paths), **found}


def lists(lake: Path) -> dict[str, Any]:
    """`ultr lists` on the Yandex lake."""
    told = run([*ULTR, "lists", "--lake", lake, "--json"])
    sessions = told["sessions"]
    keep = {k: told[k] for k in ("wall_s", "cpu_s", "peak_mib")}
    return keep | {
        "sessions": sessions,
        "sessions_per_second": round(sessions / told["wall_s"]),
    }


def _options(chosen: argparse.Namespace) -> str:
    """What was asked for, but for where files lie."""
    told = {k: v for k, v in vars(chosen).items() if k not in ("folder", "out", "note")}
    words = "--alone " if chosen.alone else ""
    return words + " ".join(
        f"--{name.replace('_', '-')} {' '.join(map(str, v)) if isinstance(v, list) else v}"
        for name, v in told.items()
        if name != "alone"
    )


def main() -> None:
    """Run and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gigabytes", type=float, nargs="*", default=[1.0, 10.0])
    parser.add_argument("--yandex-sessions", type=int, default=10_000_000)
    parser.add_argument("--ubi-sessions", type=int, default=300_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--gzip-level", type=int, default=6)
    parser.add_argument("--alone", action="store_true", help="our ingest only, once: its memory")
    parser.add_argument("--note", default="", help="how the figures were taken")
    parser.add_argument("--folder", type=Path, help="scratch space; default: the system's")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/ingest.json")
    chosen = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=chosen.folder))
    out: dict[str, Any] = {
        "command": f"python tests/benchmarks/ingest.py {_options(chosen)}",
        "note": chosen.note,
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()}, "
        f"Python {platform.python_version()}",
        "versions": {p: version(p) for p in ("polars", "pyarrow", "duckdb", "isal", "numpy")},
        "baidu": [],
    }
    try:
        for gigabytes in chosen.gigabytes:
            out["baidu"].append(
                baidu(
                    folder,
                    gigabytes=gigabytes,
                    repeats=chosen.repeats,
                    level=chosen.gzip_level,
                    alone=chosen.alone,
                )
            )
        formats = next(p.type.choices for p in ingest_command.params if p.name == "form")
        if "ubi" in formats and chosen.ubi_sessions:
            out["ubi"] = ubi(
                folder, sessions=chosen.ubi_sessions, repeats=chosen.repeats, alone=chosen.alone
            )
        if chosen.yandex_sessions:
            out["yandex"] = yandex(
                folder,
                sessions=chosen.yandex_sessions,
                repeats=min(2, chosen.repeats),
                alone=chosen.alone,
            )
        if chosen.yandex_sessions and not chosen.alone:
            out["ctr_by_position"] = run([sys.executable, "-c", CTR, folder / "lake"])
            out["lists"] = lists(folder / "lake")
    finally:
        shutil.rmtree(folder)
    chosen.out.parent.mkdir(exist_ok=True)
    before = json.loads(chosen.out.read_text("utf-8")) if chosen.out.exists() else []
    chosen.out.write_text(json.dumps([*before, out], indent=1) + "\n")
    sys.stdout.write(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
