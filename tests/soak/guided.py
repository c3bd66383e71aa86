"""Coverage-guided fuzzing of a reader with atheris (the extra `soak`), over the same check.

    python -m tests.soak.guided "json pages" -runs=100000

Whatever follows the reader goes to libFuzzer. Polars, DuckDB and Arrow are compiled: the guide sees
the paths through our own code.
"""  # fmt: skip

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ultr.logs", "ultr.letor", "ultr.etl"]):
    from tests.soak.fuzz import READERS
    from ultr.errors import DataError


def main() -> None:
    """Fuzz one reader, from its good file on."""
    name, *options = sys.argv[1:]
    member = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        seeds, files = Path(folder) / "seeds", Path(folder) / "files"
        seeds.mkdir()
        files.mkdir()
        (seeds / "good").write_bytes(member.data)

        def one(data: bytes) -> None:
            try:
                member.check(member.place(files, data))
            except DataError:
                return

        atheris.Setup([sys.argv[0], "-timeout=60", "-rss_limit_mb=2048", *options, str(seeds)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
