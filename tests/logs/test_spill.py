"""Rows dealt out on disk come back whole, by partition, in the order in which they were added."""

import numpy as np
import pyarrow as pa

from ultr.logs.spill import Spill, by_partition

PARTITIONS = 3000


def test_more_partitions_than_there_are_open_files(tmp_path):
    spill, rng = Spill(tmp_path / "rows.arrow"), np.random.default_rng(0)
    added = []
    for _ in range(3):
        partition, value = rng.integers(0, PARTITIONS, 5000), rng.integers(0, 9, 5000)
        order, bounds = by_partition(partition, PARTITIONS)
        lists = pa.ListArray.from_arrays(np.arange(5001, dtype=np.int32), pa.array(value[order]))
        spill.add(pa.RecordBatch.from_pydict({"value": value[order], "list": lists}), bounds)
        added.append((partition, value))
    spill.finish()
    partition, value = (np.concatenate(c) for c in zip(*added, strict=True))
    for p in (0, 7, PARTITIONS - 1):
        own = value[partition == p].tolist()
        expected = {"value": own, "list": [[v] for v in own]}
        table = spill.read(p)
        assert (table.to_pydict() if table else {"value": [], "list": []}) == expected
    assert [p.name for p in tmp_path.iterdir()] == ["rows.arrow"]


def test_nothing_is_no_file(tmp_path):
    spill = Spill(tmp_path / "rows.arrow")
    spill.finish()
    assert spill.read(0) is None
    assert not list(tmp_path.iterdir())
