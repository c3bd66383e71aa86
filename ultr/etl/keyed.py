"""Files about (query, document) pairs that a user brings: features and judgments."""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from ultr.errors import DataError
from ultr.etl.ids import lake_rule, to_id
from ultr.letor import read_ultra
from ultr.letor.ultra import is_ultra
from ultr.parquet import iter_batches, open_parquet

KEY_COLUMNS = ("query_id", "doc_id", "query", "region", "url")
"""Columns that may make up a pair's keys; every other column is data."""

_BLOCK = 1 << 16
_SEPARATORS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_KINDS = (".parquet", *_SEPARATORS)
_COMPRESSED = (".gz", ".zst")
_CONVERTING = pc.ConvertOptions(
    # A key like 007 is text, whatever it looks like.
    column_types=dict.fromkeys(KEY_COLUMNS, pa.string()),
    null_values=[""],
    strings_can_be_null=True,
)


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
                with open_parquet(self.path) as file:
                    for batch in iter_batches(file, _BLOCK):
                        yield pl.DataFrame(pl.from_arrow(batch))
            else:
                frame = _read_text(self.path)
                _check_one_header(frame, self.path)
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
        columns = tuple(pq.read_schema(path).names) if _kind(path) == ".parquet" else _header(path)
    _check_distinct(columns, path)
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


def _header(path: Path) -> tuple[str, ...]:
    with pa.input_stream(str(path), compression="detect") as stream:
        reader = pc.open_csv(stream, parse_options=_parsing(path), convert_options=_CONVERTING)
        return tuple(reader.schema.names)


def _read_text(path: Path) -> pl.DataFrame:
    # Arrow refuses a row with too few or too many cells; Polars would fill it with nulls.
    with pa.input_stream(str(path), compression="detect") as stream:
        table = pc.read_csv(stream, parse_options=_parsing(path), convert_options=_CONVERTING)
    return pl.DataFrame(pl.from_arrow(table))


def _parsing(path: Path) -> pc.ParseOptions:
    return pc.ParseOptions(delimiter=_SEPARATORS[_kind(path)], newlines_in_values=True)


def _check_distinct(columns: Sequence[str], path: Path) -> None:
    repeated = sorted({c for c in columns if columns.count(c) > 1})
    if repeated:
        raise DataError(
            "every column of a file has its own name",
            got=f"{path} has {', '.join(repeated)} more than once",
            hint="rename or drop the columns",
        )


def _check_one_header(frame: pl.DataFrame, path: Path) -> None:
    keys = [c for c in frame.columns if c in KEY_COLUMNS]
    is_header = frame.select(pl.all_horizontal(pl.col(c) == c for c in keys)).to_series()
    if is_header.any():
        row = int(is_header.arg_true()[0])
        raise DataError(
            "a file has one header, its first line",
            got=f"{path}: again in row {row + 1:,} below it",
            hint="take the others out: they are where files were joined",
        )


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
