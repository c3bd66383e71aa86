"""Result files: whole or not at all, never over an input, never in a lake."""

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from ultr.errors import UsageError
from ultr.lake import create_lake
from ultr.results import check_target, replacing, table_writer

ROWS = pa.table({"query_id": [1, 2], "score": [0.5, -1.0]})


@pytest.fixture
def lake(tmp_path):
    return create_lake(tmp_path / "lake").root


@pytest.mark.parametrize(
    ("name", "read"), [("r.parquet", pq.read_table), ("r.csv", pa.csv.read_csv)]
)
def test_rows_read_back(tmp_path, name, read):
    with table_writer(tmp_path / name, ROWS.schema) as writer:
        writer.write_table(ROWS)
    assert read(tmp_path / name).equals(ROWS)
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["r.txt", "r", "r.parquet.gz", "r.PQ"])
def test_other_endings_are_refused(tmp_path, name):
    with (
        pytest.raises(UsageError, match="as its name says"),
        table_writer(tmp_path / name, ROWS.schema),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_failure_leaves_the_old_file(tmp_path):
    out = tmp_path / "r.parquet"
    out.write_text("old")
    with pytest.raises(AttributeError), table_writer(out, ROWS.schema) as writer:
        writer.write_table("not a table")
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("name", ["manifest.json", "new.csv", "sessions/x.parquet"])
def test_nothing_is_written_into_a_lake(lake, name):
    (lake / "sessions").mkdir()
    before = (lake / "manifest.json").read_bytes()
    with pytest.raises(UsageError, match="into a lake"), replacing(lake / name):
        pass
    assert (lake / "manifest.json").read_bytes() == before
    assert not (lake / name).exists() or name == "manifest.json"


def test_a_link_into_a_lake_is_seen_through(lake, tmp_path):
    (tmp_path / "link").symlink_to(lake)
    with pytest.raises(UsageError, match="into a lake"):
        check_target(tmp_path / "link" / "r.csv")


def test_a_damaged_lake_is_still_one(lake):
    (lake / "manifest.json").write_text("{")
    with pytest.raises(UsageError, match="into a lake"):
        check_target(lake / "r.csv")


def test_a_manifest_of_another_program_is_no_lake(tmp_path):
    (tmp_path / "manifest.json").write_text("{}")
    check_target(tmp_path / "r.csv")


@pytest.mark.parametrize("name", ["in.csv", "./in.csv", "run/in.csv", "link.csv"])
def test_an_input_is_not_replaced(tmp_path, name):
    (tmp_path / "run").mkdir()
    (tmp_path / "in.csv").write_text("mine")
    (tmp_path / "link.csv").symlink_to("in.csv")
    with pytest.raises(UsageError, match="made from"):
        check_target(tmp_path / name, inputs=[tmp_path / "in.csv", tmp_path / "run"])
    check_target(tmp_path / "in.csv.new", inputs=[tmp_path / "in.csv"])


@pytest.mark.parametrize("name", ["folder", "none/r.csv"])
def test_a_target_is_a_file_in_a_folder_that_exists(tmp_path, name):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match="folder that exists"):
        check_target(tmp_path / name)
