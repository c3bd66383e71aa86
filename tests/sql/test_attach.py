import duckdb
import pytest

from ultr.cli import main
from ultr.errors import DataError, UsageError
from ultr.lake import create_lake
from ultr.sql import connect
from ultr.sql.attach import attach
from ultr.sql.connection import view_names


def opened(path):
    return duckdb.connect(str(path), read_only=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "lake.duckdb"


def test_another_program_sees_the_views_from_any_folder(lake, path, tmp_path, monkeypatch):
    assert attach(lake, path) == [*view_names(connect(lake)), "lake_commit"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path.rename(elsewhere / "moved.duckdb")
    monkeypatch.chdir(elsewhere)
    with opened("moved.duckdb") as found, connect(lake) as own:
        for name in view_names(own):
            sql = f"select * from {name}"
            assert sorted(map(repr, found.sql(sql).fetchall())) == sorted(
                map(repr, own.sql(sql).fetchall())
            )
    assert [p.name for p in elsewhere.iterdir()] == ["moved.duckdb"]


def test_a_relative_lake_gives_absolute_paths(lake, path, monkeypatch):
    monkeypatch.chdir(lake.root.parent)
    main(["sql", "--lake", lake.root.name, "--attach", str(path)])
    monkeypatch.chdir("/")
    with opened(path) as found:
        assert found.sql("select count(*) from impressions").fetchall() == [(5,)]


def test_a_later_commit_is_not_seen_until_it_is_written_anew(lake, path, make_rows):
    attach(lake, path)
    graded = [{"query_id": 8, "doc_id": 3, "grade": 1}]
    with lake.commit("test") as change:
        change.write("judgments", make_rows("judgments", graded))
    with opened(path) as found:
        assert found.sql("select count(*) from judgments").fetchall() == [(1,)]
        assert found.sql("from lake_commit").fetchall() == [(str(lake.root), 1, 2, False)]
    attach(create_lake(lake.root), path)
    with opened(path) as found:
        assert found.sql("select count(*) from judgments").fetchall() == [(2,)]
        assert found.sql("select is_newest from lake_commit").fetchall() == [(True,)]


def test_only_a_database_is_replaced(lake, path):
    path.write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(UsageError, match="another kind"):
        attach(lake, path)
    assert path.read_text() == "a,b\n1,2\n3,4\n"
    with pytest.raises(UsageError, match="into a lake"):
        attach(lake, lake.root / "x.duckdb")


def test_what_fails_leaves_the_old_database_and_nothing_else(lake, path):
    attach(lake, path)
    before = path.read_bytes()
    lake.paths("judgments")[0].write_bytes(b"PAR1")
    with pytest.raises(DataError, match="readable Parquet"):
        attach(lake, path)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir() if p.is_file()] == [path.name]
