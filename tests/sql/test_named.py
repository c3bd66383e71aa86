import pytest

from ultr.errors import UsageError
from ultr.lake import create_lake
from ultr.sql import connect, load, named_queries, query, run_checks
from ultr.sql.connection import run
from ultr.sql.named import checks, parse, sql_folder, views

NAMES = list(named_queries())


def answer(lake, name, **given):
    named = load(name)
    relation = query(lake, named.sql, named.bind(given))
    return [dict(zip(relation.columns, row, strict=True)) for row in relation.fetchall()]


@pytest.mark.parametrize("name", NAMES)
def test_each_runs_with_its_defaults_and_gives_the_columns_of_its_header(lake, tmp_path, name):
    named = load(name)
    for opened in (lake, create_lake(tmp_path / "empty")):
        relation = query(opened, named.sql, named.bind({}))
        assert relation.columns == list(named.columns)
        relation.fetchall()


@pytest.mark.parametrize("query_", [*named_queries().values(), *views()], ids=lambda q: q.name)
def test_each_is_one_select_from_imports_to_final(query_):
    assert query_.sql.startswith("with ")
    assert "\nfinal as (" in query_.sql
    assert "\nselect * from final" in query_.sql
    assert query_.sql.count(";") == 0
    assert query_.purpose.endswith(".")


def test_views_give_the_columns_of_their_header(lake):
    for view in views():
        assert query(lake, f"select * from {view.name}").columns == list(view.columns)


def test_names_are_used_once():
    files = list(sql_folder().glob("*/*.sql"))
    assert len({p.stem for p in files}) == len(files)


def test_an_installed_package_reads_its_own_copy(tmp_path, monkeypatch):
    import ultr.sql.named as module

    package = tmp_path / "ultr"
    (package / "sql").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(package / "sql" / "named.py"))
    assert sql_folder() == tmp_path / "sql"
    (package / "_sql").mkdir()
    assert sql_folder() == package / "_sql"


def test_ctr_by_position(lake):
    found = answer(lake, "ctr_by_position")
    assert [(r["position"], r["impressions"], r["clicks"]) for r in found] == [(1, 3, 2), (2, 2, 0)]
    assert [r["ctr_relative"] for r in found] == [1, 0 / 2 / (2 / 3)]
    assert [r["impressions"] for r in answer(lake, "ctr_by_position", period="2026-01-02")] == [1]


def test_sessions_per_query(lake):
    assert answer(lake, "sessions_per_query") == [
        {"sessions_from": 1, "sessions_to": 9, "queries": 2, "sessions": 3, "session_share": 1.0}
    ]


def test_coverage(lake):
    found = {r["measure"]: (r["pairs"], r["of_pairs"]) for r in answer(lake, "coverage")}
    assert found == {
        "seen_at_several_positions": (2, 3),
        "clicked": (2, 3),
        "with_features": (0, 3),
        "with_judgment": (1, 3),
    }


def test_zero_click_rate(lake):
    found = answer(lake, "zero_click_rate")
    assert [(r["period"], r["zero_click_rate"]) for r in found] == [
        ("2026-01-01", 1 / 2),
        ("2026-01-02", 0),
    ]


def test_top_queries(lake):
    first, second = answer(lake, "top_queries")
    assert (first["query"], first["sessions"], first["documents"], first["clicks"]) == (
        "seven",
        2,
        2,
        1,
    )
    assert second["query"] == "eight"
    assert answer(lake, "top_queries", top=1) == [first]


def test_rejects_by_reason(lake, make_rows):
    records = [
        {"source": "b", "line": 2, "reason": "bad", "text": "late"},
        {"source": "a", "line": 9, "reason": "bad", "text": "early"},
    ]
    with lake.commit("test") as change:
        change.write("rejects", make_rows("rejects", records), source="a")
    (found,) = answer(create_lake(lake.root), "rejects_by_reason")
    assert found == {
        "reason": "bad",
        "lines": 2,
        "sources": 2,
        "first_source": "a",
        "first_line": 9,
        "example": "early",
    }


def test_clicks_by_page_length(lake):
    one, two = answer(lake, "clicks_by_page_length")
    assert (one["documents"], one["sessions"], one["clicks_per_session"]) == (1, 1, 1)
    assert (two["documents"], two["sessions"], two["zero_click_rate"]) == (2, 2, 1 / 2)
    assert two["mean_first_click"] == 1


def test_swaps_and_collapse(lake):
    (pair,) = answer(lake, "swaps_by_position_pair")
    assert pair == {
        "position_a": 1,
        "position_b": 2,
        "pairs": 2,
        "impressions": 2,
        "ctr_a": 1 / 2,
        "ctr_b": 0,
    }
    assert [r["sessions"] for r in answer(lake, "collapse_by_period")] == [2, 1]


def test_unknown_names_and_parameters_list_the_known_ones():
    with pytest.raises(UsageError, match="ctr_by_position"):
        load("ctr")
    with pytest.raises(UsageError, match="known: top"):
        load("top_queries").bind({"limit": 3})
    with pytest.raises(UsageError, match="no parameters"):
        load("coverage").bind({"limit": 3})


@pytest.mark.parametrize("header", ["-- Columns:\n--   a: b\n", "-- Purpose: x.\n-- Nonsense\n"])
def test_a_header_must_fit(header):
    with pytest.raises(ValueError, match="header"):
        parse(header + "select 1\n", "x", "analysis")


def test_a_good_lake_passes_every_check(lake):
    assert run_checks(lake) == {c.name: 0 for c in checks()}


def test_checks_see_lists_that_are_older_than_the_sessions(lake, make_rows):
    page = {"source": "c", "ordinal": 1, "query_id": 7, "period": "all", "weight": 1.0}
    shown = {"doc_id": [1], "position": [1], "click": [0]}
    with lake.commit("test") as change:
        change.write("sessions", make_rows("sessions", [page | shown]), source="c")
    found = run_checks(create_lake(lake.root))
    assert {n for n, rows in found.items() if rows} == {"lists_sum_to_sessions"}


def test_run_accepts_a_bare_connection(lake):
    assert run(connect(lake), "from range(2)").fetchall() == [(0,), (1,)]


def test_a_lake_runs_a_named_query_with_its_defaults_or_others(lake):
    every = lake.named("top_queries").fetchall()
    assert len(every) == 2
    assert lake.named("top_queries", top=1).fetchall() == every[:1]
    with pytest.raises(UsageError, match="every parameter must be a known one"):
        lake.named("top_queries", topp=1)
