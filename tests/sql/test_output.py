import csv
import io
import json
from datetime import datetime

import pyarrow.parquet as pq
import pytest

from ultr.cli import main
from ultr.errors import DataError, UsageError
from ultr.sql.output import TABLE_ROWS, write_query

EVERYTHING = """
select
    1 as number,
    'a,"b"' || chr(10) as "text",
    [1, null] as listed,
    'nan'::double as "nan",
    timestamptz '2026-01-01 12:30:00+00' as at,
    null as nothing,
    true as yes,
    sum(3) as huge
"""


def written(lake, capsysbinary, sql, **options):
    write_query(lake.root, sql, given={}, **options)
    return capsysbinary.readouterr().out.decode()


def test_json_is_an_array_of_objects(lake, capsysbinary):
    (found,) = json.loads(written(lake, capsysbinary, EVERYTHING, form="json"))
    assert found == {
        "number": 1,
        "text": 'a,"b"\n',
        "listed": [1, None],
        "nan": None,
        "at": "2026-01-01T12:30:00",
        "nothing": None,
        "yes": True,
        "huge": 3,
    }


def test_csv_reads_back(lake, capsysbinary):
    text = written(lake, capsysbinary, EVERYTHING, form="csv")
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert dict(zip(header, row, strict=True)) == {
        "number": "1",
        "text": 'a,"b"\n',
        "listed": "[1, null]",
        "nan": "",
        "at": "2026-01-01T12:30:00",
        "nothing": "",
        "yes": "True",
        "huge": "3",
    }


def test_no_rows(lake, capsysbinary):
    none = "select 1 as a where false"
    assert json.loads(written(lake, capsysbinary, none, form="json")) == []
    assert written(lake, capsysbinary, none, form="csv") == "a\n"
    assert written(lake, capsysbinary, none).splitlines() == ["a", "─", "0 rows"]


def test_table_aligns_numbers_right_and_text_left(lake, capsysbinary):
    text = written(lake, capsysbinary, "select 5 as n, 'x' as word union all select 100, 'yy'")
    assert sorted(text.splitlines()[2:4]) == ["  5  x", "100  yy"]
    assert text.splitlines()[-1] == "2 rows"


@pytest.mark.parametrize("extra", [0, 1, 30_000])
def test_table_says_when_it_shows_only_the_first_rows(lake, capsysbinary, extra):
    lines = written(lake, capsysbinary, f"from range({TABLE_ROWS + extra})").splitlines()
    assert len(lines) == 2 + TABLE_ROWS + 1
    assert (f"of {TABLE_ROWS + extra:,} rows" in lines[-1]) == (extra > 0)


def test_text_of_a_log_cannot_steer_the_terminal(lake, capsysbinary):
    text = written(lake, capsysbinary, "select chr(27) || '[2J' || chr(10) || 'x' as evil")
    assert "\x1b" not in text
    assert len(text.splitlines()) == 4


def test_files_by_ending(lake, tmp_path, capsysbinary):
    sql = "select ordinal, shown_at, click from sessions order by all"
    for ending in ("csv", "json", "parquet"):
        out = tmp_path / f"out.{ending}"
        assert not written(lake, capsysbinary, sql, out=out)
        assert [p.name for p in tmp_path.glob("out.*.new")] == []
    found = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert [r["click"] for r in found] == [[1, 0], [1], [0, 0]]
    assert found[0]["shown_at"] == datetime(2026, 1, 1, 12, 30)
    assert len(json.loads((tmp_path / "out.json").read_text())) == 3


def test_a_failed_query_leaves_the_old_file(lake, tmp_path):
    out = tmp_path / "out.csv"
    out.write_text("old")
    with pytest.raises(DataError, match="seven"):
        write_query(lake.root, 'select "key"::int from queries', given={}, out=out)
    assert out.read_text() == "old"
    assert list(tmp_path.glob("*.new")) == []


def test_parquet_needs_a_file_and_a_file_needs_a_folder(lake, tmp_path):
    with pytest.raises(UsageError, match="--out"):
        write_query(lake.root, "select 1", given={}, form="parquet")
    with pytest.raises(UsageError, match="is not a folder"):
        write_query(lake.root, "select 1", given={}, out=tmp_path / "none" / "x.csv")


def test_named_queries_take_parameters(lake, capsysbinary):
    write_query(lake.root, None, name="top_queries", given={"top": 1}, form="json")
    (found,) = json.loads(capsysbinary.readouterr().out)
    assert found["query"] == "seven"


def test_a_name_says_the_format(lake, tmp_path, capsysbinary):
    with pytest.raises(UsageError, match="--format"):
        written(lake, capsysbinary, "select 1 as a", out=tmp_path / "x.foo")
    assert not list(tmp_path.glob("x.foo*"))
    written(lake, capsysbinary, "select 1 as a", out=tmp_path / "x.foo", form="csv")
    assert (tmp_path / "x.foo").read_text() == "a\n1\n"
    written(lake, capsysbinary, "select 1 as a", out=tmp_path / "x.txt")
    assert (tmp_path / "x.txt").read_text().endswith("1 row\n")


def test_a_result_never_replaces_a_lake(lake, capsysbinary):
    before = (lake.root / "manifest.json").read_bytes()
    for name in ("manifest.json", "sessions/x.json"):
        with pytest.raises(UsageError, match="into a lake"):
            written(lake, capsysbinary, "select 1 as a", out=lake.root / name)
    assert (lake.root / "manifest.json").read_bytes() == before


@pytest.mark.parametrize(
    ("sql", "values", "found"),
    [
        ("select query_id from queries where query_id = $q", "q=7", [7]),
        ("select query_id from queries where key = $q", "q=seven", [7]),
        ("select query_id from queries where coalesce(text, '7') = $q", "q=7", [7]),
        ("select query_id from queries order by 1 limit $n", "n=1", [7]),
        (
            "select query_id from queries where $q is null or query_id = $q order by 1",
            "q=null",
            [7, 8],
        ),
        ("select $n::int + 1", "n=1", [2]),
        ("select count(*) from sessions where shown_at > $t", "t=2026-01-01 12:00", [3]),
    ],
)
def test_parameters_fit_what_they_stand_beside(lake, capsysbinary, sql, values, found):
    main(["sql", sql, "--lake", str(lake.root), "--param", values, "--format", "csv"])
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert [int(line) for line in lines[1:]] == found


@pytest.mark.parametrize(
    "arguments",
    [
        ["select * from queries where query_id = $q", "--param", "q=seven"],
        ["--name", "top_queries", "--param", "top=many"],
    ],
)
def test_a_parameter_that_does_not_fit_is_a_wrong_call(lake, capsys, arguments):
    with pytest.raises(SystemExit) as stop:
        main(["sql", "--lake", str(lake.root), *arguments])
    assert stop.value.code == 2
    assert arguments[-1] in capsys.readouterr().err


def test_data_that_cannot_be_cast_is_not_the_parameters_fault(lake):
    with pytest.raises(DataError):
        write_query(lake.root, "select key::int from queries where query_id = $q", given={"q": "7"})
