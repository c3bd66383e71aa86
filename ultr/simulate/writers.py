"""Raw logs in real formats, a chunk of sessions at a time."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ultr.simulate.judged import JudgedSet
from ultr.simulate.sessions import Pages
from ultr.simulate.text_log import TextLog
from ultr.simulate.ubi_writer import UbiWriter

REGION = "0"
CLICK_MS = 1000
"""A click on position k comes k seconds after its page, and the next page after all clicks."""

MAPPING = """\
# Column mapping for `ultr ingest log.parquet --format table --mapping mapping.toml`.
layout = "page"

[columns]
query = "query_id"
session = "session_id"
document = "doc_id"
position = "position"
click = "click"
"""


class Writer(Protocol):
    """A log that is being written; a context manager."""

    def __enter__(self) -> Self:
        """Open."""
        ...

    def __exit__(self, *error: object) -> None:
        """Close."""
        ...

    def write(self, pages: Pages) -> None:
        """Append sessions."""
        ...


class YandexWriter(TextLog):
    """`log.tsv`: `session, time, Q, query, region, url × K` and `session, time, C, url`.

    Pages with fewer documents are padded with empty columns; each page is its own session.

    Args:
        folder: where the log goes.
        judged: whose keys are written.
    """

    def __init__(self, folder: Path, *, judged: JudgedSet) -> None:
        import polars as pl  # noqa: PLC0415

        super().__init__(folder, judged=judged)
        # Row −1 is the last: padding.
        self._url = pl.concat([self._doc, pl.Series([""])])

    def write(self, pages: Pages) -> None:
        """Append sessions: each page, then its clicks by position."""
        import polars as pl  # noqa: PLC0415

        k = pages.row.shape[1]
        row = np.where(pages.row < 0, len(self._url) - 1, pages.row)
        number = np.arange(pages.first, pages.first + len(row))
        session, position = np.nonzero(pages.click)
        # A clock of ticks: 0 the page, 1..K its clicks, then the next session.
        page = pl.DataFrame({"session": number, "tick": number * (k + 1)}).with_columns(
            pl.lit("Q").alias("kind"),
            self._query.gather(pages.query).alias("query"),
            pl.lit(REGION).alias("region"),
            *(self._url.gather(row[:, i]).alias(f"url{i}") for i in range(k)),
        )
        click = pl.DataFrame(
            {
                "session": number[session],
                "tick": number[session] * (k + 1) + position + 1,
                "kind": pl.repeat("C", len(session), eager=True),
                "url": self._url.gather(row[session, position]),
            }
        )
        lines = pl.concat([_lines(page), _lines(click)]).sort("tick").select("line")
        lines.write_csv(self._file, include_header=False, quote_style="never")


def _lines(frame: Any) -> Any:
    import polars as pl  # noqa: PLC0415

    time = pl.col("tick") * CLICK_MS
    return frame.select(
        "tick", line=pl.concat_str("session", time, pl.nth(range(2, frame.width)), separator="\t")
    )


def url_digests(judged: JudgedSet) -> pa.Array:
    """[N] MD5 of the documents' keys: what Baidu's log has of a url."""
    keys = judged.doc_key.cast(pa.string()).to_pylist()
    return pa.array([md5(key.encode(), usedforsecurity=False).hexdigest() for key in keys])


class BaiduWriter(TextLog):
    """`log.tsv`: a header line per page, and 32 columns per document, `-` where nothing is known.

    The query's tokens are its key; the qid is its number.

    Args:
        folder: where the log goes.
        judged: whose keys are written.
    """

    def __init__(self, folder: Path, *, judged: JudgedSet) -> None:
        import polars as pl  # noqa: PLC0415

        super().__init__(folder, judged=judged)
        self._url = pl.Series(url_digests(judged))

    def write(self, pages: Pages) -> None:
        """Append sessions."""
        import polars as pl  # noqa: PLC0415

        page, position = np.nonzero(pages.row >= 0)
        header = pl.select(
            page=pl.lit(pl.Series(np.arange(len(pages.query)))),
            position=pl.lit(0, pl.Int64),
            line=pl.concat_str(
                pl.lit(pl.Series(pages.query)).cast(pl.String),
                pl.lit(self._query.gather(pages.query)),
                pl.lit("-"),
                separator="\t",
            ),
        )
        document = pl.select(
            page=pl.lit(pl.Series(page)),
            position=pl.lit(pl.Series(position + 1)),
            line=pl.concat_str(
                pl.lit(pl.Series(position + 1)).cast(pl.String),
                pl.lit(self._url.gather(pages.row[page, position])),
                pl.lit("-\t-\t-"),
                pl.lit(pl.Series(pages.click[page, position])).cast(pl.String),
                pl.lit("\t".join(["-"] * 26)),
                separator="\t",
            ),
        )
        lines = pl.concat([header, document]).sort("page", "position").select("line")
        lines.write_csv(self._file, include_header=False, quote_style="never")


class TableWriter:
    """`log.parquet`, one row per page with lists by position, and its `mapping.toml`.

    Args:
        folder: where the log goes.
        judged: whose keys are written.
    """

    def __init__(self, folder: Path, *, judged: JudgedSet) -> None:
        self._folder, self._judged = folder, judged
        self._schema = pa.schema(
            {
                "query_id": judged.query_key.type,
                "session_id": pa.int64(),
                "doc_id": pa.list_(judged.doc_key.type),
                "position": pa.list_(pa.int16()),
                "click": pa.list_(pa.int8()),
            }
        )
        self._file: Any

    def __enter__(self) -> Self:
        """Open the file."""
        (self._folder / "mapping.toml").write_text(MAPPING, "utf-8")
        self._file = pq.ParquetWriter(
            self._folder / "log.parquet", self._schema, compression="zstd"
        )
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self._file.close()

    def write(self, pages: Pages) -> None:
        """Append sessions as a row group."""
        where = pages.row >= 0
        offsets = pa.array(np.concatenate([[0], np.cumsum(where.sum(1))]), pa.int32())
        position = np.broadcast_to(np.arange(1, where.shape[1] + 1, dtype=np.int16), where.shape)
        flat = (
            pc.take(self._judged.doc_key, pa.array(pages.row[where])),
            pa.array(position[where]),
            pa.array(pages.click[where]),
        )
        number = np.arange(pages.first, pages.first + len(where))
        query = pc.take(self._judged.query_key, pa.array(pages.query))
        lists = [pa.ListArray.from_arrays(offsets, values) for values in flat]
        self._file.write_table(
            pa.Table.from_arrays([query, pa.array(number), *lists], schema=self._schema)
        )


WRITERS: dict[str, Callable[..., Writer]] = {
    "yandex": YandexWriter,
    "baidu": BaiduWriter,
    "table": TableWriter,
    "ubi": UbiWriter,
}
"""Format -> writer of its log."""
