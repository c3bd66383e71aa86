"""Bytes of raw files: whole lines in bounded memory, whatever the file holds."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading

import pyarrow as pa
import pytest

from ultr.errors import DataError
from ultr.logs import baidu, raw, table, yandex
from ultr.logs.raw import blocks, lines_of

LINES = b"".join(b"line %d\n" % n for n in range(200))


def write(tmp_path, data):
    path = tmp_path / "log"
    path.write_bytes(data)
    return path


def numbered(path):
    """All lines with their numbers, and the rejected ones with their reason."""
    good, bad = {}, {}
    for block in blocks(path):
        frame, rejects = lines_of(block)
        good |= dict(frame.select("line", "text").iter_rows())
        bad |= dict(rejects.select("line", "reason").iter_rows())
    return good, bad


KINDS = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "gzip of several members": lambda d: gzip.compress(d[:500]) + gzip.compress(d[500:]),
    "gzip with padding": lambda data: gzip.compress(data) + b"\0" * 600,
    "zstd": lambda data: pa.compress(data, "zstd", asbytes=True),
    "with a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "without the last line end": lambda data: data[:-1],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [7, 100, 1 << 20])
def test_every_kind_of_file_gives_the_same_lines(tmp_path, monkeypatch, kind, size):
    monkeypatch.setattr(raw, "BLOCK_BYTES", size)
    path = write(tmp_path, KINDS[kind](LINES))
    parts = list(blocks(path))
    assert b"".join(b.data for b in parts) == LINES
    assert sum(b.lines for b in parts) == 200
    assert sum(b.size for b in parts) == path.stat().st_size
    ends = [b.first_line + b.lines for b in parts]
    assert [b.first_line for b in parts] == [1, *ends[:-1]]


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(LINES)[:-9],
        gzip.compress(LINES)[:40],
        gzip.compress(LINES) + b"garbage",
        gzip.compress(LINES)[:-8] + b"\0" * 8,  # another checksum
        b"\x1f\x8b",
        pa.compress(LINES, "zstd", asbytes=True)[:-5],
    ],
    ids=["cut", "cut early", "garbage after", "wrong checksum", "two bytes", "cut zstd"],
)
def test_a_damaged_archive_is_one_error(tmp_path, data):
    path = write(tmp_path, data)
    with pytest.raises(DataError, match="must be whole") as error:
        list(blocks(path))
    assert str(path) in error.value.got
    assert error.value.hint


@pytest.mark.parametrize("size", [10, 64, 1 << 20])
@pytest.mark.parametrize("length", [50, 51, 500])
def test_a_line_that_is_too_long_is_told_whatever_the_blocks(tmp_path, monkeypatch, size, length):
    monkeypatch.setattr(raw, "MAX_LINE_BYTES", 50)
    monkeypatch.setattr(raw, "BLOCK_BYTES", size)
    long = b"x" * length
    good, bad = numbered(write(tmp_path, b"a\n" + long + b"\nb\n" + long + b"\n\xff\nc"))
    expected = {1: "a", 3: "b", 6: "c"}
    if length == 50:
        assert good == expected | {2: long.decode(), 4: long.decode()}
        assert bad == {5: "not UTF-8"}
    else:
        assert good == expected
        assert bad == {2: "longer than 0 MiB", 4: "longer than 0 MiB", 5: "not UTF-8"}


def test_only_the_beginning_of_a_long_line_is_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "MAX_LINE_BYTES", 2000)
    (block,) = blocks(write(tmp_path, b"begin " + b"x" * 5000 + b"\nafter\n"))
    ((number, text),) = block.too_long
    assert (number, len(text), text[:8]) == (1, 1024, b"begin xx")
    assert len(block.data) < 100


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_file_that_is_one_long_line(tmp_path, monkeypatch, end):
    monkeypatch.setattr(raw, "MAX_LINE_BYTES", 50)
    monkeypatch.setattr(raw, "BLOCK_BYTES", 16)
    assert numbered(write(tmp_path, b"y" * 300 + end)) == ({}, {1: "longer than 0 MiB"})


YANDEX = b"1\t0\tQ\t7\t0\t10\t11\n1\t3\tC\t11\n"
CSV = b"session_id,query_id,doc_id,position,click\ns,7,10,1,0\n"
BAIDU = b"7\t5\t-\n" + b"\t".join([b"1", b"ab", b"1", b"2", b"-", b"0", *[b"-"] * 26]) + b"\n"


@pytest.mark.parametrize(
    ("read", "good"),
    [(yandex.read, YANDEX), (table.read, CSV), (baidu.read, BAIDU)],
    ids=["yandex", "table", "baidu"],
)
def test_every_reader_rejects_a_long_line_and_goes_on(tmp_path, monkeypatch, read, good):
    monkeypatch.setattr(raw, "MAX_LINE_BYTES", 300)
    body = good if read is not baidu.read else good + good
    long = b"q" * 1000 + b"\n"
    chunks = list(read(write(tmp_path, good + long + body.removeprefix(CSV))))
    assert sum(c.lines for c in chunks) == (good + long + body.removeprefix(CSV)).count(b"\n")
    told = {line: why for c in chunks for line, why in c.rejects.select("line", "reason").rows()}
    assert told[good.count(b"\n") + 1].startswith("longer than")
    assert sum(c.pages.height for c in chunks) >= 1


def test_a_gigabyte_without_a_line_end_takes_little_memory(tmp_path):
    """300 MB here, in a process of its own; the limit comes on top of the program itself."""
    path = tmp_path / "log.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for n in range(75):
            file.write(b"%d" % n * (2 << 20))
        file.write(b"\n" + YANDEX)
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom ultr.logs import yandex, raw\n"
        "raw.MAX_EXPANSION = 10_000\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10\n"
        "before = peak()\nchunks = list(yandex.read(Path(sys.argv[1])))\n"
        "print(peak() - before, sum(c.rejects.height for c in chunks),"
        " sum(c.pages.height for c in chunks))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True,
                          check=True)  # fmt: skip
    grown, rejects, pages = map(int, done.stdout.split())
    assert (rejects, pages) == (1, 1)
    assert grown < 150


def test_a_bomb_is_refused_early(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "EXPANSION_FROM_BYTES", 1 << 20)
    path = write(tmp_path, gzip.compress(b"0" * (32 << 20)))
    with pytest.raises(DataError, match="at most 250 times its size") as error:
        list(blocks(path))
    assert str(path) in error.value.got


def test_a_log_that_shrinks_well_is_no_bomb(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "EXPANSION_FROM_BYTES", 1 << 10)
    data = LINES * 200
    assert sum(b.lines for b in blocks(write(tmp_path, gzip.compress(data)))) == 40_000


def test_lines_that_never_part_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "MAX_TOGETHER_BYTES", 100)
    monkeypatch.setattr(raw, "BLOCK_BYTES", 30)
    with pytest.raises(DataError, match="must fit into"):
        list(blocks(write(tmp_path, LINES), cut=lambda _data: 0))


def test_no_thread_stays_when_reading_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(raw, "BLOCK_BYTES", 64)
    before = threading.active_count()
    reading = blocks(write(tmp_path, LINES))
    assert next(reading).first_line == 1
    reading.close()
    assert threading.active_count() == before
