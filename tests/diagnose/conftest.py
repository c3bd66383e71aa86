"""Lakes of exposures and pages, and logs with planted examination."""

import numpy as np
import pyarrow as pa
import pytest

from tests.diagnose import logs
from ultr.lake import create_lake
from ultr.schema import TABLES


def write_lake(root, query, document, click, *, position=None, features=None, day=None):
    """A lake with these pages `[S, K]`: sessions, and exposures as `ultr lists` would make them."""
    s, k = document.shape
    position = np.tile(np.arange(1, k + 1), (s, 1)) if position is None else position
    document = document + 1000 * query[:, None]
    days = np.zeros(s, int) if day is None else day
    with create_lake(root).commit("test") as change:
        records = [
            {
                "source": "a.tsv", "ordinal": i + 1, "query_id": int(query[i]), "weight": 1.0,
                "period": f"2026-01-{days[i] + 1:02d}", "doc_id": document[i].tolist(),
                "position": position[i].tolist(), "click": click[i].tolist(),
                "session_id": f"s{i // 4}",
            }
            for i in range(s)
        ]  # fmt: skip
        schema = TABLES["sessions"].arrow()
        rows = pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in records], schema)
        change.write("sessions", rows, source="a.tsv")
        change.manifest.sources["a.tsv"] = {"lines": s, "rejects": 0}
        change.manifest.ids.update(query="integer", doc="integer")
        for d in np.unique(days).tolist():
            at = days == d
            flat = pa.table(
                {
                    "query_id": np.repeat(query[at], k), "doc_id": document[at].reshape(-1),
                    "position": position[at].reshape(-1).astype(np.int16),
                    "impressions": np.ones(int(at.sum()) * k, np.int64),
                    "clicks": click[at].reshape(-1).astype(np.int64),
                }
            )  # fmt: skip
            summed = flat.group_by(["query_id", "doc_id", "position"]).aggregate(
                [("impressions", "sum"), ("clicks", "sum")]
            )
            summed = summed.rename_columns(
                ["query_id", "doc_id", "position", "impressions", "clicks"]
            ).append_column("context", pa.array([""] * summed.num_rows))
            change.write("exposures", summed, bucket=0, period=f"2026-01-{d + 1:02d}")
        if features is not None:
            ids = np.unique(np.stack([np.repeat(query, k), document.reshape(-1)]), axis=1)
            found = {
                "query_id": ids[0], "doc_id": ids[1],
                "row": np.arange(ids.shape[1], dtype=np.int32),
                "features": pa.array(features(ids[0], ids[1]).tolist(), pa.list_(pa.float32())),
            }  # fmt: skip
            change.write("candidates", pa.table(found), bucket=0)
    return root


@pytest.fixture
def make_lake():
    return write_lake


@pytest.fixture
def simulated(tmp_path):
    """A lake of shuffled-by-grade pages under a planted PBM."""

    def build(name="lake", *, seed=0, **settings):
        rng = np.random.default_rng(seed)
        wanted = {"queries": 60, "sessions": 4000} | settings
        features = wanted.pop("features", None)
        query, document, grades = logs.pages(rng, **wanted)
        click = logs.pbm(rng, grades, user=logs.User())
        return write_lake(tmp_path / name, query, document, click, features=features)

    return build
