"""Files about (query, document) pairs that a user brings: features and judgments."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ultr.errors import DataError
from ultr.etl.ids import lake_rule, to_id
from ultr.letor import read_ultra
from ultr.letor.ultra import is_ultra

KEY_COLUMNS = ("query_id", "doc_id", "query", "region", "url")
"""Columns that may make up a pair's keys; every other column is data."""

_BLOCK = 1 << 16
_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_KINDS = (".parquet", *_SEPARATORS)
_COMPRESSED = (".gz", ".zst")


@dataclass(frozen=True)
class KeyedFile:
    """A Parquet, CSV or TSV file with keys of queries and documents.

    Args:
        path: the file; CSV and TSV may be gzip'd or zstd'd and have a header.
        columns: its column names.
    """

    path: Path
    columns: tuple[str, ...]

    def blocks(self) -> Iterator[pl.DataFrame]:
        """The rows, some at a time; key columns of text files stay text.

        Raises:
            DataError: the file cannot be read.
        """
        with readable(self.path):
            if _kind(self.path) == ".parquet":
                with pq.ParquetFile(self.path) as file:
                    for batch in file.iter_batches(_BLOCK):
                        yield pl.DataFrame(pl.from_arrow(batch))
            else:
                frame = pl.read_csv(
                    self.path,
                    separator=_SEPARATORS[_kind(self.path)],
                    infer_schema_length=None,
                    # A key like 007 is text, whatever it looks like.
                    schema_overrides={c: pl.String for c in self.columns if c in KEY_COLUMNS},
                )
                yield from frame.iter_slices(_BLOCK)


class UltraFolder(KeyedFile):
    """The features of a folder of ULTRA."""

    def blocks(self) -> Iterator[pl.DataFrame]:
        """`query_id, doc_id, features` of the documents in its lists, some at a time.

        Raises:
            DataError: a missing file, or one that is not in the format.
        """
        letor = read_ultra(self.path)
        for at in range(0, len(letor.qid), _BLOCK):
            part = slice(at, at + _BLOCK)
            keys = {"query_id": letor.qid[part].astype(str), "doc_id": letor.doc[part].astype(str)}
            yield pl.DataFrame(keys).with_columns(
                pl.Series("features", letor.features[part]).arr.to_list()
            )


def open_keyed(path: Path, *, needs: Sequence[str] = ()) -> KeyedFile:
    """Look at a file's columns.

    Args:
        path: the file, or a folder of ULTRA for its features.
        needs: columns it must have besides keys.

    Raises:
        DataError: no such file, an unknown kind, or keys or needed columns are missing.
    """
    if not needs and path.is_dir() and is_ultra(path):
        return UltraFolder(path, ("query_id", "doc_id", "features"))
    if _kind(path) not in _KINDS:
        raise DataError(
            "pairs are read from Parquet, CSV or TSV with a header",
            got=str(path),
            hint=f"name the file …{', …'.join(_KINDS)} (CSV and TSV also with .gz or .zst)",
        )
    with readable(path):
        if _kind(path) == ".parquet":
            columns = tuple(pq.read_schema(path).names)
        else:
            separator = _SEPARATORS[_kind(path)]
            columns = tuple(pl.read_csv(path, separator=separator, n_rows=0).columns)
    has_query = "query_id" in columns or {"query", "region"} <= set(columns)
    has_doc = "doc_id" in columns or "url" in columns
    missing = [] if has_query else ["query_id (or query and region)"]
    missing += [] if has_doc else ["doc_id (or url)"]
    missing += [c for c in needs if c not in columns]
    if missing:
        raise DataError(
            f"{path} must have the columns {', '.join(('query_id', 'doc_id', *needs))}",
            got=f"no {', no '.join(missing)}; it has {', '.join(columns[:20]) or 'none'}",
            hint="rename the file's columns",
        )
    return KeyedFile(path, columns)


def text_keys(frame: pl.DataFrame) -> pl.DataFrame:
    """The keys as in the log: `query_id, doc_id`; Yandex's query is `query:region`."""
    query = pl.col("query_id") if "query_id" in frame.columns else _yandex_query()
    doc = pl.col("doc_id") if "doc_id" in frame.columns else pl.col("url")
    return frame.select(query.alias("query_id"), doc.alias("doc_id"))


def pair_ids(keys: pl.DataFrame, ids: Mapping[str, str], *, path: Path) -> pl.DataFrame:
    """Ids of keys by the lake's rules.

    Args:
        keys: `query_id, doc_id` as in the log.
        ids: the manifest's rules.
        path: the file that they come from, for error messages.

    Returns:
        `query_id, doc_id`, int64.

    Raises:
        DataError: a missing key, or one that does not follow the rule.
    """
    rules = {column: lake_rule(ids, column) for column in ("query", "doc")}
    try:
        found = [
            to_id(keys[f"{column}_id"], rule, column=column).alias(f"{column}_id")
            for column, rule in rules.items()
        ]
    except DataError as error:
        raise DataError(
            error.rule,
            got=f"{path}: {error.got}",
            hint="give every pair the keys that the log has for it",
        ) from error
    except pl.exceptions.InvalidOperationError as error:
        raise DataError(
            "a key is text or a whole number",
            got=f"{path}: {error}",
            hint="give every pair the keys that the log has for it",
        ) from error
    return pl.DataFrame(found)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what readers raise for missing, damaged and wrong files into a DataError."""
    try:
        yield
    except (OSError, EOFError, UnicodeDecodeError, zlib.error, pa.ArrowException) as error:
        raise _unreadable(path, error) from error
    except pl.exceptions.PolarsError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: BaseException) -> DataError:
    first = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return DataError(
        "the file must exist and be what its name says",
        got=f"{path}: {first}",
        hint="check the path, and that the file is complete",
    )


def _kind(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes = suffixes[:-1]
    return suffixes[-1] if suffixes else ""


def _yandex_query() -> pl.Expr:
    # The log has regions as 0 or as 0.0, and so may this file.
    region = pl.col("region").cast(pl.String).str.replace(r"^(\d+)\.0$", "$1")
    return pl.concat_str(pl.col("query").cast(pl.String), region, separator=":")
