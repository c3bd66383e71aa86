"""Which query and which document a row is about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ultr.errors import DataError

SIDE_ENDINGS = (".query", ".group")

_ESCAPED = re.compile("[\udc80-\udcff]")
"""What `surrogateescape` makes of a byte that is not UTF-8."""

_DOCID = re.compile(rb"docid\s*=\s*(\S+)")

Strings = np.ndarray[tuple[int], np.dtype[np.str_]]


def query_keys(
    qid: list[bytes],
    *,
    line: npt.NDArray[np.int64],
    path: Path,
    query_file: Path | None,
    first_group: int,
) -> Strings:
    """[N] the queries' keys, from the lines or from the side file.

    Args:
        qid: [N] as they stand on the lines, empty where there is none.
        line: [N] line numbers, for error messages.
        path: the LETOR file.
        query_file: sizes of the queries; default: looked for beside `path`.
        first_group: number of the first query of a side file.

    Raises:
        DataError: a query that comes again, or no queries, sizes that do not add up, or a key that
            is not UTF-8 text.
    """
    absent = [not q for q in qid]
    if all(absent):
        side = query_file or _side_file(path)
        return _grouped(side, n=len(qid), path=path, first_group=first_group)
    if any(absent):
        raise DataError(
            "all lines of a file have a qid, or none has",
            got=f"{path}, line {line[absent.index(True)]}: no qid",
            hint="write `grade qid:q fid:value …`",
        )
    if query_file is not None:
        raise DataError(
            "the queries come from the lines or from a side file",
            got=f"{path} has qid, and {query_file} was given",
            hint="leave one of them out",
        )
    keys = np.array(_texts(qid, line=line, path=path))
    again = _first_again(keys)
    if again is not None:
        raise DataError(
            "the rows of a query stand side by side",
            got=f"{path}, line {line[again]}: qid {keys[again]} appears again after other queries",
            hint="sort the file by qid",
        )
    return keys


def _side_file(path: Path) -> Path:
    stems = (path, path.with_suffix(""))
    tried = [s.with_name(s.name + ending) for ending in SIDE_ENDINGS for s in stems]
    found = next((t for t in tried if t != path and t.is_file()), None)
    if found is None:
        raise DataError(
            "every document belongs to a query: `qid:` on its line, or a side file of query sizes",
            got=f"{path} has no qid, and beside it is no {' or '.join(t.name for t in tried[::2])}",
            hint="add qid:… to the lines, or a side file with the number of rows of each query",
        )
    return found


def _grouped(side: Path, *, n: int, path: Path, first_group: int) -> Strings:
    try:
        sizes = [int(text) for text in side.read_text("ascii").split()]
    except (OSError, ValueError) as error:
        raise DataError(
            "a side file has the number of rows of a query on each line",
            got=f"{side}: {error}",
            hint="check the file",
        ) from error
    if min(sizes, default=0) < 1 or sum(sizes) != n:
        raise DataError(
            "the sizes of the queries are positive and add up to the rows of the file",
            got=f"{side}: {len(sizes):,} sizes from {min(sizes, default=0):,}, together "
            f"{sum(sizes):,}; {path} has {n:,} rows",
            hint="take the side file that was written with this file",
        )
    groups = np.arange(first_group, first_group + len(sizes))
    return np.repeat(groups, sizes).astype(np.str_)


def document_keys(
    comments: list[bytes], *, qid: Strings, line: npt.NDArray[np.int64], path: Path
) -> Strings:
    """[N] docids from the comments; without one, the query's key and the row within it from 1.

    Raises:
        DataError: a docid that stands twice in a query, or is not UTF-8 text.
    """
    begin = offsets_of(qid)
    within = np.arange(len(qid)) - np.repeat(begin[:-1], np.diff(begin)) + 1
    doc: Any = np.char.add(np.char.add(qid, "-"), within.astype(np.str_))
    found = [_DOCID.search(c) if c else None for c in comments]
    if not any(found):
        return _strings(doc)
    named = _texts([m[1] if m else b"" for m in found], line=line, path=path)
    doc = np.array([name or str(d) for name, d in zip(named, doc, strict=True)])
    order = np.lexsort((doc, np.repeat(np.arange(len(begin) - 1), np.diff(begin))))
    equal = (doc[order[1:]] == doc[order[:-1]]) & (qid[order[1:]] == qid[order[:-1]])
    if equal.any():
        row = order[1:][equal].min()
        raise DataError(
            "a document stands once in its query",
            got=f"{path}, line {line[row]}: docid {doc[row]} again in query {qid[row]}",
            hint="leave one of the rows out",
        )
    return _strings(doc)


def _texts(keys: list[bytes], *, line: npt.NDArray[np.int64], path: Path) -> list[str]:
    """The keys as text; replaced bytes, and NULs that NumPy drops, would make one key of two."""
    texts = [k.decode("utf-8", "surrogateescape") for k in keys]
    wrong = next((i for i, t in enumerate(texts) if "\0" in t or _ESCAPED.search(t)), None)
    if wrong is not None:
        raise DataError(
            "keys of queries and documents are UTF-8 text without NUL",
            got=f"{path}, line {line[wrong]}: {keys[wrong]!r}",
            hint="write the file as UTF-8",
        )
    return texts


def _strings(keys: Any) -> Strings:
    return np.asarray(keys, np.str_)


def offsets_of(qid: Strings) -> npt.NDArray[np.int64]:
    """[Q + 1] the row where each query begins, and N."""
    begins = np.flatnonzero(qid[1:] != qid[:-1]) + 1
    return np.concatenate([[0], begins, [len(qid)]]).astype(np.int64)


def _first_again(qid: Strings) -> int | None:
    """The first row of the first query that was left and comes again."""
    begin = offsets_of(qid)[:-1]
    _, first = np.unique(qid[begin], return_index=True)
    again = np.setdiff1d(np.arange(len(begin)), first)
    return int(begin[again[0]]) if len(again) else None
