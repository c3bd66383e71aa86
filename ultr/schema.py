"""Every table of the lake, declared once.

Parquet schemas, DuckDB views, the documentation and the checks are made from this registry.
Units stand in column names; positions are 1-based.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

SCHEMA_VERSION = 2
"""Raised when a table changes in a way that older lakes do not have."""

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Args:
        name: snake case, with its unit.
        type: the Arrow type.
        meaning: one sentence for the documentation.
        is_optional: may be absent from a lake, or null.
        is_post_click: known only after the click, and so never a feature of the ranker.
    """

    name: str
    type: pa.DataType
    meaning: str
    is_optional: bool = False
    is_post_click: bool = False


@dataclass(frozen=True)
class Table:
    """One table: a folder of Parquet files in the lake.

    Args:
        name: the folder's name, and the view's name in SQL.
        row: what one row is.
        columns: in storage order.
        key: the columns that identify a row.
        partitions: keys that stand in the path (`bucket=0003/period=…`) instead of in the file.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    partitions: tuple[Column, ...] = ()

    def arrow(self) -> pa.Schema:
        """The schema of the files, without the columns that stand in the path."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns])

    def column(self, name: str) -> Column:
        """The column or partition called `name`."""
        return next(c for c in (*self.columns, *self.partitions) if c.name == name)


_QUERY_ID = Column("query_id", pa.int64(), "the query, as a stable 64-bit id")
_DOC_ID = Column("doc_id", pa.int64(), "the document, as a stable 64-bit id")
_SOURCE = Column("source", pa.string(), "the raw file the row comes from")
_PERIOD = Column("period", pa.string(), "the time window the row belongs to, `all` without time")
_BUCKET = Column("bucket", pa.int32(), "which share of the queries the file holds")


def _shown(name: str, kind: pa.DataType, meaning: str) -> Column:
    """A display column: a value per document, known before the click."""
    return Column(name, pa.list_(kind), meaning, is_optional=True)


def _after(name: str, kind: pa.DataType, meaning: str) -> Column:
    """A behaviour column: a value per document, known only after the click."""
    return Column(name, pa.list_(kind), meaning, is_optional=True, is_post_click=True)


SESSIONS = Table(
    "sessions",
    row="result page shown (a session, in the words of the click-model literature)",
    columns=(
        _SOURCE,
        Column("ordinal", pa.int64(), "line of the source on which the page starts, from 1"),
        Column("page_id", pa.string(), "the log's own id of the page", is_optional=True),
        Column("session_id", pa.string(), "the visit the page belongs to", is_optional=True),
        Column("user_id", pa.string(), "who saw the page", is_optional=True),
        _QUERY_ID,
        Column("reformulation", pa.string(), "the query it was rewritten to", is_optional=True),
        Column("shown_at", pa.timestamp("us", "UTC"), "when it was shown", is_optional=True),
        Column("elapsed_ms", pa.int64(), "time since the log's start", is_optional=True),
        Column("period", pa.string(), "UTC day of `shown_at`, `all` without one"),
        Column("device", pa.string(), "device class", is_optional=True),
        Column("doc_id", pa.list_(pa.int64()), "the documents, by position"),
        Column("position", pa.list_(pa.int16()), "rank on the page, from 1; gaps are allowed"),
        Column("click", pa.list_(pa.int8()), "1 where the document was clicked"),
        _shown("media_type", pa.string(), "kind of result"),
        _shown("height_px", pa.float32(), "height of the result"),
        _shown("max_height_px", pa.float32(), "greatest height of the result on the page"),
        _shown("top_px", pa.float32(), "distance of the result from the top of the page"),
        _shown("abstract_length", pa.int32(), "tokens of the abstract that was shown"),
        _shown(
            "log_features", pa.list_(pa.float32()), "feature values that stand in the log itself"
        ),
        _after("dwell_s", pa.float32(), "time spent on the clicked document"),
        _after("skip", pa.int8(), "1 where the result was passed over"),
        _after("first_click", pa.int8(), "1 for the first click of the page"),
        _after("last_click", pa.int8(), "1 for the last click of the query"),
        _after("final_click", pa.int8(), "1 for the last click of the visit"),
        _after("click_count", pa.int32(), "times the result was clicked on this page"),
        _after("displayed_s", pa.float32(), "time on the screen"),
        _after("displayed_top_s", pa.float32(), "time in the upper third of the screen"),
        _after("displayed_middle_s", pa.float32(), "time in the middle third of the screen"),
        _after("displayed_bottom_s", pa.float32(), "time in the lower third of the screen"),
        _after("displayed_count", pa.int32(), "times it came onto the screen"),
        _after("displayed_top_count", pa.int32(), "times it came to the upper third"),
        _after("displayed_middle_count", pa.int32(), "times it came to the middle third"),
        _after("displayed_bottom_count", pa.int32(), "times it came to the lower third"),
        _after("reverse_displayed_count", pa.int32(), "times it came back by scrolling up"),
        _after("slip_off_count", pa.int32(), "times it left the screen"),
        _after("slip_off_after_click_count", pa.int32(), "times it left the screen after a click"),
        Column(
            "feedback",
            pa.list_(pa.struct([("action", pa.string()), ("count", pa.list_(pa.int32()))])),
            "other actions (add_to_cart, purchase …): how often, by document",
            is_optional=True,
            is_post_click=True,
        ),
        Column("weight", pa.float64(), "what the page counts for, 1 unless the log says so"),
    ),
    key=("source", "ordinal"),
)

REJECTS = Table(
    "rejects",
    row="line that could not be used",
    columns=(
        _SOURCE,
        Column("line", pa.int64(), "line of the source, from 1"),
        Column("reason", pa.string(), "the rule that was broken"),
        Column("text", pa.string(), "the line, cut at 1 KiB"),
    ),
    key=("source", "line"),
)

EVENTS = Table(
    "events",
    row="record of a log whose clicks come apart from their pages, as it was read",
    columns=(
        _SOURCE,
        Column("line", pa.int64(), "line of the source, from 1"),
        Column("kind", pa.string(), "query, impression, click, or action for any other"),
        Column("action", pa.string(), "what the log calls it"),
        Column("page_id", pa.string(), "the page it names", is_optional=True),
        Column("session_id", pa.string(), "the visit it belongs to", is_optional=True),
        Column("client_id", pa.string(), "the browser or app it came from", is_optional=True),
        Column("user_id", pa.string(), "who did it", is_optional=True),
        Column("application", pa.string(), "the part of the site that logged it", is_optional=True),
        Column("query_id", pa.int64(), "of a query: its stable 64-bit id", is_optional=True),
        Column("doc_id", pa.int64(), "of any other: the document it is about", is_optional=True),
        Column("log_position", pa.int32(), "the rank, counted as the log does", is_optional=True),
        Column(
            "hit_doc_id", pa.list_(pa.int64()), "of a query: the documents found", is_optional=True
        ),
        Column("at", pa.timestamp("us", "UTC"), "when it happened", is_optional=True),
        Column("elapsed_ms", pa.int64(), "time since the log's start", is_optional=True),
        Column("reason", pa.string(), "why it spoils its page, if it does", is_optional=True),
    ),
    key=("source", "line"),
)

UNATTACHED = Table(
    "unattached",
    row="event that no page takes: it waits for its page, or stands in `rejects` too",
    columns=(
        _SOURCE,
        Column("line", pa.int64(), "line of the source, from 1"),
        Column("reason", pa.string(), "what is missing"),
        Column(
            "waits_from",
            pa.timestamp("us", "UTC"),
            "its time, from 1970 where the log has no date; null if no later page can take it",
            is_optional=True,
        ),
    ),
    key=("source", "line"),
)

QUERIES = Table(
    "queries",
    row="distinct query",
    columns=(
        _QUERY_ID,
        Column("key", pa.string(), "the query as it stands in the log"),
        Column("text", pa.string(), "the query's text, where the log has one", is_optional=True),
    ),
    key=("query_id",),
)

DOCUMENTS = Table(
    "documents",
    row="distinct document",
    columns=(
        _DOC_ID,
        Column("key", pa.string(), "the document as it stands in the log"),
        Column("title", pa.string(), "its title, as text or tokens", is_optional=True),
        Column("text", pa.string(), "the document's text, where there is one", is_optional=True),
    ),
    key=("doc_id",),
)

FEATURES = Table(
    "features",
    row="(query, document) with the raw values of a group of features, by period if they change",
    columns=(
        _QUERY_ID,
        _DOC_ID,
        Column(
            "period", pa.string(), "of which the values are, null: the latest", is_optional=True
        ),
        Column("feature_group", pa.string(), "what the values are made of", is_optional=True),
        Column("features", pa.list_(pa.float32()), "raw values, in the order of the manifest"),
    ),
    key=("query_id", "doc_id", "period", "feature_group"),
)

JUDGMENTS = Table(
    "judgments",
    row="judged (query, document), for evaluation only",
    columns=(
        _QUERY_ID,
        _DOC_ID,
        Column("grade", pa.int16(), "relevance grade, 0 is irrelevant"),
        Column(
            "frequency_bucket",
            pa.int8(),
            "how frequent the query is, 0 (head) to 9 (tail)",
            is_optional=True,
        ),
    ),
    key=("query_id", "doc_id"),
)

EXPOSURES = Table(
    "exposures",
    row="(query, document, position, context, period)",
    columns=(
        _QUERY_ID,
        _DOC_ID,
        Column("position", pa.int16(), "rank on the page, from 1"),
        Column("context", pa.string(), "bias context of the impression, empty by default"),
        Column("impressions", pa.int64(), "times shown"),
        Column("clicks", pa.int64(), "times clicked"),
        Column(
            "dwell_sum_s",
            pa.float64(),
            "total time spent on the document",
            is_optional=True,
            is_post_click=True,
        ),
    ),
    key=("query_id", "doc_id", "position", "context", "period"),
    partitions=(_PERIOD,),
)

CANDIDATES = Table(
    "candidates",
    row="(query, document) that was shown, judged or has features; `row` is what lists point at",
    columns=(
        _QUERY_ID,
        _DOC_ID,
        Column(
            "period",
            pa.string(),
            "in which it was shown, where features depend on time; null: after the last period",
            is_optional=True,
        ),
        Column("row", pa.int32(), "row number within the bucket, from 0"),
        Column("features", pa.list_(pa.float32()), "raw values, null where there are none"),
    ),
    key=("bucket", "row"),
    partitions=(_BUCKET,),
)

LISTS = Table(
    "lists",
    row="(query, ranked list with its bias context, click pattern, split): equal sessions, once",
    columns=(
        _QUERY_ID,
        Column("query_split", pa.string(), "train, validation or test, by query"),
        Column("session_split", pa.string(), "train, validation or test, by session"),
        Column("row", pa.list_(pa.int32()), "the documents as rows of the bucket's candidates"),
        Column("position", pa.list_(pa.int16()), "rank on the page, from 1"),
        Column("context", pa.list_(pa.string()), "bias context per document", is_optional=True),
        Column("click", pa.list_(pa.int8()), "1 where the document was clicked"),
        Column("n", pa.int64(), "sessions in the row"),
        Column("weight", pa.float64(), "sum of the sessions' weights"),
        Column("weight_sq", pa.float64(), "sum of the squares of the sessions' weights"),
    ),
    key=("bucket", "period", "query_id", "row", "position", "context", "click", "session_split"),
    partitions=(_BUCKET, _PERIOD),
)

TABLES: dict[str, Table] = {
    t.name: t
    for t in (
        SESSIONS,
        REJECTS,
        EVENTS,
        UNATTACHED,
        QUERIES,
        DOCUMENTS,
        FEATURES,
        JUDGMENTS,
        EXPOSURES,
        CANDIDATES,
        LISTS,
    )
}

ONE_ROW_PER_KEY = frozenset({QUERIES.name, DOCUMENTS.name})
"""Tables that each source writes by itself, so that a row may stand in several files."""
