"""Parquet in bounded memory: what is read is let go of while the file is open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ultr
from ultr.errors import DataError
from ultr.logs import table
from ultr.parquet import iter_batches, open_parquet

ROWS, GROUPS = 20_000, 40


def short_parquet(path):
    """A file with a damaged footer: it says 1,001 rows and has 1,000."""
    ids = list(range(1000))
    columns = {"query_id": ids, "doc_id": ids, "position": [1] * 1000, "click": [True] * 1000}
    pq.write_table(pa.table(columns), path, store_schema=False)
    data = path.read_bytes()
    # In the footer a number is a zigzag varint, and the first one of 1,000 counts the file's rows.
    at = data.index(b"\xd0\x0f", len(data) - 8 - int.from_bytes(data[-8:-4], "little"))
    path.write_bytes(data[:at] + b"\xd2" + data[at + 1 :])
    return path


def test_reading_in_batches_holds_a_few_row_groups_and_not_the_file(tmp_path):
    path = tmp_path / "large.parquet"
    rng = np.random.default_rng(0)
    schema = pa.schema([("x", pa.float64())])
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(GROUPS):
            writer.write_table(pa.table({"x": rng.random(ROWS)}, schema=schema))
    before, most, rows = pa.total_allocated_bytes(), 0, 0
    with open_parquet(path) as file:
        for batch in iter_batches(file, ROWS):
            rows += batch.num_rows
            most = max(most, pa.total_allocated_bytes() - before)
    assert rows == ROWS * GROUPS
    assert most < path.stat().st_size / 4


def test_only_one_place_reads_in_batches():
    # Elsewhere, a file would be held in memory or end early without a word.
    for path in Path(ultr.__file__).parent.rglob("*.py"):
        if path.name != "parquet.py" or path.parent.name != "ultr":
            text = path.read_text("utf-8")
            assert ".iter_batches(" not in text, path


def test_pages_that_end_before_the_rows_do_are_damage(tmp_path):
    path = short_parquet(tmp_path / "short.parquet")
    with open_parquet(path) as file, pytest.raises(pa.ArrowInvalid, match="1,000 of 1,001 rows"):
        list(iter_batches(file, 100))


def test_a_log_whose_pages_end_early_is_refused(tmp_path):
    with pytest.raises(DataError, match="must be whole"):
        list(table.read(short_parquet(tmp_path / "short.parquet")))
