"""Lists whose features depend on time or on the query, as training and scoring read them."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ultr.data import load_lists
from ultr.errors import DataError
from ultr.eval.documents import candidate_tables, lake_features
from ultr.lake import create_lake, open_lake
from ultr.serve.score import score
from ultr.train import fit
from ultr.transform import PER_QUERY, Transform, fit_transform

QUERIES, DOCUMENTS, PERIODS = 24, 4, ("d1", "d2")
NAMES = ("plain", "ranked")
KINDS = ("log1p+standardise", PER_QUERY)


@pytest.fixture(scope="module")
def source():
    """features [Q, D, 1 + periods, 2]: the state after the last period, then each period's."""
    rng = np.random.default_rng(0)
    return np.exp(rng.normal(size=(QUERIES, DOCUMENTS, 1 + len(PERIODS), 2))).astype(np.float32)


@pytest.fixture(scope="module")
def lake(tmp_path_factory, source):
    """Two buckets; per bucket a file of states and one per period, rows numbered through."""
    root = tmp_path_factory.mktemp("load") / "lake"
    splits = np.resize(["train", "validation", "train", "test"], QUERIES // 2)
    with create_lake(root).commit("test") as change:
        for bucket in range(2):
            queries = np.arange(QUERIES)[bucket::2]
            n = len(queries) * DOCUMENTS
            for k, period in enumerate([None, *PERIODS]):
                rows = np.arange(n) + k * n
                change.write("candidates", pa.table({
                    "query_id": np.repeat(queries, DOCUMENTS)[::-1],
                    "doc_id": np.tile(np.arange(DOCUMENTS), len(queries))[::-1],
                    "period": pa.array([period] * n, pa.string()),
                    "row": rows,
                    "features": source[queries, :, k].reshape(-1, 2)[::-1].tolist(),
                }), bucket=bucket)  # fmt: skip
                if period is None:
                    continue
                shown = rows[::-1].reshape(-1, DOCUMENTS)[:, [2, 0, 1]]
                m = len(shown)
                change.write("lists", pa.table({
                    "query_id": queries,
                    "query_split": splits,
                    "session_split": splits,
                    "row": shown.tolist(),
                    "position": [[1, 2, 3]] * m,
                    "context": pa.nulls(m, pa.list_(pa.string())),
                    "click": [[0, 1, 0]] * m,
                    "n": np.full(m, 5),
                    "weight": np.full(m, 5.0),
                    "weight_sq": np.full(m, 5.0),
                }), bucket=bucket, period=period)  # fmt: skip
        fitted = fit_transform([source[:, :, 1:].reshape(-1, 2)], NAMES, KINDS)
        change.manifest.meta["transform"] = fitted.to_json()
    return root


@pytest.fixture(scope="module")
def run(lake, tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "linear"
    return fit(load_lists(lake), run=path, ranker="linear", evaluations=1, min_steps=1)


def transformed(lake, values):
    """`[Q, D', 2]` of the candidates of each query and one period."""
    fitted = Transform.from_json(open_lake(lake).manifest.meta["transform"])
    return fitted.apply(values, np.broadcast_to(np.arange(len(values))[:, None], values.shape[:2]))


def test_a_list_shows_documents_as_they_were_in_its_period(lake, source):
    data = load_lists(lake)
    assert data.n_lists == QUERIES * len(PERIODS)
    assert data.n_documents == QUERIES * DOCUMENTS * len(PERIODS)
    assert (np.diff(data.doc_query) >= 0).all()
    by_period = {}
    for i in range(data.n_lists):
        query = int(data.query_id[data.list_query[i]])
        shown = data.document[i]
        assert data.doc_id[shown].tolist() == [2, 0, 1]
        assert set(data.doc_query[shown]) == {data.list_query[i]}
        k = 1 + by_period.setdefault(query, 0)
        by_period[query] += 1
        np.testing.assert_array_equal(data.features[shown], source[query, [2, 0, 1], k])


@pytest.mark.parametrize("take", [slice(None), slice(None, None, 3)], ids=["whole", "selected"])
def test_what_depends_on_the_query_is_seen_among_all_candidates(lake, source, take):
    chosen = np.zeros(QUERIES * len(PERIODS), bool)
    chosen[take] = True
    data = load_lists(lake).select(chosen)
    # Document 3 is shown nowhere and dropped, but it is a candidate.
    assert set(data.doc_id) == {0, 1, 2}
    place = {source[i].tobytes(): i for i in np.ndindex(*source.shape[:3])}
    expected = [transformed(lake, source[:, :, k]) for k in range(1 + len(PERIODS))]
    for raw, inputs in zip(data.features, data.inputs(), strict=True):
        query, document, k = place[raw.tobytes()]
        np.testing.assert_allclose(inputs, expected[k][query, document], rtol=1e-5)


def test_a_ranker_without_features_has_one_parameter_per_pair(lake):
    data = load_lists(lake).one_row_per_pair()
    assert data.n_documents == QUERIES * DOCUMENTS
    assert data.n_lists == QUERIES
    assert data.sessions.sum() == 10 * QUERIES
    assert data.doc_row.tolist() == list(range(data.n_documents))
    assert data.one_row_per_pair() is data
    assert data.doc_id[data.document].tolist() == [[2, 0, 1]] * QUERIES


def test_scoring_and_evaluation_see_the_state_after_the_last_period(lake, source):
    opened, found = open_lake(lake), {}
    for table in candidate_tables(opened, with_features=True):
        pairs = zip(table["query_id"].to_pylist(), table["doc_id"].to_pylist(), strict=True)
        found |= dict(zip(pairs, lake_features(opened, table), strict=True))
    assert len(found) == QUERIES * DOCUMENTS
    for (q, d), values in found.items():
        np.testing.assert_array_equal(values, source[q, d, 0])


def test_training_and_scoring_apply_one_transform(lake, run, source, tmp_path):
    """The scores of a lake, of a feature file and of lists, against the ranker on its inputs."""
    weights = np.asarray(run._score_inputs(np.eye(2, dtype=np.float32), np.zeros(2, np.int32)))
    bias = run._score_inputs(np.zeros((1, 2), np.float32), np.zeros(1, np.int32))[0]

    def linear(values):
        return transformed(lake, values) @ (weights - bias) + bias

    score(run.root, lake=lake, out=tmp_path / "lake.parquet")
    path = tmp_path / "features.parquet"
    pq.write_table(pa.table({
        "query_id": np.repeat(np.arange(QUERIES), DOCUMENTS),
        "doc_id": np.tile(np.arange(DOCUMENTS), QUERIES),
        "features": source[:, :, 0].reshape(-1, 2).tolist(),
    }), path)  # fmt: skip
    score(run.root, features=path, out=tmp_path / "file.parquet")
    for name in ("lake", "file"):
        rows = pq.read_table(tmp_path / f"{name}.parquet").sort_by(
            [("query_id", "ascending"), ("doc_id", "ascending")]
        )
        found = rows["score"].to_numpy().reshape(QUERIES, DOCUMENTS)
        np.testing.assert_allclose(found, linear(source[:, :, 0]), rtol=1e-4, atol=1e-5)
    data = load_lists(lake)
    f, _ = run.list_logits(data)
    queries = data.query_id[data.list_query[::2]]  # one list of each period follows the other
    first = linear(source[:, :, 1])[queries][:, [2, 0, 1]]
    np.testing.assert_allclose(f[::2], first, rtol=1e-4, atol=1e-5)


def test_a_lake_of_other_kinds_is_refused(lake, run):
    data = load_lists(lake)
    other = fit_transform([data.features], NAMES)
    with pytest.raises(DataError, match="transform features as the run does"):
        run.list_logits(type(data)(**{**vars(data), "transform": other}))
