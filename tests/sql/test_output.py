import csv
import io
import json
from datetime import datetime

import pyarrow.parquet as pq
import pytest

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
    assert [r["click"] for r in found] == [[1], [1, 0], [0, 0]]
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
    with pytest.raises(UsageError, match="No such file"):
        write_query(lake.root, "select 1", given={}, out=tmp_path / "none" / "x.csv")


def test_named_queries_take_parameters(lake, capsysbinary):
    write_query(lake.root, None, name="top_queries", given={"top": 1}, form="json")
    (found,) = json.loads(capsysbinary.readouterr().out)
    assert found["query"] == "seven"
