"""What a lake must not keep stands in no byte of any of its files."""

from __future__ import annotations

import json

import pytest

import ultr
from ultr.errors import DataError, UsageError
from ultr.etl.features import add_features
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.lists import ListsConfig, build_lists

SALT = "c29tZSBzYWx0IHRoYXQgaXMgbG9uZw"
SECRETS = (
    "flu symptoms",
    "https://clinic.example/",
    "Dr. Grey",
    "alice@",
    "visit-77",
    "broken line",
)
MAPPING = """
[columns]
session = "s"
user = "u"
query = "q"
query_text = "q"
document = "d"
document_title = "t"
position = "p"
click = "c"
"""
CSV = """s,u,q,d,t,p,c
visit-77,alice@x,flu symptoms,https://clinic.example/a,Dr. Grey,1,0
visit-77,alice@x,flu symptoms,https://clinic.example/b,Dr. Grey,2,1
visit-78,alice@x,flu symptoms,https://clinic.example/a,Dr. Grey,1,1
broken line with alice@x and flu symptoms
"""


@pytest.fixture
def fill(tmp_path):
    (tmp_path / "map.toml").write_text(MAPPING)
    (tmp_path / "salt").write_text(SALT + "\n")
    (tmp_path / "a.csv").write_text(CSV)

    def run(lake="lake", source="a.csv", **settings):
        config = IngestConfig(
            format="table", mapping=tmp_path / "map.toml", max_reject_rate=0.5, **settings
        )
        ingest([tmp_path / source], lake=tmp_path / lake, config=config)
        return ultr.open_lake(tmp_path / lake)

    return run


def found(root):
    """Which secrets stand in a file; Parquet is read, since it is compressed."""
    data = b"".join(p.read_bytes() for p in root.rglob("*") if p.is_file())
    lake = ultr.open_lake(root)
    rows = [lake.read(t).to_pylist() for t in ("sessions", "queries", "documents", "rejects")]
    data += json.dumps(rows, default=str).encode()
    return [s for s in (*SECRETS, SALT) if s.encode() in data]


def test_the_secrets_would_be_found(fill, tmp_path):
    fill()
    assert found(tmp_path / "lake") == list(SECRETS)


def test_no_text_and_hashed_users_leave_nothing(fill, tmp_path):
    lake = fill(no_text=True, hash_users=tmp_path / "salt")
    assert found(tmp_path / "lake") == []
    build_lists(lake.root, config=ListsConfig())
    assert found(tmp_path / "lake") == []


def test_ids_stay_the_same_so_that_keys_still_join(fill, tmp_path):
    plain, bare = fill("plain"), fill("bare", no_text=True)
    for table, key in (("queries", "query_id"), ("documents", "doc_id")):
        ids = [sorted(x.read(table)[key].to_pylist()) for x in (plain, bare)]
        assert ids[0] == ids[1]
    assert bare.read("documents")["key"].to_pylist() == [
        str(i) for i in bare.read("documents")["doc_id"].to_pylist()
    ]
    (tmp_path / "f.csv").write_text(
        "query_id,doc_id,x\n"
        + "".join(f"flu symptoms,https://clinic.example/{d},1\n" for d in "ab")
    )
    assert add_features(tmp_path / "bare", source=tmp_path / "f.csv")["match_share"] == 1.0


def test_one_salt_gives_one_pseudonym(fill, tmp_path):
    (tmp_path / "b.csv").write_text(CSV.replace("visit-7", "visit-8"))
    (tmp_path / "other").write_text(SALT[::-1])
    first = fill(hash_users=tmp_path / "salt")
    second = fill(source="b.csv", hash_users=tmp_path / "salt")
    rows = second.read("sessions").to_pylist()
    assert len({r["user_id"] for r in rows}) == 1
    assert len({r["session_id"] for r in rows}) == 4
    assert {r["user_id"] for r in rows} == {
        r["user_id"] for r in first.read("sessions").to_pylist()
    }
    other = fill("else", hash_users=tmp_path / "other").read("sessions").to_pylist()
    assert not {r["user_id"] for r in rows} & {r["user_id"] for r in other}


@pytest.mark.parametrize(
    ("before", "after", "got"),
    [
        ({"hash_users": "salt"}, {"hash_users": "other"}, "another salt"),
        ({"hash_users": "salt"}, {}, "and without"),
        ({}, {"hash_users": "salt"}, "not before"),
        ({"no_text": True}, {}, "and without"),
        ({}, {"no_text": True}, "not before"),
    ],
)
def test_a_lake_keeps_its_policy(fill, tmp_path, before, after, got):
    (tmp_path / "other").write_text(SALT[::-1])
    (tmp_path / "b.csv").write_text(CSV)

    def settings(named):
        return {k: tmp_path / v if k == "hash_users" else v for k, v in named.items()}

    fill(**settings(before))
    with pytest.raises(UsageError, match="the same --no-text") as error:
        fill(source="b.csv", **settings(after))
    assert got in error.value.got
    assert SALT not in str(error.value)


@pytest.mark.parametrize(("salt", "error"), [("short", UsageError), (None, DataError)])
def test_a_salt_is_a_file_with_enough_in_it(fill, tmp_path, salt, error):
    if salt is not None:
        (tmp_path / "bad").write_text(salt)
    with pytest.raises(error, match="salt"):
        fill(hash_users=tmp_path / "bad")
    assert not (tmp_path / "lake").exists()


@pytest.mark.usefixtures("fill")
def test_a_dry_run_shows_no_text_where_none_is_kept(tmp_path):
    config = IngestConfig(
        format="table", mapping=tmp_path / "map.toml", no_text=True, is_dry_run=True
    )
    result = ingest([tmp_path / "a.csv"], lake=tmp_path / "lake", config=config)
    assert list(result["reject_examples"].values()) == [["a.csv:5: "]]
