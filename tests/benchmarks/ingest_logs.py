"""Raw logs of any size for the benchmark of ingest, in the formats' own shapes.

Assumptions, after the public description of Baidu-ULTR: 8.2 documents and .69 clicks a page, 2.9 KB
of text a session (titles of 14 tokens, abstracts of 50), half of the numbers unknown (`-`). Queries
are drawn from a Zipf law (exponent 1) over four times as many queries as the log has sessions, so
that about a third of the sessions of a large log bring a new one, as there (383 of 1,210 million).
A query shows 5 to 12 of 14 documents that begin at three times its number: neighbours share
documents, and a log has 3.4 documents per query, as there. A document's url, title and abstract are
a function of its number. Texts are drawn from pools far larger than a compressor's window.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import polars as pl

CLICK = np.array([0.34, 0.14, 0.075, 0.05, 0.035, 0.025, 0.018, 0.014, 0.011, 0.009, 0.008, 0.007])
"""Click rate by position; .69 a page."""

BLOCK = 50_000
"""Sessions made at a time."""


DISTINCT_PARTS = 4
"""Parts of a Baidu log that are made; ingest keeps nothing of one while it reads another."""


@dataclass(frozen=True)
class Shown:
    """Pages as numbers.

    Args:
        query: [S].
        size: [S] documents of each page.
        page: [N] of each document, from 0.
        position: [N] from 1.
        document: [N].
        click: [N].
    """

    query: Any
    size: Any
    page: Any
    position: Any
    document: Any
    click: Any


def pages(rng: np.random.Generator, *, sessions: int, queries: int, fixed: bool = False) -> Shown:
    """Draw sessions; `fixed` gives pages of ten."""
    # The inverse of the distribution function of 1/rank, as if ranks were continuous.
    query = np.exp(rng.random(sessions) * np.log(queries)).astype(np.int64)
    size = np.full(sessions, 10) if fixed else rng.binomial(7, 0.457, sessions) + 5
    page = np.repeat(np.arange(sessions), size)
    position = np.arange(len(page)) - np.repeat(np.cumsum(size) - size, size) + 1
    # A page turns the order of its query's documents by a step; 5 and 14 have no common divisor.
    turn = rng.integers(0, 3, sessions)
    document = query[page] * 3 + (position * 5 + turn[page]) % 14
    click = rng.random(len(page)) < CLICK[position - 1]
    return Shown(query, size, page, position, document, click.astype(np.int8))


def mixed(number: Any, seed: int) -> Any:
    """SplitMix64 of whole numbers: uint64."""
    x = number.astype(np.uint64) + np.uint64(seed * 0x9E3779B97F4A7C15 % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    return x ^ (x >> np.uint64(31))


class Texts:
    """Pools of token text; a number picks one of each."""

    def __init__(self, *, size: int = 100_000, separator: str = "\x01") -> None:
        rng = np.random.default_rng(0)
        self.pools = {
            name: _phrases(rng, size=size, tokens=tokens, separator=separator)
            for name, tokens in (("query", 5), ("title", 14), ("abstract", 50))
        }

    def of(self, name: str, number: Any) -> pl.Series:
        """The texts of numbers."""
        pool = self.pools[name]
        return pool.gather(mixed(number, len(name)) % np.uint64(len(pool)))


def _phrases(rng: np.random.Generator, *, size: int, tokens: int, separator: str) -> pl.Series:
    length = rng.integers(tokens // 2 + 1, tokens + tokens // 2, size)
    token = np.exp(rng.random(length.sum()) * np.log(60_000)).astype(np.int64)
    flat = pl.DataFrame({"phrase": np.repeat(np.arange(size), length), "token": token})
    return (
        flat.group_by("phrase", maintain_order=True)
        .agg(pl.col("token").cast(pl.String).str.join(separator))
        .to_series(1)
    )


def digests(number: Any) -> pl.Series:
    """32 hexadecimal digits for each number."""
    pair = np.stack([mixed(number, 1), mixed(number, 2)], 1)
    text = pair.tobytes().hex().encode()
    return pl.Series(np.frombuffer(text, "S32").astype("U32"))


def baidu_lines(rng: np.random.Generator, shown: Shown, *, texts: Texts) -> pl.Series:
    """Header lines and document lines, in the order of the file."""
    n, clicked = len(shown.page), shown.click > 0

    def seen(values: Any) -> pl.Series:
        return pl.Series(np.where(clicked | (shown.position < 5), values.astype("U6"), "-"))

    def count(most: int) -> pl.Series:
        return seen(rng.integers(0, most, n))

    def seconds(scale: float) -> pl.Series:
        return seen(np.round(rng.exponential(scale, n)).astype(np.int64))

    gap = pl.repeat("-", n, eager=True)
    dwell = np.where(clicked, rng.integers(1, 400, n).astype("U6"), "-")
    bit, click = pl.Series(shown.click), pl.Series(shown.click)
    height = pl.Series(rng.integers(60, 420, n))
    top = pl.Series(shown.position * 190)
    document = [
        pl.Series(shown.position), digests(shown.document),
        texts.of("title", shown.document), texts.of("abstract", shown.document + 1),
        pl.Series(rng.integers(1, 60, n)), click, gap, gap, seen(1 - shown.click), height,
        seconds(6), seconds(3), bit, count(4), pl.Series(rng.integers(400, 4000, n)), count(2),
        pl.Series(dwell), seconds(2), top, count(3), count(3), count(3), gap, bit, seconds(2), bit,
        gap, gap, bit, count(2), count(3), gap,
    ]  # fmt: skip
    number = np.cumsum(shown.size) - shown.size
    header = [
        pl.Series(mixed(shown.query, 9) % np.uint64(10**9)),
        texts.of("query", shown.query),
        pl.repeat("-", len(shown.query), eager=True),
    ]
    lines = pl.concat(
        [
            _joined(header).with_columns(order=number - 0.5),
            _joined(document).with_columns(order=np.arange(n).astype(np.float64)),
        ]
    )
    return lines.sort("order")["line"]


def _joined(columns: list[pl.Series]) -> pl.DataFrame:
    frame = pl.DataFrame({str(i): c for i, c in enumerate(columns)})
    return frame.select(line=pl.concat_str(pl.all().cast(pl.String), separator="\t"))


def yandex_lines(shown: Shown, *, first: int) -> pl.Series:
    """Pages of ten urls, each its own session, and their clicks."""
    session, url = np.arange(first, first + len(shown.query)), pl.Series(shown.document)
    clicked = np.flatnonzero(shown.click)
    page = [pl.Series(session), pl.Series(session * 20), "Q", pl.Series(shown.query), 0]
    page += [url.gather(np.arange(i, len(url), 10)) for i in range(10)]
    of = shown.page[clicked]
    click = [session[of], session[of] * 20 + shown.position[clicked], "C", url.gather(clicked)]
    lines = pl.concat(
        [_fields(page).with_columns(time=pl.Series(session * 20)),
         _fields(click).with_columns(time=pl.Series(click[1]))]
    )  # fmt: skip
    return lines.sort("time")["line"]


def _fields(columns: list[Any]) -> pl.DataFrame:
    parts = [pl.lit(str(c)) if isinstance(c, str | int) else pl.lit(pl.Series(c)) for c in columns]
    return pl.select(line=pl.concat_str([p.cast(pl.String) for p in parts], separator="\t"))


def ubi_lines(shown: Shown, *, first: int) -> tuple[pl.Series, pl.Series]:
    """Queries; and events, an impression per result and the clicks, as one JSON object a line."""
    number, of = np.arange(first, first + len(shown.query)), shown.page
    hits = pl.DataFrame({"page": of, "hit": pl.Series(shown.document).cast(pl.String)})
    listed = hits.group_by("page", maintain_order=True).agg(pl.col("hit").str.join('", "'))["hit"]
    query = _json(
        '{"query_id": "q~", "client_id": "c~", "user_query": "words ~", "timestamp": "~", '
        '"application": "bench", "query_response_hit_ids": ["~"]}',
        [number, number // 3, shown.query, _times(number * 1000), listed],
    )
    clicked = np.flatnonzero(shown.click)
    row = np.concatenate([np.arange(len(of)), clicked])
    is_click = np.arange(len(row)) >= len(of)
    at = number[of[row]] * 1000 + np.where(is_click, shown.position[row] * 50, 0)
    event = _json(
        '{"action_name": "~", "timestamp": "~", "query_id": "q~", "session_id": "s~", '
        '"client_id": "c~", "message_type": "INFO", "event_attributes": '
        '{"object": {"object_id": "~", "object_id_field": "id"}, "position": {"ordinal": ~}}}',
        [np.where(is_click, "click", "impression"), _times(at), number[of[row]],
         number[of[row]] // 3, number[of[row]] // 3, shown.document[row], shown.position[row]],
    )  # fmt: skip
    return query, event.gather(np.argsort(at, kind="stable"))


def _times(milliseconds: Any) -> pl.Series:
    start = np.datetime64("2026-01-01T00:00:00.000")
    moment = pl.Series(start + milliseconds.astype("timedelta64[ms]"))
    return moment.dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")


def _json(form: str, values: list[Any]) -> pl.Series:
    """Put values where `~` stands."""
    constant, *parts = form.split("~")
    columns = [pl.lit(constant)]
    for value, part in zip(values, parts, strict=True):
        columns += [pl.lit(pl.Series(value)).cast(pl.String), pl.lit(part)]
    return pl.select(line=pl.concat_str(columns))["line"]


def write_lines(file: IO[bytes], lines: pl.Series) -> None:
    """Append lines as they are."""
    lines.to_frame().write_csv(file, include_header=False, quote_style="never")


@contextlib.contextmanager
def gzipped(path: Path, *, level: int) -> Iterator[IO[bytes]]:
    """A file that the system's gzip compresses in a process beside this one."""
    with (
        path.open("wb") as out,
        subprocess.Popen(["gzip", f"-{level}"], stdin=subprocess.PIPE, stdout=out) as zipper,
    ):
        assert zipper.stdin is not None
        yield zipper.stdin
        zipper.stdin.close()


def steps(sessions: int) -> Iterator[tuple[int, int]]:
    """(first, count) of the blocks that make up so many sessions."""
    for first in range(0, sessions, BLOCK):
        yield first, min(BLOCK, sessions - first)


def write_baidu(folder: Path, *, sessions: int, parts: int, level: int) -> None:
    """A log in gzip'd parts; those after the first `DISTINCT_PARTS` are links to these."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, texts = np.random.default_rng(0), Texts()
    for part in range(parts):
        path = folder / f"part-{part:05d}.gz"
        if part >= DISTINCT_PARTS:
            path.hardlink_to(folder / f"part-{part % DISTINCT_PARTS:05d}.gz")
            continue
        size = sessions * (part + 1) // parts - sessions * part // parts
        with gzipped(path, level=level) as file:
            for _, count in steps(size):
                shown = pages(rng, sessions=count, queries=4 * sessions)
                write_lines(file, baidu_lines(rng, shown, texts=texts))


def write_yandex(path: Path, *, sessions: int) -> None:
    """A plain log of pages of ten."""
    rng = np.random.default_rng(1)
    with path.open("wb") as file:
        for first, count in steps(sessions):
            shown = pages(rng, sessions=count, queries=4 * sessions, fixed=True)
            write_lines(file, yandex_lines(shown, first=first))


def write_ubi(folder: Path, *, sessions: int) -> None:
    """Queries and events, plain."""
    folder.mkdir(parents=True, exist_ok=True)
    rng, paths = np.random.default_rng(2), [folder / "queries.ndjson", folder / "events.ndjson"]
    with paths[0].open("wb") as queries, paths[1].open("wb") as events:
        for first, count in steps(sessions):
            shown = pages(rng, sessions=count, queries=4 * sessions)
            for file, lines in zip((queries, events), ubi_lines(shown, first=first), strict=True):
                write_lines(file, lines)
