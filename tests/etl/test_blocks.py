"""Where the blocks of a file end is not to be seen in the lake, nor in what a job counts."""

from __future__ import annotations

import random

import pytest

from tests.etl.test_events import LOGS, content, read
from tests.logs.family import PIECES, mutated
from ultr.errors import DataError
from ultr.logs import raw


def parts(form, seed):
    """A log in one file to three, with odd bytes, some in the order of time."""
    rng = random.Random(seed)
    lines = LOGS[form](seed, **({"pages": 12} if form == "ubi" else {"sessions": 12}))
    if seed % 2:
        rng.shuffle(lines)
    for i in range(1 + seed % 3):
        data = "".join(line + "\n" for line in lines[i :: 1 + seed % 3]).encode()
        edits = [(rng.random(), rng.choice([0, 1, 30]), rng.choice(PIECES)) for _ in range(seed)]
        yield mutated(data, edits)


def told(folder, parts, form, *, nights):
    """What the job and the lake say, or the rule that a file breaks."""
    folder.mkdir()
    paths = []
    for number, data in enumerate(parts):
        paths.append(folder / f"{number}.log")
        paths[-1].write_bytes(data)
    try:
        results = [
            read(folder / "lake", night, form)
            for night in ([[p] for p in paths] if nights else [paths])
        ]
    except DataError as error:
        return error.rule
    for result in results:
        del result["seconds"], result["sessions_per_second"]
    return results, content(folder / "lake")


@pytest.mark.parametrize("form", LOGS)
@pytest.mark.parametrize("seed", [1, 2, 4, 5])
def test_the_size_of_blocks_changes_neither_lake_nor_counts(tmp_path, monkeypatch, form, seed):
    data, nights = list(parts(form, seed)), seed >= 3
    whole = told(tmp_path / "whole", data, form, nights=nights)
    for size in (64, 1000):
        monkeypatch.setattr(raw, "BLOCK_BYTES", size)
        assert told(tmp_path / str(size), data, form, nights=nights) == whole
