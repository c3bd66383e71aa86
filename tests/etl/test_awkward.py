"""Files as they come: what can be read is, and what cannot is told in words that help."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import zipfile

import pyarrow as pa
import pytest

import ultr
from tests.logs.family import BAIDU, CSV, UBI, YANDEX
from ultr.errors import DataError, UsageError
from ultr.etl.ingest import IngestConfig, ingest

FORMATS = {"yandex": YANDEX, "table": CSV, "ubi": UBI, "baidu": BAIDU}


def zipped(data):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("log", data)
    return out.getvalue()


def zstd(data):
    return pa.compress(data, "zstd", asbytes=True)


def halves(pack, data):
    at = data.index(b"\n") + 1
    return pack(data[:at]) + pack(data[at:])


FORMS = {
    "crlf": lambda data: data.replace(b"\n", b"\r\n"),
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "no newline at the end": lambda data: data[:-1],
    "gzip members": lambda data: halves(gzip.compress, data),
    "an empty gzip member": lambda data: gzip.compress(b"") + gzip.compress(data),
    "gzip and zeros": lambda data: gzip.compress(data) + bytes(512),
    "zstd frames": lambda data: halves(zstd, data),
    "a zstd frame to skip": lambda data: b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd(data),
}

OTHERS = {
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "a zip archive": zipped,
    "UTF-16": lambda data: data.decode().encode("utf-16"),
}


def read(path, form, lake, **settings):
    return ingest([path], lake=lake, config=IngestConfig(format=form, **settings), quiet=True)


def counted(result):
    names = ("lines", "used", "rejects", "sessions", "clicks")
    return {name: result[name] for name in names}


@pytest.mark.parametrize("form", FORMATS)
def test_a_log_is_the_same_in_every_form(tmp_path, form):
    path = tmp_path / "log"
    path.write_bytes(FORMATS[form])
    plain = counted(read(path, form, tmp_path / "plain"))
    for name, packed in FORMS.items():
        path.write_bytes(packed(FORMATS[form]))
        assert counted(read(path, form, tmp_path / name)) == plain


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", OTHERS)
def test_other_forms_are_called_by_their_names(tmp_path, form, name):
    """A zip keeps what hardly shrinks as it is: its lines were taken for those of the log."""
    (tmp_path / "log").write_bytes(OTHERS[name](FORMATS[form]))
    with pytest.raises(DataError, match=f"is {name}"):
        read(tmp_path / "log", form, tmp_path / "lake", max_reject_rate=1)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "data", [b"", b"\n\n", gzip.compress(b"")], ids=["none", "blank", "gzip of none"]
)
def test_nothing_is_no_log(tmp_path, form, data):
    (tmp_path / "log").write_bytes(data)
    with pytest.raises(DataError, match="must not be empty") as error:
        read(tmp_path / "log", form, tmp_path / "lake")
    assert "--on-bad-file skip" in error.value.hint


def test_a_header_without_rows_is_no_log(tmp_path):
    (tmp_path / "log").write_bytes(CSV[: CSV.index(b"\n") + 1])
    with pytest.raises(DataError, match="must not be empty"):
        read(tmp_path / "log", "table", tmp_path / "lake")


@pytest.mark.parametrize("form", FORMATS)
def test_what_a_cluster_leaves_beside_its_parts_is_no_log(tmp_path, form):
    folder = tmp_path / "night"
    (folder / ".hidden").mkdir(parents=True)
    (folder / "part-0").write_bytes(FORMATS[form])
    for name in ("_SUCCESS", ".part-0.crc", ".hidden/x"):
        (folder / name).write_bytes(b"\0junk")
    (folder / "again").symlink_to(folder / "part-0")
    (folder / "gone").symlink_to(folder / "nowhere")
    assert read(folder, form, tmp_path / "lake")["files"] == 1
    (folder / "part-1").write_bytes(b"")  # a partition without rows
    with pytest.raises(DataError, match="part-1 holds no line"):
        read(folder, form, tmp_path / "strict")
    assert read(folder, form, tmp_path / "lake", on_bad_file="skip")["files_rejected"] == 1
    for nothing in (folder / "nothing*", folder / "gone", folder / "none"):
        with pytest.raises(UsageError, match="a glob that matches some"):
            read(nothing, form, tmp_path / "lake")


def test_ids_of_another_kind_are_told_with_their_file(tmp_path):
    for name, document in (("good", "1"), ("odd", "x")):
        text = f"session_id,query_id,doc_id,position,click\ns,1,{document},1,0\n"
        (tmp_path / name).write_text(text)
    read(tmp_path / "good", "table", tmp_path / "lake")
    with pytest.raises(DataError, match="odd: 1 of 1 keys do not, the first is 'x'"):
        read(tmp_path / "odd", "table", tmp_path / "lake")


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (CSV.replace(b",", b";"), "say the delimiter"),
        (CSV.replace(b",", b"\t"), "say the delimiter"),
        (json.dumps([{"query_id": 1}]).encode(), "one object on each line"),
        (json.dumps({"query_id": 1}, indent=1).encode(), "one object on each line"),
        (CSV.replace(b"doc_id", b"item"), "its columns are: session_id, query_id, item"),
    ],
)
def test_a_table_without_our_columns_says_what_it_may_be(tmp_path, data, hint):
    (tmp_path / "log").write_bytes(data)
    with pytest.raises(DataError, match="every mapped column") as error:
        read(tmp_path / "log", "table", tmp_path / "lake")
    assert hint in error.value.hint


def test_seconds_are_not_days_of_1970(tmp_path):
    """UBI has milliseconds or ISO text."""
    lines = [
        {"query_id": f"q{at}", "user_query": "x", "client_id": "c", "timestamp": at}
        | {"query_response_hit_ids": ["a"]}
        for at in (1_767_323_045, 1_767_323_045_000)
    ]
    (tmp_path / "log").write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = read(tmp_path / "log", "ubi", tmp_path / "lake", max_reject_rate=1)
    assert result["rejects_by_reason"] == {
        "timestamp is neither ISO text nor epoch milliseconds": 1
    }
    (page,) = ultr.open_lake(tmp_path / "lake").read("sessions").to_pylist()
    assert page["period"] == "2026-01-02"
