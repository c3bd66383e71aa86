"""DLA against naive, true-propensity IPW and LightGBM over cells of planted bias, paired by seed.

    .venv/bin/python tests/benchmarks/grid.py --mq2008 ../shared/data/mq2008 --seeds 10

Cells are {synthetic, MQ2008} × {weak, strong logger} × {deterministic, Plackett-Luce} × η {.5, 1,
2} × {10,000, 1,000,000} sessions. The methods differ in their weights only and use the defaults;
IPW is given the planted propensities. `--lightgbm` adds LambdaMART (extra `bench`). Every finished
(cell, seed, method) is a line of `build/grid.jsonl`: stopped at any time, the command goes on where
it was. Each cell has a process of its own. The lines are summed up in
`tests/benchmarks/results/grid.json`, which names the seeds that are done; `--summary` does only
that.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from grid_data import Cell, cells, relative_propensity, simulated, test_documents
from grid_methods import LIGHTGBM, METHODS, run_method
from grid_summary import write_summary

RESULTS = Path(__file__).parent / "results" / "grid.json"


def main() -> None:
    """Run what is missing, seed by seed over all cells, and sum up."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mq2008", type=Path, help="folder with S1.txt, S2.txt, S3.txt")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--only", default="", help="words that a cell's name must have")
    parser.add_argument("--lightgbm", action="store_true", help="run LightGBM instead of ours")
    parser.add_argument("--lines", type=Path, default=Path("build/grid.jsonl"))
    parser.add_argument("--summary", action="store_true", help="only sum up what is there")
    parser.add_argument("--cell", help=argparse.SUPPRESS)  # JSON of one cell and seed: run it here
    chosen = parser.parse_args()
    chosen.lines.parent.mkdir(parents=True, exist_ok=True)
    methods = LIGHTGBM if chosen.lightgbm else METHODS
    if chosen.cell:
        run_cell(**json.loads(chosen.cell), methods=methods, chosen=chosen)
        return
    for seed in range(0 if chosen.summary else chosen.seeds):
        for cell in cells():
            is_there = cell.data == "synthetic" or chosen.mq2008
            if not is_there or not set(chosen.only.split()) <= set(cell.name.split()):
                continue
            if set(methods) - done(chosen.lines, cell, seed):
                what = json.dumps({"cell": vars(cell), "seed": seed})
                subprocess.run([sys.executable, *sys.argv, "--cell", what], check=True)
        write_summary(read_lines(chosen.lines), RESULTS)
    write_summary(read_lines(chosen.lines), RESULTS)


def run_cell(
    *, cell: dict[str, Any], seed: int, methods: tuple[str, ...], chosen: argparse.Namespace
) -> None:
    """Run the methods of a cell that have no line yet."""
    this = Cell(**cell)
    config = this.config(seed=seed, mq2008=chosen.mq2008)
    data, judged = simulated(config)
    test = test_documents(config, judged, mq2008=chosen.mq2008)
    for method in methods:
        if method in done(chosen.lines, this, seed):
            continue
        found = run_method(method, data, test, truth=relative_propensity(config), seed=seed)
        line = {"cell": this.name, "seed": seed, "method": method, "commit": commit(), **found}
        with chosen.lines.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        sys.stderr.write(f"{this.name} seed {seed} {method} {found['ndcg@10']:.4f}\n")


def done(lines: Path, cell: Cell, seed: int) -> set[str]:
    """Methods of a cell and seed that have a line."""
    found = read_lines(lines)
    return {x["method"] for x in found if x["cell"] == cell.name and x["seed"] == seed}


def read_lines(lines: Path) -> list[dict[str, Any]]:
    """All finished (cell, seed, method)."""
    if not lines.exists():
        return []
    return [json.loads(line) for line in lines.read_text("utf-8").splitlines()]


def commit() -> str:
    """The commit of the tree, marked where the program was changed since."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        command = ["git", *words]
        return subprocess.run(command, cwd=here, capture_output=True, text=True, check=True).stdout

    changed = git("status", "--porcelain", "--", "../../ultr", ":(glob)*.py")
    return git("rev-parse", "--short", "HEAD").strip() + ("-dirty" if changed else "")


if __name__ == "__main__":
    main()
