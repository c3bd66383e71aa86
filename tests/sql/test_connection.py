import duckdb
import polars as pl
import pytest

from ultr.errors import DataError, UsageError
from ultr.lake import create_lake
from ultr.schema import TABLES
from ultr.sql import connect, query, scan
from ultr.sql.catalog import catalog
from ultr.sql.connection import explained, run, view_names
from ultr.sql.named import views
from ultr.sql.runs import RUN_TABLES
from ultr.sql.tables import duckdb_type


def columns(relation):
    return dict(zip(relation.columns, map(str, relation.types), strict=True))


def expected_columns(table):
    return {
        c.name: str(duckdb.type(duckdb_type(c.type))) for c in (*table.columns, *table.partitions)
    }


@pytest.mark.parametrize("name", TABLES)
def test_views_have_the_registry_columns_with_and_without_rows(lake, tmp_path, name):
    empty = create_lake(tmp_path / "empty")
    for opened in (lake, empty):
        view = query(opened, f"select * from {name}")
        assert columns(view) == expected_columns(TABLES[name])
    assert query(empty, f"select * from {name}").fetchall() == []


@pytest.mark.parametrize("name", TABLES)
def test_polars_scans_the_same_rows_as_sql(lake, name):
    frame = scan(lake, name).collect()
    # SQL has times in UTC without a zone.
    frame = frame.with_columns(pl.col(pl.Datetime("us", "UTC")).dt.replace_time_zone(None))
    by_sql = query(lake, f"select * from {name}").fetchall()
    assert sorted(map(repr, frame.rows())) == sorted(map(repr, by_sql))
    assert frame.columns == list(query(lake, f"select * from {name}").columns)


@pytest.mark.parametrize("name", TABLES)
def test_polars_types_do_not_depend_on_whether_there_are_rows(lake, tmp_path, name):
    empty = scan(create_lake(tmp_path / "empty"), name)
    assert scan(lake, name).collect_schema() == empty.collect_schema()
    assert empty.collect().height == 0


def test_partitions_come_from_the_folder_beside_the_file_not_from_one_above_the_lake(lake):
    # The lake lies below a folder called `period=x`.
    found = query(lake, "select distinct bucket, period from lists order by all").fetchall()
    assert found == [(0, "2026-01-01"), (11, "2026-01-02")]


def test_queries_and_documents_of_several_sources_stand_once(lake):
    assert lake.rows("queries") == 3
    assert query(lake, "select * from queries order by 1").fetchall() == [
        (7, "seven", None),
        (8, "k8", "eight"),
    ]
    assert query(lake, "select count(*), count(distinct doc_id) from documents").fetchall() == [
        (3, 3)
    ]


def test_impressions_unroll_the_lists_by_position(lake):
    found = query(lake, "select source, ordinal, doc_id, position, click from impressions")
    assert sorted(found.fetchall()) == [
        ("a.tsv", 1, 1, 1, 1),
        ("a.tsv", 1, 2, 2, 0),
        ("a.tsv", 5, 1, 2, 0),
        ("a.tsv", 5, 2, 1, 0),
        ("b.tsv", 1, 3, 1, 1),
    ]


def test_parameters_are_bound_and_not_pasted(lake):
    attack = "' or true --"
    found = query(lake, "select count(*) from sessions where source = $s", {"s": attack})
    assert found.fetchall() == [(0,)]
    assert query(lake, "select $s as s", {"s": attack}).fetchall() == [(attack,)]


@pytest.mark.parametrize(
    ("given", "shown"), [({}, "missing: a"), ({"a": 1, "b": 2}, "not in the SQL: b")]
)
def test_parameters_must_fit_the_sql(lake, given, shown):
    with pytest.raises(UsageError, match=shown):
        query(lake, "select $a", given)


@pytest.mark.parametrize(
    "sql",
    [
        "create table t(a int)",
        "drop view sessions",
        "insert into sessions select * from sessions",
        "copy sessions to '{out}'",
        "copy sessions to '{file}' (format parquet, use_tmp_file false)",
        "explain analyze copy sessions to '{out}'",
        "attach '{out}'",
        "set enable_external_access = true",
        "pragma enable_profiling",
        "install httpfs",
        "load httpfs",
        "call force_checkpoint()",
        "export database '{out}'",
        "create secret (type s3)",
        "select 1; select 2",
        "",
        "-- nothing",
    ],
)
def test_only_one_select_runs(lake, tmp_path, sql):
    out, file = tmp_path / "out", lake.paths("sessions")[0]
    before = file.read_bytes()
    quoted = {"out": out, "file": str(file).replace("'", "''")}
    with pytest.raises(UsageError, match="one SELECT"):
        query(lake, sql.format(**quoted))
    assert not out.exists()
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "source",
    [
        "read_csv('{path}')",
        "read_text('{path}')",
        "'{path}'",
        "glob('{path}')",
        "read_blob('{manifest}')",
        "read_json('{manifest}')",
        "(select 1 from read_csv('{path}'))",
        """query('select * from "{path}"')""",
    ],
)
def test_other_files_are_out_of_reach_unless_allowed(lake, tmp_path, source):
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    manifest = str(lake.root / "manifest.json").replace("'", "''")
    sql = "select 1 from " + source.format(path=secret, manifest=manifest)
    with pytest.raises(UsageError, match="no other file") as caught:
        query(lake, sql).fetchall()
    assert "--allow-files" in str(caught.value)
    assert len(query(lake, sql, allow_files=True).fetchall()) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "from read_csv('/etc/passwd')",
        "from read_text('/etc/pass*')",
        "from '/proc/self/environ'",
        "from read_parquet('https://example.org/a.parquet')",
        "from sniff_csv('/etc/passwd')",
        "from glob('/etc/*')",
        "from parquet_metadata('/etc/passwd')",
    ],
)
def test_nothing_else_of_the_machine_is_read(lake, sql):
    connection = connect(lake)
    with pytest.raises(UsageError), explained(connection):
        run(connection, sql).fetchall()


def test_variables_of_the_program_are_no_tables(lake):
    frame = pl.DataFrame({"a": [1]})
    assert frame.height == 1
    with pytest.raises(UsageError, match="frame does not exist"):
        query(lake, "from frame")


@pytest.mark.parametrize("sql", ["copy sessions to '{out}'", "attach '{out}'", "set threads = 1"])
def test_other_files_are_read_but_never_written_when_allowed(lake, tmp_path, sql):
    with pytest.raises(UsageError, match="one SELECT"):
        query(lake, sql.format(out=tmp_path / "out"), allow_files=True)
    assert not (tmp_path / "out").exists()


def test_settings_are_locked(lake):
    with pytest.raises(duckdb.InvalidInputException, match="locked"):
        connect(lake).execute("set enable_external_access = true")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("selec 1", "syntax error"),
        ("select nope from sessions", "nope"),
        ("select * from session", "session"),
        ("select nofunction(1)", "nofunction"),
    ],
)
def test_wrong_sql_shows_duckdbs_words_and_the_views(lake, sql, message):
    with pytest.raises(UsageError, match=message) as caught:
        query(lake, sql)
    assert all(name in caught.value.hint for name in (*TABLES, "impressions"))


def test_wrong_values_are_the_datas_fault(lake):
    connection = connect(lake)
    with pytest.raises(DataError, match="seven"), explained(connection):
        run(connection, 'select cast("key" as integer) from queries').fetchall()


def test_a_missing_file_of_the_lake_is_told(lake):
    for path in lake.paths("sessions"):
        path.unlink()
    with pytest.raises(DataError, match="readable Parquet"):
        connect(lake)


def test_a_relation_outlives_the_call(lake):
    assert lake.sql("select count(*) from sessions").fetchall() == [(3,)]
    assert lake.table("sessions").collect().height == 3


def test_unknown_tables_are_named(lake):
    with pytest.raises(UsageError, match="sessions"):
        scan(lake, "session")


def test_view_names_are_tables_first(lake):
    own = [*TABLES, "list_periods", *RUN_TABLES]
    assert view_names(connect(lake)) == [*own, *(v.name for v in views())] == list(catalog())
