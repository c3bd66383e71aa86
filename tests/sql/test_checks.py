"""Every check on VALUES that must and must not make it fire."""

import duckdb
import pytest

from ultr.errors import DataError
from ultr.sql import run_checks
from ultr.sql.named import checks

PAGES = "sessions(source, ordinal, doc_id, position, click, dwell_s, media_type, height_px)"
NONE = "null::float[], null::varchar[], null::float[]"
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


def page(docs="[1, 2]", positions="[1, 2]", clicks="[0, 1]", rest=NONE):
    return {PAGES: f"('a', 1, {docs}, {positions}, {clicks}, {rest})"}


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
        [page(), page(rest="[0.5, null], ['web', 'ad'], [1, 2]")],
        [
            page(clicks="[1]"),
            page(positions="[1, 2, 3]"),
            page(docs="[]::int[]", positions="[]::int[]", clicks="[]::int[]"),
            page(rest="[0.5], null::varchar[], null::float[]"),
            page(rest="null::float[], ['a', 'b', 'c'], null::float[]"),
            page(docs="null::int[]"),
        ],
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
