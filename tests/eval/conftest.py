"""A small lake in two buckets, and a run whose scores are known."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ultr.lake import create_lake, open_lake
from ultr.split import SPLITS, query_split

QUERIES, DOCUMENTS = 60, 5
NAMES = ["quality", "noise"]


@dataclass
class FakeRun:
    """Ranks by the first feature, or by a number per document; g is −0.5 per position."""

    config: dict[str, Any]
    root: Path = Path("fake")
    transform: Any = None
    seen: list = field(default_factory=list)

    @property
    def propensities(self):
        return pa.table({"position": pa.array([1, 2, 3], pa.int16()), "propensity": [1, 0.5, 0.5]})

    def score(self, features, query=None):
        self.seen.append((features.copy(), query))
        return np.nan_to_num(features[:, 0]).astype(np.float32)

    def score_candidates(self, query_id, doc_id, features):
        if self.config["reads"] == "row":
            assert features is None
            return (doc_id % 7).astype(np.float32)
        return self.score(features, query_id)

    def is_known(self, query_id, doc_id):
        return np.full(len(query_id), len(doc_id) > 0)

    def knows_context(self, data):
        return data.where

    def list_logits(self, data):
        query_id = data.query_id[data.doc_query]
        features = data.features if self.config["reads"] == "features" else None
        f = self.score_candidates(query_id, data.doc_id, features)[data.document]
        return f.astype(np.float32), (-0.5 * data.position).astype(np.float32)


@pytest.fixture
def feature_run():
    return FakeRun({"reads": "features", "n_features": 2})


@pytest.fixture
def table_run():
    return FakeRun({"reads": "row"})


@pytest.fixture
def source():
    """Arrays of the lake: query_id [Q], doc_id [Q, D], features [Q, D, 2], grades [Q, D]."""
    rng = np.random.default_rng(0)
    grades = rng.integers(0, 3, (QUERIES, DOCUMENTS))
    grades[::6] = 0  # queries without a relevant document
    return {
        "query_id": np.sort(rng.integers(-(2**62), 2**62, QUERIES)),
        "doc_id": np.sort(rng.integers(-(2**62), 2**62, (QUERIES, DOCUMENTS)), axis=1),
        "features": rng.normal(size=(QUERIES, DOCUMENTS, 2)).astype(np.float32),
        "grades": grades,
        "clicks": rng.integers(0, 2, (QUERIES, 2, 3)),
    }


@pytest.fixture
def lake(tmp_path, source):
    """Documents 0 to 3 of a query are judged, 1 to 3 shown in two lists; one has no features."""
    root = tmp_path / "lake"
    split = query_split(source["query_id"])
    with create_lake(root).commit("test") as change:
        for bucket in range(2):
            queries = np.arange(QUERIES)[bucket::2]
            features = [f.tolist() for f in source["features"][queries].reshape(-1, 2)]
            features[0] = None
            rows = np.arange(len(queries) * DOCUMENTS)
            change.write("candidates", pa.table({
                "query_id": np.repeat(source["query_id"][queries], DOCUMENTS),
                "doc_id": source["doc_id"][queries].reshape(-1),
                "row": rows,
                "features": pa.array(features, pa.list_(pa.float32())),
            }), bucket=bucket)  # fmt: skip
            shown = np.repeat(rows.reshape(-1, DOCUMENTS)[:, 1:4], 2, axis=0)
            n = len(shown)
            change.write("lists", pa.table({
                "query_id": np.repeat(source["query_id"][queries], 2),
                "query_split": np.repeat(np.array(SPLITS)[split[queries]], 2),
                "session_split": np.resize(SPLITS, n),
                "row": shown.tolist(),
                "position": [[1, 2, 3]] * n,
                "context": pa.nulls(n, pa.list_(pa.string())),
                "click": source["clicks"][queries].reshape(-1, 3).tolist(),
                "n": np.full(n, 3),
                "weight": np.full(n, 3.0),
                "weight_sq": np.full(n, 3.0),
            }), bucket=bucket, period="all")  # fmt: skip
        change.write("judgments", pa.table({
            "query_id": np.repeat(source["query_id"], 4),
            "doc_id": source["doc_id"][:, :4].reshape(-1),
            "grade": source["grades"][:, :4].reshape(-1),
        }))  # fmt: skip
        change.manifest.meta["judgments"] = {"max_grade": 4}
        change.manifest.meta["transform"] = {
            "kind": "standardise",
            "names": NAMES,
            "mean": [0.0, 0.0],
            "scale": [1.0, 1.0],
            "clip": 10.0,
        }
    return root


@pytest.fixture
def change(lake):
    """Call with a function that changes the manifest of the lake."""

    def apply(edit):
        with open_lake(lake).commit("test") as commit:
            edit(commit)

    return apply
