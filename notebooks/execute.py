"""Run the notebooks and keep their outputs: what `make notebooks` does after `make demo`.

    python notebooks/execute.py

They read the demo in the folder above the one they run in, `../demo`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
NOTEBOOKS = tuple(sorted(FOLDER.glob("*.ipynb")))


def execute(path: Path, *, folder: Path, timeout_s: int = 600) -> NotebookNode:
    """A notebook with new outputs; the file stays as it is.

    Args:
        path: the notebook.
        folder: where its cells run.
        timeout_s: of one cell.

    Raises:
        CellExecutionError: a cell that failed.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=timeout_s,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        record_timing=False,
        coalesce_streams=True,
    )
    # A GPU that JAX finds and cannot use is told on standard error, with paths of the machine.
    client.execute(env={**os.environ, "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", "cpu")})
    notebook.metadata["language_info"] = {"name": "python"}  # or each version would be a change
    return notebook


def main() -> None:
    """Execute every notebook where it lies, and write it."""
    for path in NOTEBOOKS:
        sys.stderr.write(f"{path.name}\n")
        nbformat.write(execute(path, folder=FOLDER), path)


if __name__ == "__main__":
    main()
