"""Write the report of a run."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ultr.errors import UsageError
from ultr.report.gather import gather
from ultr.report.run_page import run_page
from ultr.report.run_summary import headline
from ultr.results import check_target, replacing


def write_report(
    run: Path,
    *,
    out: Path,
    lake: Path | None = None,
    others: Sequence[Path] = (),
    quiet: bool = True,
) -> dict[str, Any]:
    """Write one self-contained HTML page of a run, at once or not at all.

    Args:
        run: folder of a finished run.
        out: the page, a name that ends in .html.
        lake: where to evaluate; by default where the run was trained.
        others: runs to compare it with.
        quiet: show no progress.

    Returns:
        `headline`, `bytes`, and `missing`: what could not be shown -> why.

    Raises:
        UsageError: another name, or a place that cannot be written to.
        DataError: no run there.

    Example:
        >>> write_report(Path("runs/dla"), out=Path("report.html"))  # doctest: +SKIP
    """
    if out.suffix.lower() not in (".html", ".htm"):
        raise UsageError(
            "a report is an HTML file", got=str(out), hint=f"--out {out.with_suffix('.html')}"
        )
    inputs = [run, *others, *([lake] if lake else [])]
    check_target(out, inputs=inputs)
    found = gather(run, lake=lake, others=others, quiet=quiet)
    text = run_page(found, version=version("ultr"))
    with replacing(out, inputs=inputs) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return {
        "headline": headline(found),
        "bytes": len(text.encode()),
        "missing": dict(found.missing),
    }
