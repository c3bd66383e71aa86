"""The Yandex reader: which page a click belongs to, and what becomes of every line."""

from __future__ import annotations

import gzip

import pytest

from ultr.logs import raw, yandex

A, B, C = "10", "11", "12"


def page(session, time, query="7", *, urls=(A, B, C), region="0", width=3):
    return "\t".join([session, str(time), "Q", query, region, *urls, *[""] * (width - len(urls))])


def click(session, time, url):
    return f"{session}\t{time}\tC\t{url}"


@pytest.fixture
def read(tmp_path):
    def run(*lines):
        path = tmp_path / "log.tsv"
        path.write_text("".join(line + "\n" for line in lines))
        return list(yandex.read(path))

    return run


def clicks(chunks):
    return [c for chunk in chunks for c in chunk.pages["click"].to_list()]


def reasons(chunks):
    return [r for chunk in chunks for r in chunk.rejects["reason"]]


def unattached(chunks):
    """Lines of the clicks that no page of their chunk takes: ingest looks for one elsewhere."""
    lost = (chunk.events.filter(chunk.events["state"] == "unattached") for chunk in chunks)
    return [line for events in lost for line in events["line"]]


def test_positions_are_the_columns(read):
    (chunk,) = read(page("1", 0), click("1", 5, B))
    assert chunk.pages["position"].to_list() == [[1, 2, 3]]
    assert chunk.pages["doc_key"].to_list() == [[A, B, C]]
    assert chunk.pages["query_key"].to_list() == ["7:0"]
    assert clicks([chunk]) == [[0, 1, 0]]


def test_a_click_goes_to_the_last_page_before_it_that_shows_the_url(read):
    chunks = read(
        page("1", 0, "7", urls=(A, B, C)),
        page("1", 10, "8", urls=("20", B, "22")),
        click("1", 20, B),  # both show it: the later page
        click("1", 21, A),  # only the first shows it
    )
    assert clicks(chunks) == [[1, 0, 0], [0, 1, 0]]


def test_a_click_before_its_page_or_in_another_session_fits_none(read):
    chunks = read(page("1", 10), click("1", 5, A), page("2", 0, urls=("30", "31", "32")))
    more = read(page("1", 10), page("2", 0, urls=("30", "31", "32")), click("2", 4, A))
    for found in (chunks, more):
        assert unattached(found) == [2 if found is chunks else 3]
        assert reasons(found) == []
        assert sum(map(sum, clicks(found))) == 0


def test_a_click_at_the_time_of_its_page_belongs_to_it(read):
    assert clicks(read(page("1", 5), click("1", 5, A))) == [[1, 0, 0]]


def test_the_last_session_is_not_dropped(read):
    assert clicks(read(page("1", 0), page("2", 0), click("2", 1, C)))[-1] == [0, 0, 1]


def test_a_repeated_click_counts_once(read):
    (chunk,) = read(page("1", 0), click("1", 1, A), click("1", 2, A), click("1", 3, A))
    assert clicks([chunk]) == [[1, 0, 0]]
    assert (chunk.used, chunk.repeated) == (2, 2)


def test_a_url_shown_twice_is_clicked_at_the_higher_position(read):
    assert clicks(read(page("1", 0, urls=(B, A, A)), click("1", 1, A))) == [[0, 1, 0]]


def test_short_pages_are_padded_and_clicks_too(read):
    chunks = read(page("1", 0), page("2", 0, urls=(A,), width=3), click("2", 1, A) + "\t\t\t")
    assert clicks(chunks) == [[0, 0, 0], [1]]


def test_a_region_that_was_written_as_a_float_is_the_region(read):
    (chunk,) = read(page("1", 0, region="3.0"))
    assert chunk.pages["query_key"].to_list() == ["7:3"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1\t0", "fewer than 4 columns"),
        ("1\t0\tX\t7", "neither Q nor C"),
        ("1\t0\t\t\t", "neither Q nor C"),
        ("1\tsoon\tC\t7", "time is not"),
        ("1\t-4\tC\t7", "time is not"),
        ("\t0\tC\t7", "no session"),
        ("1\t0\tC\t", "click without a url"),
        ("1\t0\tC\t7\t8", "more than 4 columns"),
        ("1\t0\tQ\t7\t0\t1\t2", "another number of columns"),
        ("1\t0\tQ\t\t0\t1\t2\t3", "no query"),
        ("1\t0\tQ\t7\t0\t1\t\t3", "gap between urls"),
        ("1\t0\tQ\t7\t0\t\t\t", "without a url"),
    ],
)
def test_bad_lines_are_rejected_with_their_reason(read, line, reason):
    (chunk,) = read(page("9", 0), line, page("9", 1))
    assert chunk.pages.height == 2
    (reject,) = chunk.rejects.iter_rows(named=True)
    assert reason in reject["reason"]
    assert (reject["line"], reject["text"]) == (2, line)


def test_bad_utf8_and_blank_lines(tmp_path):
    path = tmp_path / "log.tsv"
    good = page("1", 0).encode()
    path.write_bytes(good + b"\n\n" + b"1\t0\tC\t\xff\xfe\n" + good + b"\n")
    (chunk,) = yandex.read(path)
    assert (chunk.pages.height, chunk.ignored) == (2, 1)
    assert chunk.rejects["line"].to_list() == [3]
    assert chunk.rejects["reason"].to_list() == ["not UTF-8"]
    assert chunk.pages["ordinal"].to_list() == [1, 4]


@pytest.mark.parametrize("block", [50, 200, 1 << 20])
@pytest.mark.parametrize("compress", [False, True])
def test_any_block_size_gives_the_same_pages(tmp_path, monkeypatch, block, compress):
    lines = []
    for session in range(40):
        lines.append(page(str(session), 0))
        lines.append(page(str(session), 5, "8", urls=(C, A, B)))
        lines.append(click(str(session), 9, (A, B, C, "77")[session % 4]))
    path = tmp_path / "log"
    data = "\n".join(lines).encode()  # no newline at the end
    path.write_bytes(gzip.compress(data) if compress else data)
    whole = list(yandex.read(path))
    monkeypatch.setattr(raw, "BLOCK_BYTES", block)
    chunks = list(yandex.read(path))
    assert clicks(chunks) == clicks(whole)
    assert len(whole) == 1
    assert [o for c in chunks for o in c.pages["ordinal"]] == whole[0].pages["ordinal"].to_list()
    assert sum(c.lines for c in chunks) == len(lines)
    assert len(unattached(chunks)) == 10
    assert unattached(chunks) == unattached(whole)


@pytest.mark.parametrize("head", [1 << 20, 10])
def test_what_is_usual_is_told_by_the_head_of_the_file(tmp_path, monkeypatch, head):
    """Not by its blocks; and by the first page where the head has none."""
    monkeypatch.setattr(raw, "HEAD_BYTES", head)
    lines = [page("1", 0, urls=(A, B)[:2], width=2), *(page(str(i), 0) for i in range(2, 9))]
    (tmp_path / "log").write_text("".join(line + "\n" for line in lines))
    for size in (10, 1 << 20):
        monkeypatch.setattr(raw, "BLOCK_BYTES", size)
        rejects = [line for c in yandex.read(tmp_path / "log") for line in c.rejects["line"]]
        assert rejects == ([1] if head > 10 else list(range(2, 9)))
