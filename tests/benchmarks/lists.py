"""`ultr lists` and reading back, at ten million pages, beside a bare DuckDB in the same run.

    .venv/bin/python tests/benchmarks/lists.py

Two logs of ten results a page: head-heavy (100,000 queries, Zipf) and tail-heavy (5,000,000
queries, hardly a page twice). Each measurement is a process of its own, so that its peak of memory
is its own; the best of `--repeats` counts. Results go to `tests/benchmarks/results/lists.json`.
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
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from ultr.etl.lists import ListsConfig, build_lists
from ultr.lake import create_lake, open_lake
from ultr.sql import connect, load

K = 10
LOGS = {"head": (100_000, 1.0), "tail": (5_000_000, 0.4)}
FILES_PER_DAY = 2
RANKINGS, SHIFTS = 5, 14


def write_day(root: Path, kind: str, *, day: int, pages: int) -> None:
    """A day's pages as two files of `sessions`; 10% of the impressions are clicked, as 1 / rank."""
    queries, exponent = LOGS[kind]
    rng = np.random.default_rng((day, queries))
    share = np.cumsum(1 / np.arange(1, queries + 1) ** exponent)
    ids = np.random.default_rng(queries).integers(-(2**62), 2**62, queries)
    click_rate = 1 / np.arange(1, K + 1)
    click_rate *= 0.1 * K / click_rate.sum()
    name = (date(2026, 1, 1) + timedelta(days=day)).isoformat()
    midnight = int(datetime.fromisoformat(name).replace(tzinfo=UTC).timestamp() * 1e6)
    with create_lake(root).commit("benchmark") as change:
        change.manifest.ids.update(query="integer", doc="integer")
        for part in range(FILES_PER_DAY):
            n = pages // FILES_PER_DAY
            query = np.searchsorted(share, rng.random(n) * share[-1])
            place = (rng.integers(0, RANKINGS, n)[:, None] + np.arange(K)) % SHIFTS
            document = (query[:, None] * SHIFTS + place) * np.int64(-7046029254386353131)
            click = rng.random((n, K)) < click_rate
            source = f"{name}-{part}.tsv"
            shown = midnight + np.sort(rng.integers(0, 86_400_000_000, n))
            table = pa.table({
                "source": repeated(source, n),
                "ordinal": np.arange(1, n + 1),
                "query_id": ids[query],
                "shown_at": pa.array(shown, pa.timestamp("us", "UTC")),
                "period": repeated(name, n),
                "doc_id": lists(document, pa.int64()),
                "position": lists(np.tile(np.arange(1, K + 1), (n, 1)), pa.int16()),
                "click": lists(click.astype(np.int8), pa.int8()),
                "weight": np.ones(n),
            })  # fmt: skip
            change.write("sessions", table, source=source)


def repeated(text: str, n: int) -> pa.Array:
    return pa.array([text]).take(pa.array(np.zeros(n, np.int64)))


def lists(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    offsets = pa.array(np.arange(len(values) + 1, dtype=np.int32) * K)
    return pa.ListArray.from_arrays(offsets, pa.array(values.ravel(), kind))


def bare_group_by(root: Path) -> None:
    """What DuckDB needs at least to collapse: no period, no split, no documents numbered."""
    paths = [str(p) for p in open_lake(root).paths("sessions")]
    duckdb.sql(
        "select count(*) from (select query_id, doc_id, click, count(*)"
        " from read_parquet($paths) group by all)",
        params={"paths": paths},
    ).fetchall()


def build(root: Path) -> None:
    build_lists(root, config=ListsConfig(rebuild=True), quiet=True)


def add_night(root: Path) -> None:
    result = build_lists(root, config=ListsConfig(), quiet=True)
    assert result["periods_rebuilt"] == 1


def bare_ctr(root: Path) -> Callable[[], object]:
    paths = [str(p) for p in open_lake(root).paths("sessions")]
    connection = duckdb.connect()
    sql = (
        "select position, count(*), sum(click) from (select unnest(position) as position,"
        " unnest(click) as click from read_parquet($1)) group by position"
    )
    return lambda: connection.execute(sql, [paths]).fetchall()


def named_ctr(root: Path) -> Callable[[], object]:
    connection, named = connect(open_lake(root)), load("ctr_by_position")
    return lambda: connection.execute(named.sql, {"period": None}).fetchall()


def view_ctr(root: Path) -> Callable[[], object]:
    connection = connect(open_lake(root))
    sql = 'select "position", count(*), sum(click) from impressions group by all'
    return lambda: connection.execute(sql).fetchall()


WORK = {f.__name__: f for f in (bare_group_by, build, add_night)}
READ = {f.__name__: f for f in (bare_ctr, named_ctr, view_ctr)}


def measure(name: str, root: Path) -> None:
    """One measurement, printed as JSON: seconds and peak memory."""
    if name in READ:
        work = READ[name](root)
        work()  # the files are in the page cache, as for the others
    else:
        work = lambda: WORK[name](root)  # noqa: E731
    began = time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"seconds": round(seconds, 3), "peak_gib": round(peak, 2)}))


def in_process(name: str, root: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", name, "--lake", str(root)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    return json.loads(done.stdout)


def best(name: str, root: Path, *, repeats: int) -> dict[str, float]:
    found = [in_process(name, root) for _ in range(repeats)]
    return {k: pick(f[k] for f in found) for k, pick in (("seconds", min), ("peak_gib", max))}


def run_log(kind: str, folder: Path, *, days: int, pages: int, repeats: int) -> dict[str, object]:
    root = folder / kind
    for day in range(days):
        write_day(root, kind, day=day, pages=pages)
    names = ("bare_group_by", "build", "bare_ctr", "named_ctr", "view_ctr")
    out: dict[str, object] = {n: best(n, root, repeats=repeats) for n in names}
    made = open_lake(root).manifest.meta["lists"]
    out |= {k: made[k] for k in ("sessions", "rows", "impressions", "candidates", "buckets")}
    write_day(root, kind, day=days, pages=pages)
    out["add_night"] = in_process("add_night", root)
    seconds = {n: out[n]["seconds"] for n in (*names, "add_night")}
    out["sessions_per_second"] = round(days * pages / seconds["build"])
    out["build / bare_group_by"] = round(seconds["build"] / seconds["bare_group_by"], 2)
    out["add_night / build"] = round(seconds["add_night"] / seconds["build"], 3)
    for name in ("named_ctr", "view_ctr"):
        out[f"{name} / bare_ctr"] = round(seconds[name] / seconds["bare_ctr"], 2)
    sys.stderr.write(f"{kind} {json.dumps(out)}\n")
    shutil.rmtree(root)
    return out


def main() -> None:
    """Run and write the results file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--pages", type=int, default=1_000_000, help="pages of a day")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--logs", nargs="+", choices=LOGS, default=list(LOGS))
    parser.add_argument("--scratch", type=Path, help="where the lakes are made; 4 GB")
    parser.add_argument("--measure", choices=[*WORK, *READ], help=argparse.SUPPRESS)
    parser.add_argument("--lake", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        measure(chosen.measure, chosen.lake)
        return
    out: dict[str, object] = {
        "command": f"python tests/benchmarks/lists.py {' '.join(sys.argv[1:])}".strip(),
        "machine": f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}",
        "cores": len(os.sched_getaffinity(0)),
        "versions": {p: version(p) for p in ("duckdb", "numpy", "polars", "pyarrow")},
    }
    with tempfile.TemporaryDirectory(dir=chosen.scratch) as folder:
        for kind in chosen.logs:
            out[kind] = run_log(
                kind, Path(folder), days=chosen.days, pages=chosen.pages, repeats=chosen.repeats
            )
    path = Path(__file__).parent / "results" / "lists.json"
    path.write_text(json.dumps(out, indent=1) + "\n")
    sys.stdout.write(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
