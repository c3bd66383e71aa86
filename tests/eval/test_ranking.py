"""Ranking metrics against their formulas, and against trec_eval's definitions in plain loops."""

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ultr.errors import DataError
from ultr.eval.documents import letor_documents
from ultr.eval.ranking import CUTOFFS, ranking_metrics


def trec_eval(run, qrels):
    """One query, as trec_eval 9 does it: m_ndcg_cut.c, m_map.c, m_recip_rank.c, m_P.c.

    form_res_rels.c, comp_sim_docno: descending score, then strcmp(docno2, docno1).
    """
    ranked = sorted(run, key=lambda d: (run[d], d.encode()), reverse=True)
    ideal = sorted((g for g in qrels.values() if g > 0), reverse=True)
    out = {}
    for k in CUTOFFS:
        dcg = 0.0
        for i, doc in enumerate(ranked[:k]):
            dcg += max(qrels.get(doc, 0), 0) / math.log2(i + 2)
        idcg = 0.0
        for i, grade in enumerate(ideal[:k]):
            idcg += grade / math.log2(i + 2)
        out[f"ndcg@{k}"] = dcg / idcg
        out[f"precision@{k}"] = sum(qrels.get(d, 0) >= 1 for d in ranked[:k]) / k
    found, total, first = 0, 0.0, 0.0
    for i, doc in enumerate(ranked):
        if qrels.get(doc, 0) >= 1:
            found += 1
            total += found / (i + 1)
            first = first or 1 / (i + 1)
    return {**out, "map": total / len(ideal), "mrr": first}


def make(seed, *, queries=40, levels=None):
    """Random queries; with `levels`, scores take that many values, so that ties abound."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 30, queries)
    query = np.repeat(np.arange(queries), sizes)
    n = len(query)
    scores = rng.normal(size=n) if levels is None else rng.integers(0, levels, n)
    grades = rng.integers(0, 4, n) * rng.integers(0, 2, n)
    # Numbers without an order of their own, of one width so that text sorts like numbers.
    document = rng.permutation(n) + 10_000
    return scores.astype(np.float32), grades, query, document


def expected(scores, grades, query, document):
    out = []
    for q in np.unique(query):
        mine = np.flatnonzero(query == q)
        if grades[mine].max() > 0:
            names = [f"D-{document[i]}" for i in mine]
            run = dict(zip(names, scores[mine].tolist(), strict=True))
            out.append(trec_eval(run, dict(zip(names, grades[mine].tolist(), strict=True))))
    return {name: [m[name] for m in out] for name in out[0]}


@pytest.mark.parametrize("levels", [None, 1, 3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_linear_gain_is_trec_eval(seed, levels):
    scores, grades, query, document = make(seed, levels=levels)
    mixed = np.random.default_rng(seed).permutation(len(query))  # row order means nothing
    got = ranking_metrics(
        scores[mixed],
        grades[mixed],
        query=query[mixed],
        document=document[mixed],
        max_grade=4,
        gain="linear",
    )
    for name, values in expected(scores, grades, query, document).items():
        np.testing.assert_allclose(got[name], values, atol=1e-6, rtol=0, err_msg=name)


MQ2008 = Path(__file__).parents[3] / "shared" / "data" / "mq2008" / "S3.txt"


@pytest.mark.skipif(not MQ2008.exists(), reason="needs ../shared/data")
@pytest.mark.parametrize("feature", [0, 1, 38])
def test_linear_gain_is_trec_eval_on_real_judgments_with_ties(feature):
    runs, qrels = {}, {}
    for line in MQ2008.read_text().splitlines():
        grade, qid, *values = line.split("#")[0].split()
        doc = line.split("docid = ")[1].split()[0]
        runs.setdefault(qid, {})[doc] = float(np.float32(values[feature].split(":")[1]))
        qrels.setdefault(qid, {})[doc] = int(grade)
    want = [trec_eval(runs[q], qrels[q]) for q in runs if max(qrels[q].values()) > 0]
    documents = letor_documents([MQ2008])
    got = ranking_metrics(
        documents.features[:, feature],
        documents.grade,
        query=documents.query,
        document=documents.document,
        max_grade=2,
        gain="linear",
    )
    for name in want[0]:
        np.testing.assert_allclose(got[name], [m[name] for m in want], atol=1e-6, err_msg=name)


def one(scores, grades, *, gain="exponential", max_grade=4, document=None):
    n = len(scores)
    found = ranking_metrics(
        np.asarray(scores, np.float32),
        np.asarray(grades),
        query=np.zeros(n, int),
        document=np.arange(n) if document is None else np.asarray(document),
        max_grade=max_grade,
        gain=gain,
    )
    return {name: values[0] for name, values in found.items()}


def test_exponential_gain_is_its_formula():
    got = one([4, 3, 2, 1], [0, 2, 4, 1])
    dcg = 3 / math.log2(3) + 15 / math.log2(4)
    assert got["dcg@3"] == pytest.approx(dcg)
    assert got["ndcg@3"] == pytest.approx(dcg / (15 + 3 / math.log2(3) + 1 / math.log2(4)))
    assert got["ndcg@1"] == 0


def test_err_is_its_formula():
    stops = [(2**g - 1) / 2**4 for g in (0, 2, 4, 1)]
    want, goes_on = 0.0, 1.0
    for rank, stop in enumerate(stops, start=1):
        want += goes_on * stop / rank
        goes_on *= 1 - stop
    assert one([4, 3, 2, 1], [0, 2, 4, 1])["err@10"] == pytest.approx(want)
    assert one([1], [2], max_grade=2)["err@10"] == pytest.approx(3 / 4)
    assert one([1], [2], max_grade=4)["err@10"] == pytest.approx(3 / 16)


def test_err_looks_at_ten_ranks_and_mrr_at_all():
    got = one(range(12, 0, -1), [0] * 10 + [1, 0])
    assert got["err@10"] == 0
    assert got["mrr"] == pytest.approx(1 / 11)
    assert got["precision@10"] == 0


def test_among_equal_scores_the_higher_document_id_ranks_first():
    smallest, largest = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    assert one([1, 1], [0, 1], document=[smallest, largest])["mrr"] == 1
    assert one([1, 1], [1, 0], document=[smallest, largest])["mrr"] == 1 / 2


def test_queries_without_a_relevant_document_are_left_out():
    got = ranking_metrics(
        np.array([1.0, 2.0, 3.0]),
        np.array([0, 1, 0]),
        query=np.array([0, 1, 2]),
        document=np.array([1, 2, 3]),
        max_grade=1,
    )
    assert got["query"].tolist() == [1]
    assert {len(v) for v in got.values()} == {1}


def test_a_negative_grade_is_irrelevant():
    got, plain = one([3, 2, 1], [-2, 1, -1]), one([3, 2, 1], [0, 1, 0])
    assert got == plain


def test_fewer_documents_than_the_cutoff_count_as_misses_in_precision():
    assert one([1, 0], [1, 1])["precision@10"] == pytest.approx(2 / 10)
    assert one([1, 0], [1, 1])["ndcg@10"] == pytest.approx(1)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([None, 2]))
def test_a_query_does_not_depend_on_the_others(seed, levels):
    scores, grades, query, document = make(seed, queries=3, levels=levels)
    together = ranking_metrics(scores, grades, query=query, document=document, max_grade=4)
    alone = {name: [] for name in together}
    for q in range(3):
        mine = query == q
        only = ranking_metrics(
            scores[mine],
            grades[mine],
            query=np.zeros(mine.sum(), int),
            document=document[mine],
            max_grade=4,
        )
        for name, values in only.items():
            alone[name] += values.tolist()
    for name in together.keys() - {"query"}:
        np.testing.assert_allclose(together[name], alone[name], err_msg=name)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_scores_must_be_finite(bad):
    with pytest.raises(DataError, match="1 of 2"):
        one([bad, 0], [1, 0])


def test_grades_above_the_scale_are_refused():
    with pytest.raises(DataError, match="--max-grade 3"):
        one([1, 0], [3, 0], max_grade=2)


@pytest.mark.parametrize("top", [31, 2000])
def test_a_grade_whose_gain_has_no_digits_left_is_refused(top):
    with pytest.raises(DataError, match=f"up to 30(.|\\n)*{top}(.|\\n)*next: correct"):
        one([1, 0], [top, 0], max_grade=top)
    assert one([1, 0], [30, 0], max_grade=30)["ndcg@1"] == pytest.approx(1)
