"""Whatever bytes come: no crash other than a clear error, and no line unaccounted for."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ultr.errors import DataError
from ultr.logs import baidu, raw, table, yandex
from ultr.logs.raw import blocks

YANDEX = b"".join(
    b"%d\t%d\tQ\t7\t0\t10\t11\t12\n%d\t%d\tC\t11\n" % (s, s, s, s + 1) for s in range(6)
)
CSV = b"session_id,query_id,doc_id,position,click,shown_at\n" + b"".join(
    b"s%d,q,d%d,%d,%d,2026-01-01\n" % (s, p, p, p % 2) for s in range(4) for p in (1, 2, 3)
)
QUOTED = CSV.replace(b",q,", b',"q ""x""\n, y",')
IMPRESSIONS = b"".join(
    b'{"session_id": "s%d", "query_id": 7, "doc_id": 9, "position": %d, "click": true}\n' % (s, p)
    for s in range(3)
    for p in (1, 2, 3)
)  # fmt: skip
JSON = b"".join(
    b'{"session_id": "s%d", "query_id": "q", "doc_id": ["a", "b"], "position": [1, 2],'
    b' "click": [0, 1]}\n' % s
    for s in range(4)
)
BAIDU = b"".join(
    b"7\t%d\x015\t-\n" % s
    + b"".join(
        b"\t".join([b"%d" % p, b"%032x" % p, b"1\x012", b"3", b"-", b"%d" % (p % 2), *[b"-"] * 26])
        + b"\n"
        for p in (1, 2, 3)
    )
    for s in range(5)
)
READERS = {
    "baidu": (baidu.read, BAIDU),
    "yandex": (yandex.read, YANDEX),
    "csv": (table.read, CSV),
    "quoted csv": (table.read, QUOTED),
    "json impressions": (table.read, IMPRESSIONS),
    "json pages": (table.read, JSON),
}
PIECES = [b"\t", b"\n", b",", b'"', b"[", b"]", b"{", b"}", b"-1", b"0", b"\x00", b"\xff", b"nan",
          b"1e999", b"\r", b"\r\n", b"\xef\xbb\xbf", b"'", b"9" * 30, b" ", b"null"]  # fmt: skip
EDIT = st.tuples(
    st.floats(0, 1), st.integers(0, 40), st.one_of(st.sampled_from(PIECES), st.binary(max_size=4))
)


def mutated(data: bytes, edits: list[tuple[float, int, bytes]]) -> bytes:
    out = bytearray(data)
    for where, length, piece in edits:
        at = round(where * len(out))
        out[at : at + length] = piece
    return bytes(out)


@pytest.mark.parametrize("reader", READERS)
@settings(
    max_examples=40,
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
    read, data = READERS[reader]
    data = mutated(data, edits)
    path = tmp_path / "log"
    path.write_bytes(gzip.compress(data) if compress else data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "BLOCK_BYTES", size)
        try:
            chunks = list(read(path))
            told = sum(block.data.count(b"\n") for block in blocks(path))
        except DataError:
            return
    assert sum(c.lines for c in chunks) == told
    for chunk in chunks:  # the chunk itself checks that its lines add up
        length = chunk.pages["doc_key"].list.len()
        for name in ("position", "click"):
            assert (chunk.pages[name].list.len() == length).all()
        assert (chunk.pages["position"].list.min() >= 1).all()
        assert (chunk.pages["position"].list.n_unique() == length).all()
        assert chunk.pages["query_key"].null_count() == 0
        assert chunk.rejects["reason"].null_count() == 0
    numbers = [n for c in chunks for n in c.rejects["line"]]
    assert len(set(numbers)) == len(numbers)


@pytest.mark.parametrize("reader", READERS)
@settings(max_examples=15, deadline=None, derandomize=True,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(size=st.integers(1, 600))
def test_the_size_of_blocks_changes_nothing(tmp_path, reader, size):
    read, data = READERS[reader]
    path = tmp_path / "log"
    path.write_bytes(data)

    def pages():
        chunks = list(read(path))
        return sorted(repr(row) for c in chunks for row in c.pages.rows())

    once = pages()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "BLOCK_BYTES", size)
        assert pages() == once


@pytest.mark.parametrize("compress", [gzip.compress, None])
@pytest.mark.parametrize("cut", [1, 8, 30])
def test_a_truncated_archive_is_one_error(tmp_path, compress, cut):
    import pyarrow as pa

    whole = (
        gzip.compress(YANDEX * 50) if compress else pa.compress(YANDEX * 50, "zstd", asbytes=True)
    )
    path = tmp_path / "log"
    path.write_bytes(whole[:-cut])
    with pytest.raises(DataError, match="must be whole") as error:
        list(yandex.read(path))
    assert str(path) in str(error.value)
