"""Parquet in bounded memory: what is read is let go of while the file is open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import ultr
from ultr.parquet import open_parquet

ROWS, GROUPS = 20_000, 40


def test_reading_in_batches_holds_a_few_row_groups_and_not_the_file(tmp_path):
    path = tmp_path / "large.parquet"
    rng = np.random.default_rng(0)
    schema = pa.schema([("x", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(GROUPS):
            writer.write_table(pa.table({"x": rng.random(ROWS)}, schema=schema))
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    with open_parquet(path) as file:
        for batch in file.iter_batches(ROWS):
            rows += batch.num_rows
            most = max(most, pa.total_allocated_bytes() - before)
    assert rows == ROWS * GROUPS
    assert most < path.stat().st_size / 4


def test_whoever_reads_in_batches_opens_files_so():
    for path in Path(ultr.__file__).parent.rglob("*.py"):
        text = path.read_text("utf-8")
        assert ".iter_batches(" not in text or "pq.ParquetFile(" not in text, path
