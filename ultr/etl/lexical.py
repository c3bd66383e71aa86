"""Lexical features: how well the words of a query match those of a document."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from ultr.commit import Commit
from ultr.errors import DataError
from ultr.etl import lexical_formulas as formulas
from ultr.etl.feature_checks import marks
from ultr.etl.feature_groups import LEXICAL, Group
from ultr.etl.feature_rows import Block, write_rows
from ultr.etl.features_config import LexicalConfig
from ultr.etl.lexical_collection import Collection
from ultr.etl.lexical_corpus import THREADS, count_parts, stage_documents
from ultr.etl.lexical_documents import Documents, has_repeated, read_part
from ultr.etl.lexical_formulas import Entries, Floats
from ultr.etl.lexical_queries import Queries, read_queries
from ultr.etl.lexical_tokens import Longs
from ultr.etl.parallel import Once, map_threads
from ultr.transform import Kind

WHOLE = "whole"
"""All fields as one text."""

QUERY_LENGTH = f"{LEXICAL}.query_length"

MEASURES: dict[str, Kind] = {
    "tf": "log1p+standardise",
    "idf": "standardise",
    "tfidf": "standardise",
    "bm25": "standardise",
    "ql_jelinek_mercer": "standardise",
    "ql_dirichlet": "standardise",
    "ql_absolute": "standardise",
    "covered": "standardise",
    "coverage": "standardise",
    "length": "log1p+standardise",
}
"""Per field; `coverage` is `covered` divided by the distinct terms of the query."""

_PAIRS = 1 << 16


def field_names(config: LexicalConfig) -> tuple[str, ...]:
    """The fields, and with several of them the whole document."""
    return (*config.fields, WHOLE) if len(config.fields) > 1 else config.fields


def feature_kinds(config: LexicalConfig) -> dict[str, Kind]:
    """Features in order, with their transforms."""
    kinds = {f"{LEXICAL}.{m}.{f}": k for f in field_names(config) for m, k in MEASURES.items()}
    return kinds | {QUERY_LENGTH: "log1p+standardise"}


def lexical(
    connection: duckdb.DuckDBPyConnection, change: Commit, *, config: LexicalConfig, folder: Path
) -> tuple[Group, dict[str, Any]]:
    """Make the group `lexical` for pairs whose query and document have a text.

    The formulas are those of `ultr.etl.lexical_formulas`. A field that a document lacks gives
    missing values; an empty one counts as a text without words.

    Args:
        connection: has the table `pairs`.
        change: the commit to write to.
        config: fields and parameters.
        folder: where documents may be staged.

    Returns:
        The group, and `rows`, `matched_pairs` (shown pairs among them) and `collection`.

    Raises:
        DataError: no query or no document has a text.
    """
    queries = read_queries(change)
    parts, fields = count_parts(change), field_names(config)
    collection = stage_documents(change, queries, config.fields, folder=folder, parts=parts)
    read = partial(read_part, folder, fields=len(config.fields), vocabulary=len(queries.vocabulary))
    for part in range(parts):
        if has_repeated(folder, part):
            collection.take_away(read(part).repeated())
    _require_texts(queries, collection)
    matched = 0

    def wanted() -> Iterator[tuple[dict[str, Any], Once[Documents]]]:
        for part in range(parts):
            documents = Once(partial(read, part))
            for pairs in _pairs(connection, part=part, parts=parts):
                yield pairs, documents

    def found(item: tuple[dict[str, Any], Once[Documents]]) -> tuple[Block, int]:
        pairs, documents = item[0], item[1].get()
        kept = _with_text(pairs, queries, documents)
        values = match(kept, queries, documents, collection=collection, config=config)
        return Block(kept["query_id"], kept["doc_id"], values), int(kept["is_shown"].sum())

    def blocks() -> Iterator[Block]:
        nonlocal matched
        for block, count in map_threads(found, wanted(), threads=THREADS):
            matched += count
            yield block

    facts: dict[str, Any] = {"rows": write_rows(change, blocks(), group=LEXICAL)}
    facts |= {"matched_pairs": matched, "collection": collection.to_json(fields)}
    kinds = feature_kinds(config)
    more = {"config": asdict(config), "made_from": marks(change.manifest, LEXICAL)}
    return Group(LEXICAL, tuple(kinds), tuple(kinds.values()), facts=facts | more), facts


def match(
    pairs: dict[str, Any], queries: Queries, documents: Documents, *,
    collection: Collection, config: LexicalConfig,
) -> NDArray[np.float32]:  # fmt: skip
    """`[P, F]` features of pairs.

    Args:
        pairs: `query` and `document` `[P]`, indices of the queries and rows of the documents.
        queries: the queries.
        documents: a part's documents.
        collection: statistics over all parts.
        config: fields and parameters.
    """
    # In the order of the rows: looking up entries in it is many times faster.
    order = np.argsort(pairs["document"], kind="stable")
    query, document = pairs["query"][order], pairs["document"][order]
    sizes = np.diff(queries.start)[query]
    pair = np.repeat(np.arange(len(query)), sizes)
    entry = np.arange(len(pair)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    entry += queries.start[query][pair]
    term, qtf = queries.term[entry].astype(np.int64), queries.count[entry].astype(np.float64)
    counts = _counts(documents, document[pair], term)
    columns: list[Floats] = []
    for i in range(counts.shape[1]):
        found = Entries(
            tf=counts[:, i].astype(np.float64),
            qtf=qtf,
            df=collection.df[term, i].astype(np.float64),
            cf=collection.cf[term, i].astype(np.float64),
            length=documents.length[document, i][pair].astype(np.float64),
            unique=documents.unique[document, i][pair].astype(np.float64),
            documents=int(collection.documents[i]),
            tokens=int(collection.tokens[i]),
        )
        own = [np.bincount(pair, f(found), len(query)) for f in _scores(config)]
        own.append(own[-1] / np.maximum(sizes, 1))
        own.append(documents.length[document, i].astype(np.float64))
        is_missing = documents.is_missing[document, i]
        columns += [np.where(is_missing, np.nan, values) for values in own]
    columns.append(queries.length[query].astype(np.float64))
    out = np.empty((len(query), len(columns)), np.float32)
    out[order] = np.stack(columns, axis=1)
    return out


def _scores(config: LexicalConfig) -> list[Callable[[Entries], Floats]]:
    """The summed measures, in the order of `MEASURES`."""
    return [
        formulas.tf,
        formulas.idf,
        formulas.tfidf,
        partial(formulas.bm25, k1=config.k1, b=config.b),
        partial(formulas.jelinek_mercer, jm_lambda=config.jm_lambda),
        partial(formulas.dirichlet, dirichlet_mu=config.dirichlet_mu),
        partial(formulas.absolute_discount, absolute_delta=config.absolute_delta),
        formulas.covered,
    ]


def _counts(documents: Documents, document: Longs, term: Longs) -> Longs:
    """`[E, fields]` how often a term occurs in a document."""
    known = documents.keys  # ascending, and so are the wanted ones, nearly
    wanted = document * documents.vocabulary + term
    if not len(known):
        return np.zeros((len(wanted), documents.length.shape[1]), np.int64)
    at = np.searchsorted(known, wanted).clip(max=len(known) - 1)
    found = np.where((known[at] == wanted)[:, None], documents.count[at], 0).astype(np.int64)
    if documents.length.shape[1] == found.shape[1]:
        return found
    return np.concatenate([found, found.sum(axis=1, keepdims=True)], axis=1)


def _pairs(
    connection: duckdb.DuckDBPyConnection, *, part: int, parts: int
) -> Iterator[dict[str, Any]]:
    reader = connection.sql(
        "select query_id, doc_id, is_shown from pairs where bucket_of(doc_id, $parts) = $part"
        " order by doc_id, query_id",
        params={"part": part, "parts": parts},
    ).to_arrow_reader(_PAIRS)
    for batch in reader:
        table = {name: batch[name].to_numpy(zero_copy_only=False) for name in batch.schema.names}
        if batch.num_rows:
            yield table


def _with_text(pairs: dict[str, Any], queries: Queries, documents: Documents) -> dict[str, Any]:
    """The pairs whose query and document are known, with their indices."""
    query, has_query = _find(queries.query_id, pairs["query_id"])
    known, rows = documents.known
    at, has_document = _find(known, pairs["doc_id"])
    kept = has_query & has_document
    found = {name: values[kept] for name, values in {**pairs, "query": query}.items()}
    return found | {"document": rows[at[kept]]}


def _find(known: Longs, wanted: Longs) -> tuple[Longs, NDArray[np.bool_]]:
    if not len(known):
        return np.zeros(len(wanted), np.int64), np.zeros(len(wanted), bool)
    at = np.searchsorted(known, wanted).clip(max=len(known) - 1)
    return at, known[at] == wanted


def _require_texts(queries: Queries, collection: Collection) -> None:
    missing = [] if len(queries.query_id) else ["no query"]
    missing += [] if collection.documents.any() else ["no document"]
    if missing:
        raise DataError(
            "lexical features compare the texts of queries and documents",
            got=f"{' and '.join(missing)} of the lake has a text",
            hint="map the columns to query_text, title or text, and ingest again",
        )
