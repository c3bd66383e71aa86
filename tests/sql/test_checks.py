"""Every check on VALUES that must and must not make it fire."""

import duckdb
import pyarrow as pa
import pytest

from ultr.errors import DataError
from ultr.schema import SESSIONS
from ultr.sql import run_checks
from ultr.sql.named import checks
from ultr.sql.tables import duckdb_type

LISTS = [c for c in SESSIONS.columns if pa.types.is_list(c.type) and c.name != "feedback"]
SHOWN = ["doc_id", "position", "click"]
MORE = [c for c in LISTS if c.name not in SHOWN]
PAGES = f"sessions({', '.join(['source', 'ordinal', *SHOWN, *(c.name for c in MORE)])})"
COUNTED = {
    "sessions(ordinal)": "(1), (2), (3), (4)",
    "lists(n)": "(2::bigint), (1)",
    "list_periods(period, dropped)": "('2026-01-01', 1), ('2026-01-02', 0)",
}
EXPOSED = {
    "lists(n, position, click)": "(1, [1, 2], [1, 0]), (1, [1], [0])",
    "exposures(position, impressions, clicks)": "(1, 2, 1), (2, 1, 0)",
}
KNOWN = {
    "impressions(query_id, doc_id)": "(7, 1), (7, 2)",
    "queries(query_id)": "(7), (8)",
    "documents(doc_id)": "(1), (2)",
}
POINTERS = {
    "lists(bucket, query_id, row)": "(0, 7, [0, 1]), (1, 8, [0])",
    "candidates(bucket, query_id, row)": "(0, 7, 0), (0, 7, 1), (1, 8, 0)",
}

FACTS = {
    "events(source, line, kind, page_id)": "('a', 1, 'query', 'p'), ('a', 2, 'click', 'p'),"
    " ('a', 3, 'click', 'q'), ('a', 4, 'click', null), ('a', 5, 'query', 'z')",
    "sessions(page_id)": "('p')",
    "unattached(source, line, waits_from)": "('a', 3, null)",
    "rejects(source, line)": "('a', 3)",
}


def page(docs="[1, 2]", positions="[1, 2]", clicks="[0, 1]", **more):
    """One page; `more` gives the list columns that are not null."""
    rest = [f"{more.get(c.name, 'null')}::{duckdb_type(c.type)}" for c in MORE]
    return {PAGES: f"('a', 1, {docs}, {positions}, {clicks}, {', '.join(rest)})"}


def shared(view, *, columns, row, other):
    """Cases of a key: two rows that differ in it, and two that do not."""
    return ([{f"{view}({columns})": f"{row}, {other}"}], [{f"{view}({columns})": f"{row}, {row}"}])


def broken(relation, good, *bad):
    """Cases of a rule on the rows of one relation."""
    return [{relation: g} for g in good], [{relation: b} for b in bad]


CASES = {
    "positions_are_unique": ([page(positions="[1, 3]")], [page(positions="[2, 2]")]),
    "positions_start_at_one": (
        [page(), page(positions="[5, 9]")],
        [page(positions="[0, 1]"), page(positions="[1, -1]"), page(positions="[]::int[]")],
    ),
    "clicks_are_binary": (
        [page(), page(clicks="[0, 0]")],
        [page(clicks="[0, 2]"), page(clicks="[-1, 0]"), page(clicks="[null, 1]")],
    ),
    "lists_are_parallel": (
        [page(), page(dwell_s="[0.5, null]", media_type="['web', 'ad']", height_px="[1, 2]")],
        [
            page(clicks="[1]"),
            page(positions="[1, 2, 3]"),
            page(docs="[]::int[]", positions="[]::int[]", clicks="[]::int[]"),
            *(page(**{c.name: "[null]"}) for c in MORE),
            page(media_type="['a', 'b', 'c']"),
            page(docs="null::int[]"),
        ],
    ),
    "exposures_are_unique": shared(
        "exposures",
        columns="query_id, doc_id, position, context, period",
        row="(7, 1, 1, '', 'a')",
        other="(7, 1, 1, '', 'b')",
    ),
    "judgments_are_unique": shared(
        "judgments", columns="query_id, doc_id", row="(7, 1)", other="(8, 1)"
    ),
    "features_are_unique": shared(
        "features",
        columns="query_id, doc_id, period, feature_group",
        row="(7, 1, null, 'own')",
        other="(7, 1, '2026-01-01', 'own')",
    ),
    "candidates_are_unique": shared(
        "candidates",
        columns="query_id, doc_id, period, bucket",
        row="(7, 1, null, 0)",
        other="(7, 1, '2026-01-01', 0)",
    ),
    "rejects_are_unique": shared(
        "rejects", columns="source, line", row="('a', 1)", other="('b', 1)"
    ),
    "events_are_unique": shared("events", columns="source, line", row="('a', 1)", other="('a', 2)"),
    "collapsed_lists_are_unique": shared(
        "lists",
        columns="bucket, period, query_id, row, position, context, click, session_split",
        row="(0, 'a', 7, [0], [1], null, [1], 'train')",
        other="(0, 'a', 7, [0], [1], null, [0], 'train')",
    ),
    "exposures_are_counts": broken(
        "exposures(query_id, doc_id, position, period, impressions, clicks, dwell_sum_s)",
        ["(7, 1, 1, 'a', 2, 0, null), (7, 1, 2, 'a', 2, 2, 0.5)"],
        "(7, 1, 0, 'a', 2, 0, null)",
        "(7, 1, 1, 'a', 0, 0, null)",
        "(7, 1, 1, 'a', 2, 3, null)",
        "(7, 1, 1, 'a', 2, -1, null)",
        "(7, 1, 1, 'a', 2, null::bigint, null)",
        "(7, 1, 1, 'a', 2, 1, -0.5)",
    ),
    "grades_start_at_zero": broken(
        "judgments(query_id, doc_id, grade)",
        ["(7, 1, 0), (7, 2, 4)"],
        "(7, 1, -1)",
        "(7, 1, null::int)",
    ),
    "weights_are_positive": broken(
        "sessions(source, ordinal, weight)",
        ["('a', 1, 0.5::double)"],
        "('a', 1, 0.0::double)",
        "('a', 1, -1.0::double)",
        "('a', 1, 'nan'::double)",
        "('a', 1, null::double)",
    ),
    "collapsed_weights_fit": broken(
        "lists(bucket, period, query_id, n, weight, weight_sq)",
        ["(0, 'a', 7, 3, 3.0, 3.0), (0, 'a', 7, 2, 1.5, 1.25), (0, 'a', 7, 3, 0.3, 0.03)"],
        "(0, 'a', 7, 0, 1.0, 1.0)",
        "(0, 'a', 7, 1, 0.0, 0.0)",
        "(0, 'a', 7, 2, 2.0, 1.0)",
        "(0, 'a', 7, 2, 2.0, 5.0)",
        "(0, 'a', 7, null::int, 2.0, 2.0)",
    ),
    "collapsed_lists_are_parallel": broken(
        "lists(bucket, period, query_id, row, position, context, click)",
        [
            "(0, 'a', 7, [0, 1], [1, 2], null::varchar[], [0, 1])",
            "(0, 'a', 7, [0, 1], [1, 2], ['x', null], [0, 1])",
        ],
        "(0, 'a', 7, [0, 1], [1], null::varchar[], [0, 1])",
        "(0, 'a', 7, [0, 1], [1, 2], null::varchar[], [0])",
        "(0, 'a', 7, [0, 1], [1, 2], ['x'], [0, 1])",
        "(0, 'a', 7, []::int[], []::int[], null::varchar[], []::int[])",
        "(0, 'a', 7, null::int[], null::int[], null::varchar[], null::int[])",
    ),
    "splits_are_by_query": broken(
        "lists(query_id, query_split, session_split)",
        ["(7, 'train', 'train'), (7, 'train', 'test'), (8, 'validation', 'train')"],
        "(7, 'train', 'train'), (7, 'test', 'train')",
        "(7, 'training', 'train')",
        "(7, 'train', null::varchar)",
        "(7, null::varchar, 'train')",
    ),
    "periods_are_utc_days": broken(
        "sessions(source, ordinal, shown_at, period)",
        ["('a', 1, timestamp '2026-01-01 23:59:59', '2026-01-01'), ('a', 2, null, 'all')"],
        "('a', 1, timestamp '2026-01-02 00:00:00', '2026-01-01')",
        "('a', 1, null::timestamp, '2026-01-01')",
        "('a', 1, timestamp '2026-01-02 00:00:00', 'all')",
        "('a', 1, null::timestamp, null::varchar)",
    ),
    "feature_groups_have_one_length": broken(
        "features(feature_group, features)",
        ["('a', [1.0, null]), ('a', [0.0, 2.0]), ('b', [1.0]), (null, [1.0])"],
        "('a', [1.0]), ('a', [1.0, 2.0])",
        "('a', [1.0]), ('a', null)",
        "('a', null::double[])",
    ),
    "sessions_are_unique": (
        [{"sessions(source, ordinal)": "('a', 1), ('a', 2), ('b', 1)"}],
        [{"sessions(source, ordinal)": "('a', 1), ('b', 1), ('a', 1)"}],
    ),
    "events_are_told_apart": (
        [
            FACTS,
            FACTS
            | {
                "unattached(source, line, waits_from)": "('a', 3, 5), ('a', 4, null)",
                "rejects(source, line)": "('a', 4)",
            },
        ],
        [
            FACTS | {"sessions(page_id)": "('r')"},
            FACTS | {"unattached(source, line, waits_from)": "('a', 3, null), ('a', 9, 5)"},
            FACTS | {"rejects(source, line)": "('b', 3)"},
        ],
    ),
    "ids_are_known": (
        [KNOWN],
        [KNOWN | {"queries(query_id)": "(8)"}, KNOWN | {"documents(doc_id)": "(1), (3)"}],
    ),
    "lists_sum_to_sessions": (
        [
            COUNTED,
            COUNTED | {"lists(n)": None, "list_periods(period, dropped)": None},
        ],
        [
            COUNTED | {"lists(n)": "(2::bigint), (2)"},
            COUNTED | {"sessions(ordinal)": "(1)"},
            COUNTED | {"list_periods(period, dropped)": "('2026-01-01', 0)"},
        ],
    ),
    "exposures_sum_to_impressions": (
        [EXPOSED],
        [
            EXPOSED | {"exposures(position, impressions, clicks)": None},
            EXPOSED | {"exposures(position, impressions, clicks)": "(1, 2, 1)"},
            EXPOSED | {"exposures(position, impressions, clicks)": "(1, 2, 2), (2, 1, 0)"},
            EXPOSED | {"exposures(position, impressions, clicks)": "(1, 2, 1), (3, 1, 0)"},
        ],
    ),
    "candidate_rows_are_numbered": (
        [{"candidates(bucket, row)": "(0, 1), (0, 0), (3, 0)"}],
        [
            {"candidates(bucket, row)": "(0, 1), (0, 2)"},
            {"candidates(bucket, row)": "(0, 0), (0, 2)"},
            {"candidates(bucket, row)": "(0, 0), (0, 0), (0, 2)"},
        ],
    ),
    "lists_point_at_candidates": (
        [POINTERS],
        [
            POINTERS | {"lists(bucket, query_id, row)": "(0, 7, [0, 2])"},
            POINTERS | {"lists(bucket, query_id, row)": "(0, 8, [0])"},
            POINTERS | {"lists(bucket, query_id, row)": "(1, 8, [-1])"},
        ],
    ),
}


def found(name, relations):
    connection = duckdb.connect()
    for head, values in relations.items():
        view, names = head.removesuffix(")").split("(")
        quoted = [f'"{n.strip()}"' for n in names.split(",")]
        # None is a relation without rows; it still has to have typed columns.
        body = values or f"({', '.join('0' for _ in quoted)})"
        connection.execute(
            f"create view {view} as select * from (values {body}) as t({', '.join(quoted)})"
            + ("" if values else " where false")
        )
    (check,) = [c for c in checks() if c.name == name]
    return connection.sql(check.sql).fetchall()


def cases(side):
    return [(name, case) for name, sides in CASES.items() for case in sides[side]]


@pytest.mark.parametrize(("name", "relations"), cases(0))
def test_silent_on_good_rows(name, relations):
    assert found(name, relations) == []


@pytest.mark.parametrize(("name", "relations"), cases(1))
def test_fires_on_bad_rows(name, relations):
    assert found(name, relations)


def test_every_check_is_tested():
    assert set(CASES) == {c.name for c in checks()}


def test_a_damaged_file_is_told(lake):
    path = lake.paths("sessions")[0]
    data = bytearray(path.read_bytes())
    data[4 : len(data) // 2] = bytes(b ^ 0x5A for b in data[4 : len(data) // 2])
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match="readable Parquet"):
        run_checks(lake)
