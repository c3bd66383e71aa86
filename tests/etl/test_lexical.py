"""Lexical features against the formulas in plain Python, and what must not change them."""

from math import log

import numpy as np
import pytest

from ultr.errors import DataError, UsageError
from ultr.etl import lexical_corpus, lexical_tokens
from ultr.etl.features import add_features
from ultr.etl.features_config import LexicalConfig
from ultr.etl.lexical import field_names
from ultr.lake import create_lake, open_lake

QUERIES = {1: "Red shoes", 2: "red RED  hat", 3: "nowhere found", 4: None, 5: ""}
DOCUMENTS = {
    10: ("red shoes", "buy red shoes and red hats here"),
    11: ("Blue\x01shoes", "the shoes are blue \n blue"),
    12: (None, "a hat"),
    13: ("", "red"),
    14: ("a title without a body", None),
    15: (None, None),
}


def lake_of(root, make_rows, one_page, *, queries=QUERIES, documents=DOCUMENTS, sources=1, more=()):
    """Every query shows every document; the documents stand in files of several sources."""
    pages = [one_page(i, q, list(documents), [0] * len(documents)) for i, q in enumerate(queries)]
    with create_lake(root).commit("test") as change:
        change.write("sessions", make_rows("sessions", pages), source="a")
        texts = [{"query_id": q, "key": str(q), "text": t} for q, t in queries.items()]
        change.write("queries", make_rows("queries", texts), source="a")
        rows = [
            {"doc_id": d, "key": str(d), "title": title, "text": text}
            for d, (title, text) in documents.items()
        ]
        for i in range(sources):
            change.write("documents", make_rows("documents", rows[i::sources]), source=f"a{i}")
        for source, extra in more:
            change.write("documents", make_rows("documents", extra), source=source)
        change.manifest.ids.update({"query": "integer", "doc": "integer"})
    return root


def values_of(root):
    """(query, document) -> feature -> value."""
    lake = open_lake(root)
    names = lake.manifest.meta["features"]["groups"]["lexical"]["names"]
    return {
        (r["query_id"], r["doc_id"]): dict(zip(names, r["features"], strict=True))
        for r in lake.read("features").to_pylist()
    }


def words(text):
    return text.lower().replace("\x01", " ").split()


def fields_of(title, text):
    """Field -> tokens, None where there is no such text."""
    parts = {"title": title, "text": text}
    found = {name: None if t is None else words(t) for name, t in parts.items()}
    known = [t for t in found.values() if t is not None]
    whole = [word for tokens in known for word in tokens]
    return found | {"whole": whole if known else None}


def by_hand(config):
    """The same features, formula by formula."""
    corpus = {d: fields_of(*t) for d, t in DOCUMENTS.items() if any(x is not None for x in t)}
    out = {}
    for q, text in QUERIES.items():
        for d, fields in corpus.items():
            if text is None:
                continue
            own = out[q, d] = {"lexical.query_length": len(words(text))}
            for name, tokens in fields.items():
                others = [f[name] for f in corpus.values() if f[name] is not None]
                found = one_field(words(text), tokens, others, config)
                own |= {f"lexical.{k}.{name}": v for k, v in found.items()}
    return out


def one_field(query, tokens, others, config):
    n, size = len(others), sum(map(len, others))
    names = "tf idf tfidf bm25 ql_jelinek_mercer ql_dirichlet ql_absolute covered coverage length"
    if tokens is None:
        return dict.fromkeys(names.split(), float("nan"))
    out = dict.fromkeys(names.split(), 0.0)
    length, distinct = len(tokens), len(set(tokens))
    for t in query:
        c = tokens.count(t)
        df = sum(t in o for o in others)
        p = max(sum(o.count(t) for o in others), 0.5) / size
        out["tf"] += c
        out["idf"] += log(n / df) if c else 0
        out["tfidf"] += c * log(n / df) if c else 0
        k = config.k1 * (1 - config.b + config.b * length / (size / n))
        weight = log(1 + (n - df + 0.5) / (df + 0.5))
        out["bm25"] += weight * c * (config.k1 + 1) / (c + k) if c else 0
        lam, mu, delta = config.jm_lambda, config.dirichlet_mu, config.absolute_delta
        out["ql_jelinek_mercer"] += log((1 - lam) * (c / length if length else 0) + lam * p)
        out["ql_dirichlet"] += log((c + mu * p) / (length + mu))
        if length:
            out["ql_absolute"] += log(max(c - delta, 0) / length + delta * distinct / length * p)
        else:
            out["ql_absolute"] += log(p)
    out["covered"] = sum(t in tokens for t in set(query))
    out["coverage"] = out["covered"] / max(len(set(query)), 1)
    return out | {"length": length}


CONFIGS = [LexicalConfig(), LexicalConfig(k1=0.4, b=1.0, jm_lambda=0.7, dirichlet_mu=5.0)]


@pytest.mark.parametrize("config", CONFIGS, ids=["usual", "other"])
def test_they_are_the_formulas(tmp_path, make_rows, one_page, config):
    root = lake_of(tmp_path / "lake", make_rows, one_page)
    result = add_features(root, lexical=config, min_match=0)
    found, expected = values_of(root), by_hand(config)
    assert found.keys() == expected.keys()
    for pair, features in expected.items():
        assert found[pair] == pytest.approx(features, rel=1e-6, abs=1e-6, nan_ok=True), pair
    assert result["lexical"]["matched_pairs"] == len(found) == 4 * 5
    assert result["features"] == 3 * 10 + 1


def test_the_collection_is_in_the_manifest(tmp_path, make_rows, one_page):
    root = lake_of(tmp_path / "lake", make_rows, one_page)
    add_features(root, lexical=LexicalConfig(), min_match=0)
    collection = open_lake(root).manifest.meta["features"]["groups"]["lexical"]["collection"]
    # Without the title there is nothing to count; an empty one counts as a text.
    assert collection["title"] == {"documents": 4, "tokens": 2 + 2 + 5, "mean_length": 9 / 4}
    assert collection["text"]["documents"] == 4
    assert collection["whole"]["documents"] == 5


def random_texts(rng, n):
    letters = np.array(list("abcdefghijklmnop"))
    return [" ".join(rng.choice(letters, rng.integers(1, 30))) for _ in range(n)]


@pytest.fixture
def many(make_rows, one_page):
    """Builds a lake of 40 queries and 300 documents in so many files, in a shuffled order."""

    def build(root, *, sources=1, more=(), seed=None):
        rng = np.random.default_rng(0)
        texts = zip(random_texts(rng, 300), random_texts(rng, 300), strict=True)
        documents = list(zip(range(1000, 1300), texts, strict=True))
        queries = dict(enumerate(random_texts(rng, 40)))
        if seed is not None:
            np.random.default_rng(seed).shuffle(documents)
        return lake_of(
            root, make_rows, one_page, queries=queries, documents=dict(documents),
            sources=sources, more=more,
        )  # fmt: skip

    return build


def test_neither_parts_nor_blocks_nor_order_matter(tmp_path, many, monkeypatch):
    add_features(many(tmp_path / "one"), lexical=LexicalConfig())
    monkeypatch.setattr(lexical_corpus, "_ROWS_PER_PART", 40)
    monkeypatch.setattr(lexical_tokens, "_BLOCK_BYTES", 1000)
    monkeypatch.setattr("ultr.etl.lexical._PAIRS", 100)
    add_features(many(tmp_path / "many", sources=4, seed=1), lexical=LexicalConfig())
    one, other = values_of(tmp_path / "one"), values_of(tmp_path / "many")
    assert len(one) == 40 * 300
    assert one == other


def test_a_document_of_several_sources_counts_once(tmp_path, many):
    """As the first source by name has it, whichever was read first."""
    add_features(many(tmp_path / "one"), lexical=LexicalConfig())
    again = [{"doc_id": d, "key": "", "title": "a a", "text": "b"} for d in range(1000, 1100)]
    add_features(many(tmp_path / "two", more=[("b", again)]), lexical=LexicalConfig())
    assert values_of(tmp_path / "one") == values_of(tmp_path / "two")
    add_features(many(tmp_path / "three", more=[("A", again)]), lexical=LexicalConfig())
    assert values_of(tmp_path / "three")[0, 1000]["lexical.length.title"] == 2


def test_one_field_has_no_whole_document(tmp_path, many):
    both, one = many(tmp_path / "both"), many(tmp_path / "one")
    add_features(both, lexical=LexicalConfig())
    add_features(one, lexical=LexicalConfig(fields=("text",)))
    assert field_names(LexicalConfig(fields=("text",))) == ("text",)
    whole = values_of(both)
    for pair, features in values_of(one).items():
        assert features == {name: whole[pair][name] for name in features}
    assert len(features) == 11


def test_judged_pairs_have_them_too(tmp_path, make_rows, one_page):
    root = lake_of(tmp_path / "lake", make_rows, one_page)
    new = {"doc_id": 99, "key": "99", "title": "red", "text": None}
    with open_lake(root).commit("test") as change:
        change.write("documents", make_rows("documents", [new]), source="b")
        judged = [{"query_id": 1, "doc_id": 99, "grade": 1}]
        change.write("judgments", make_rows("judgments", judged))
    add_features(root, lexical=LexicalConfig(), min_match=0)
    assert values_of(root)[1, 99]["lexical.tf.title"] == 1


def test_a_log_with_few_texts_is_refused(tmp_path, make_rows, one_page):
    root = lake_of(tmp_path / "lake", make_rows, one_page)
    with pytest.raises(DataError, match=r"texts are there for 20 of 30 (.|\n)*--min-match 0"):
        add_features(root, lexical=LexicalConfig(), min_match=0.7)
    none = dict.fromkeys(QUERIES)
    root = lake_of(tmp_path / "none", make_rows, one_page, queries=none)
    with pytest.raises(DataError, match="no query of the lake has a text"):
        add_features(root, lexical=LexicalConfig(), min_match=0)
    root = lake_of(tmp_path / "empty", make_rows, one_page, documents={10: (None, None)})
    with pytest.raises(DataError, match="no document of the lake has a text"):
        add_features(root, lexical=LexicalConfig(), min_match=0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"fields": ()},
        {"fields": ("title", "title")},
        {"k1": -1.0},
        {"b": 1.5},
        {"jm_lambda": 0.0},
        {"dirichlet_mu": 0.0},
        {"absolute_delta": 1.1},
    ],
)
def test_wrong_parameters_are_refused(wrong):
    with pytest.raises(UsageError):
        LexicalConfig(**wrong)


def test_a_vocabulary_finds_its_own_terms_and_no_others():
    from ultr.etl.lexical_queries import Queries

    rng = np.random.default_rng(0)
    top = 1 << lexical_tokens.TERM_BITS
    # Some terms share all but their last bits, so that one slot of the directory holds many.
    near = np.arange(50, dtype=np.uint64) + np.uint64(top // 3)
    edges = np.array([0, top - 1], np.uint64)
    known = np.unique(np.concatenate([near, edges, rng.integers(0, top, 500, dtype=np.uint64)]))
    nothing = np.zeros(0, np.int64)
    queries = Queries(nothing, nothing, nothing, nothing, nothing, known)
    other = np.setdiff1d(rng.integers(0, top, 500, dtype=np.uint64), known)
    other = np.concatenate([other, near[-1:] + np.uint64(1)])
    wanted = rng.permutation(np.concatenate([known, other]))
    is_known, index = queries.terms_in(wanted)
    np.testing.assert_array_equal(is_known, np.isin(wanted, known))
    np.testing.assert_array_equal(known[index], wanted[is_known])
