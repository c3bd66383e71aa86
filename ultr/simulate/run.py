"""The whole simulation, written into a folder at once or not at all."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ultr.clicks import User, examination
from ultr.errors import UsageError
from ultr.progress import progress
from ultr.simulate.config import SimulateConfig
from ultr.simulate.judged import JudgedSet, from_letor, synthetic
from ultr.simulate.sessions import Streams, sessions
from ultr.simulate.tables import write_judged
from ultr.simulate.writers import WRITERS

TRUTH = "truth.json"
OUTPUTS = ("log.tsv", "log.ndjson", "log.parquet", "mapping.toml", "features.parquet",
           "judgments.parquet", TRUTH)  # fmt: skip


def simulate(config: SimulateConfig, *, quiet: bool = False) -> dict[str, Any]:
    """Write a raw log with planted position bias, and what is true about it.

    Into `config.out` go the log (`log.tsv`, `log.ndjson`, or `log.parquet` and
    `mapping.toml`),
    `features.parquet` (query_id, doc_id, features), `judgments.parquet` (query_id, doc_id, grade)
    and `truth.json` with the planted examination.

    Args:
        config: what to simulate.
        quiet: no progress.

    Returns:
        Counts (`sessions, impressions, clicks, queries, documents, bytes`) and `seconds`.

    Raises:
        DataError: a judged set that cannot be read, or has no relevant document.
        UsageError: a folder that holds something else.
    """
    began = time.monotonic()
    streams = Streams.of(config.seed)
    with _replacing(config.out, is_forced=config.is_forced) as folder:
        judged = (
            synthetic(streams.judged, config.synthetic)
            if config.synthetic
            else from_letor(config.letor)
        )
        truth = _truth(config, judged)
        counts = _write_log(config, folder, judged=judged, streams=streams, quiet=quiet)
        write_judged(folder, judged=judged, form=config.format)
        (folder / TRUTH).write_text(json.dumps(truth, indent=2) + "\n", "utf-8")
        log = next(p for p in folder.iterdir() if p.name.startswith("log."))
        size = log.stat().st_size
    return {
        "log": str(config.out / log.name),
        "sessions": config.sessions,
        **counts,
        "queries": judged.logged,
        "queries_judged_only": len(judged.sizes) - judged.logged,
        "documents": len(judged.grade),
        "bytes": size,
        "seconds": round(time.monotonic() - began, 3),
    }


def _write_log(
    config: SimulateConfig, folder: Path, *, judged: JudgedSet, streams: Streams, quiet: bool
) -> dict[str, int]:
    impressions = clicks = 0
    with (
        WRITERS[config.format](folder, judged=judged) as log,
        progress("simulate", total=config.sessions, unit="sessions", quiet=quiet) as advance,
    ):
        for pages in sessions(config, judged=judged, streams=streams):
            log.write(pages)
            impressions += int((pages.row >= 0).sum())
            clicks += int(pages.click.sum())
            advance(len(pages.query))
    return {"impressions": impressions, "clicks": clicks}


def _truth(config: SimulateConfig, judged: JudgedSet) -> dict[str, Any]:
    user = User(eta=config.eta, epsilon=config.epsilon, y_max=judged.y_max)
    theta = examination(user, positions=config.positions)
    return {
        "click_model": config.click_model,
        "eta": config.eta,
        "epsilon": config.epsilon,
        "y_max": judged.y_max,
        "examination": theta.tolist(),
        "relative_propensity": (theta / theta[0]).tolist(),
        "logger": config.logger,
        "logging": config.logging,
        "positions": config.positions,
        "sessions": config.sessions,
        "seed": config.seed,
    }


@contextlib.contextmanager
def _replacing(out: Path, *, is_forced: bool) -> Iterator[Path]:
    """A folder beside `out` whose files move there when all went well.

    Raises:
        UsageError: `out` cannot be written, or holds something else than a simulation.
    """
    try:
        is_taken = out.exists() and (not out.is_dir() or any(out.iterdir()))
        if is_taken and not (is_forced and out.is_dir()) and not _is_simulation(out):
            raise UsageError(
                "simulate writes into a new folder, or over an earlier simulation",
                got=f"{out} holds something else",
                hint="name another folder, or add --force to write beside what is there",
            )
        out.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise UsageError(
            "the output folder must be writable",
            got=f"{out}: {error.strerror}",
            hint="name another folder with --out",
        ) from error
    try:
        yield folder
        _move(folder, out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_simulation(out: Path) -> bool:
    try:
        truth = json.loads((out / TRUTH).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(truth, dict) and "relative_propensity" in truth


def _move(folder: Path, out: Path) -> None:
    """Old files go first and `truth.json` comes last: a folder that has it is whole."""
    out.mkdir(exist_ok=True)
    for name in reversed(OUTPUTS):
        (out / name).unlink(missing_ok=True)
    for name in OUTPUTS:
        if (folder / name).exists():
            (folder / name).replace(out / name)
