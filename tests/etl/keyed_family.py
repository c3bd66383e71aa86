"""Every reader of grades and feature values with a small file of its format."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import polars as pl

from ultr.etl.judgments import read_grades
from ultr.etl.keyed import open_keyed, pair_ids, text_keys
from ultr.letor import read_letor


class Keyed(NamedTuple):
    """One of the family.

    Attributes:
        check: reads a file; a DataError is all that it may raise.
        data: a good file.
        ending: of the file's name, by which tables are told apart.
    """

    check: Callable[[Path], int]
    data: bytes
    ending: str = ".txt"

    def place(self, folder: Path, data: bytes) -> Path:
        """Write bytes where they are read."""
        path = folder / f"keyed{self.ending}"
        path.write_bytes(data)
        return path


def _grades(name: str, path: Path) -> int:
    """Rows of a file of judgments, all of which have a whole grade and, in a lake, two ids."""
    rows, grades = read_grades(path, format=name)
    assert grades.is_between(0, 30).all()
    if name != "baidu":  # known by their text, which may be empty
        keys = rows.select("query_id", "doc_id")
        pairs = pair_ids(keys, {"query": "xxh3", "doc": "xxh3"}, path=path)
        assert sum(pairs.null_count().row(0)) == 0
    return len(grades)


def _values(path: Path) -> int:
    """Rows of a feature file."""
    return sum(text_keys(block).height for block in open_keyed(path).blocks())


def _svmlight(path: Path) -> int:
    letor = read_letor(path)
    assert letor.features.shape[0] == len(letor.grade) == len(letor.qid)
    return len(letor.grade)


def _parquet(frame: pl.DataFrame) -> bytes:
    file = io.BytesIO()
    frame.write_parquet(file)
    return file.getvalue()


_LETOR = b"".join(
    b"%d qid:%d 1:0.%d 2:%d 3:1e-3 #docid = GX%d-%d inc = 1\n" % (i % 3, i // 4, i, i, i, i)
    for i in range(12)
)
_QRELS = b"".join(b"%d 0 d%d %d\n" % (i // 4, i, i % 3) for i in range(12))
_TABLE = b"query_id,doc_id,grade,price\n" + b"".join(
    b"q%d,d%d,%d,0.%d\n" % (i // 4, i, i % 3, i) for i in range(12)
)
_ANNOTATIONS = b"".join(
    b"%d\t12\x0113\t5\x01%d\t7\x018\t%d\t%d\n" % (i // 4, i, i % 5, i % 10) for i in range(12)
)
_FRAME = pl.read_csv(_TABLE)
_VECTORS = _FRAME.select(
    "query_id", "doc_id", embedding=pl.concat_list("price", "grade").cast(pl.List(pl.Float32))
)

KEYED = {
    "letor grades": Keyed(partial(_grades, "letor"), _LETOR),
    "letor": Keyed(_svmlight, _LETOR),
    "qrels": Keyed(partial(_grades, "qrels"), _QRELS),
    "grades csv": Keyed(partial(_grades, "table"), _TABLE, ".csv"),
    "grades parquet": Keyed(partial(_grades, "table"), _parquet(_FRAME), ".parquet"),
    "annotations": Keyed(partial(_grades, "baidu"), _ANNOTATIONS),
    "features csv": Keyed(_values, _TABLE, ".csv"),
    "features parquet": Keyed(_values, _parquet(_FRAME), ".parquet"),
    "embeddings parquet": Keyed(_values, _parquet(_VECTORS), ".parquet"),
}
