"""Whatever bytes come: no crash other than a clear error, and no line unaccounted for."""

from __future__ import annotations

import contextlib
import gzip
import shutil

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.logs.family import FAMILY, PIECES, YANDEX, check, mutated, said
from ultr.errors import DataError
from ultr.logs import raw, yandex

EDIT = st.tuples(
    st.floats(0, 1), st.integers(0, 40), st.one_of(st.sampled_from(PIECES), st.binary(max_size=4))
)


@pytest.mark.parametrize("reader", FAMILY)
@settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    edits=st.lists(EDIT, max_size=6),
    size=st.sampled_from([64, 400, raw.BLOCK_BYTES]),
    compress=st.booleans(),
)
def test_mutated_files(tmp_path, reader, edits, size, compress):
    member = FAMILY[reader]
    data = mutated(member.data, edits)
    path = member.place(tmp_path, gzip.compress(data) if compress else data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "BLOCK_BYTES", size)
        with contextlib.suppress(DataError):
            check(member, path)


@pytest.mark.parametrize("reader", FAMILY)
@settings(max_examples=10, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(edits=st.lists(EDIT, max_size=5), odd=st.integers(1, 600), times=st.sampled_from([1, 3]))
def test_the_size_of_blocks_changes_nothing(tmp_path, reader, edits, odd, times):
    """Pages, rejects with their reasons, texts and counts are those of the file."""
    member = FAMILY[reader]
    again = 1 if reader == "parquet" or reader.startswith("ultra") else times
    path = member.place(tmp_path, mutated(member.data * again, edits))
    whole = said(member, path)
    for size in (64, 400, 4096, odd):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(raw, "BLOCK_BYTES", size)
            assert said(member, path) == whole


@pytest.mark.parametrize("reader", FAMILY)
def test_a_good_file_gives_pages_and_no_reject(tmp_path, reader):
    member = FAMILY[reader]
    chunks = list(member.read(member.place(tmp_path, member.data)))
    # Pages of UBI are made of its events when all files are read.
    facts = [c.pages if c.events is None or c.pages.height else c.events for c in chunks]
    assert sum(f.height for f in facts) > 0
    assert sum(c.rejects.height for c in chunks) == 0


@pytest.mark.parametrize("reader", [n for n in FAMILY if n != "parquet"])
def test_gzip_and_zstd_say_the_same_as_plain(tmp_path, reader):
    member, found = FAMILY[reader], []
    for number, wrap in enumerate((bytes, gzip.compress, zstd)):
        folder = tmp_path / str(number)
        folder.mkdir()
        if reader.startswith("ultra") and reader != "ultra lists":
            wrap = bytes  # noqa: PLW2901  only the lists of a folder are compressed as logs are
        chunks = list(member.read(member.place(folder, wrap(member.data))))
        found.append([row for c in chunks for row in c.pages.rows()])
        shutil.rmtree(folder)
    assert found[0] == found[1] == found[2]


def zstd(data):
    return pa.compress(data, "zstd", asbytes=True)


@pytest.mark.parametrize("compress", [gzip.compress, zstd])
@pytest.mark.parametrize("cut", [1, 8, 30])
def test_a_truncated_archive_is_one_error(tmp_path, compress, cut):
    path = tmp_path / "log"
    path.write_bytes(compress(YANDEX * 50)[:-cut])
    with pytest.raises(DataError, match="must be whole") as error:
        list(yandex.read(path))
    assert str(path) in str(error.value)
