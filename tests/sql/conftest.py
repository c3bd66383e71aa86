"""A small lake whose numbers can be counted by hand: three pages of two queries, two sources."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest

from ultr.lake import create_lake
from ultr.schema import TABLES


def rows(table, records):
    """Records as an Arrow table of the registry; what a record leaves out is null."""
    schema = TABLES[table].arrow()
    return pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in records], schema)


def page(source, ordinal, query_id, docs, clicks, *, day=1, **more):
    return {
        "source": source,
        "ordinal": ordinal,
        "query_id": query_id,
        "period": f"2026-01-{day:02}",
        "doc_id": docs,
        "position": list(range(1, len(docs) + 1)),
        "click": clicks,
        "shown_at": datetime(2026, 1, day, 12, 30, tzinfo=UTC),
        "weight": 1.0,
        **more,
    }


@pytest.fixture
def make_rows():
    return rows


@pytest.fixture
def lake(tmp_path):
    root = tmp_path / "it's a=1" / "period=x" / "lake"
    with create_lake(root).commit("test") as change:
        pages = {
            "a.tsv": [page("a.tsv", 1, 7, [1, 2], [1, 0]), page("a.tsv", 5, 7, [2, 1], [0, 0])],
            "b.tsv": [page("b.tsv", 1, 8, [3], [1], day=2)],
        }
        for source, records in pages.items():
            change.write("sessions", rows("sessions", records), source=source)
        # Both sources met query 7 and document 1.
        change.write("queries", rows("queries", [{"query_id": 7, "key": "seven"}]), source="a.tsv")
        both = [{"query_id": 7, "key": "seven"}, {"query_id": 8, "key": "k8", "text": "eight"}]
        change.write("queries", rows("queries", both), source="b.tsv")
        docs = [{"doc_id": d, "key": f"d{d}"} for d in (1, 2, 3)]
        change.write("documents", rows("documents", docs), source="a.tsv")
        change.write("documents", rows("documents", docs[:1]), source="b.tsv")
        graded = [{"query_id": 7, "doc_id": 1, "grade": 2}]
        change.write("judgments", rows("judgments", graded))
        _collapsed(change)
    return create_lake(root)


def _collapsed(change):
    def listed(query_id, row, click):
        positions = list(range(1, len(row) + 1))
        split = {"query_split": "train", "session_split": "train"}
        counts = {"n": 1, "weight": 1.0, "weight_sq": 1.0}
        lists = {"row": row, "position": positions, "click": click}
        return {"query_id": query_id, **split, **lists, **counts}

    def seen(query_id, doc_id, position, clicks):
        counts = {"impressions": 1, "clicks": clicks}
        where = {"position": position, "context": ""}
        return {"query_id": query_id, "doc_id": doc_id, **where, **counts}

    by_bucket = {0: [(7, 1), (7, 2)], 11: [(8, 3)]}
    for bucket, pairs in by_bucket.items():
        found = [{"query_id": q, "doc_id": d, "row": i} for i, (q, d) in enumerate(pairs)]
        change.write("candidates", rows("candidates", found), bucket=bucket)
    first, second = "2026-01-01", "2026-01-02"
    lists = [listed(7, [0, 1], [1, 0]), listed(7, [1, 0], [0, 0])]
    change.write("lists", rows("lists", lists), bucket=0, period=first)
    change.write("lists", rows("lists", [listed(8, [0], [1])]), bucket=11, period=second)
    shown = [seen(7, 1, 1, 1), seen(7, 2, 2, 0), seen(7, 2, 1, 0), seen(7, 1, 2, 0)]
    change.write("exposures", rows("exposures", shown), period=first)
    change.write("exposures", rows("exposures", [seen(8, 3, 1, 1)]), period=second)
    change.manifest.meta["lists"] = {"by_period": {first: {"sessions": 2}, second: {"sessions": 1}}}
