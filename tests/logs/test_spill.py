"""Rows dealt out on disk come back whole, by partition, in the order in which they were added."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from ultr.logs import spill
from ultr.logs.spill import Spill, by_key, by_partition

PARTITIONS = 3000


def test_more_partitions_than_there_are_open_files(tmp_path):
    out, rng = Spill(tmp_path / "rows.arrow"), np.random.default_rng(0)
    added = []
    for _ in range(3):
        partition, value = rng.integers(0, PARTITIONS, 5000), rng.integers(0, 9, 5000)
        order, bounds = by_partition(partition, PARTITIONS)
        lists = pa.ListArray.from_arrays(np.arange(5001, dtype=np.int32), pa.array(value[order]))
        out.add(pa.RecordBatch.from_pydict({"value": value[order], "list": lists}), bounds)
        added.append((partition, value))
    out.finish()
    partition, value = (np.concatenate(c) for c in zip(*added, strict=True))
    for p in (0, 7, PARTITIONS - 1):
        own = value[partition == p].tolist()
        expected = {"value": own, "list": [[v] for v in own]}
        table = out.read(p)
        assert (table.to_pydict() if table else {"value": [], "list": []}) == expected
    assert [p.name for p in tmp_path.iterdir()] == ["rows.arrow"]


def test_nothing_is_no_file(tmp_path):
    out = Spill(tmp_path / "rows.arrow")
    out.finish()
    assert out.read(0) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("most", [0, 5_000, 12_000, 1 << 20])
def test_shares_are_the_same_in_memory_and_on_disk(monkeypatch, most):
    rng = np.random.default_rng(1)
    rows = pl.DataFrame(
        {
            "key": rng.integers(0, 40, 900),
            "text": [None if i % 7 == 0 else "x" * (i % 30) for i in range(900)],
            "list": [[i, i + 1] * (i % 3) for i in range(900)],
        }
    )
    monkeypatch.setattr(spill, "HELD_BYTES", most)
    found = list(by_key(rows.iter_slices(100), keys=["key"], text_bytes=4 * spill.PART_BYTES))
    part = rows.select("key").hash_rows(seed=0) % 6
    expected = [rows.filter(part == p) for p in range(6)]
    assert [f.rows() for f in found] == [e.rows() for e in expected if e.height]
    assert {tuple(f.schema.items()) for f in found} == {tuple(rows.schema.items())}


def test_no_rows_are_no_shares():
    assert list(by_key(iter(()), keys=["key"], text_bytes=0)) == []
