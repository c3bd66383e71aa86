"""`grade qid:q fid:value … # comment`, LETOR's lines, to arrays.

Feature ids count from 1 and may be sparse; a missing feature is 0. Rows are grouped by query, and
their order is no ranking. Files without `qid` take the sizes of their queries from a side file
(`.query` or `.group`, as LightGBM has it).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ultr.errors import DataError
from ultr.letor import svmlight
from ultr.letor.keys import Strings, document_keys, offsets_of, query_keys

_BLOCK_BYTES = 32 << 20


@dataclass(frozen=True)
class Letor:
    """Judged documents with features, the rows of a query side by side.

    Args:
        features: [N, F] raw values.
        grade: [N] relevance grades, 0 is irrelevant.
        qid: [N] the query's key.
        doc: [N] the document's key, once per query: the comment's docid where it has one, else
            the query's key and the row within the query from 1, `17-3`.
    """

    features: npt.NDArray[np.float32]
    grade: npt.NDArray[np.int16]
    qid: Strings
    doc: Strings

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """[Q + 1] the row where each query begins, and N."""
        return offsets_of(self.qid)


def read_letor(
    path: str | Path, *, query_file: Path | None = None, n_features: int | None = None
) -> Letor:
    r"""Read one file.

    Args:
        path: the file.
        query_file: sizes of the queries, one a line, for a file without `qid`; without it
            `x.txt.query`, `x.query`, `x.txt.group` and `x.group` are tried for `x.txt`.
        n_features: F, where the file itself may end before it; default: its highest feature id.

    Raises:
        DataError: a file that is missing, empty or not in this format; the line is named.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "tiny.txt"
        >>> _ = path.write_text("2 qid:7 1:0.5 3:1 # docid = a\n0 qid:7 2:-1\n")
        >>> tiny = read_letor(path)
        >>> tiny.features.tolist(), tiny.grade.tolist(), tiny.doc.tolist()
        ([[0.5, 0.0, 1.0], [0.0, -1.0, 0.0]], [2, 0], ['a', '7-2'])
    """
    return _read(Path(path), query_file=query_file, n_features=n_features, first_group=1)


def read_letor_files(paths: Sequence[str | Path], *, n_features: int | None = None) -> Letor:
    """Read several files as one set with as many features as the widest.

    Queries of files without `qid` are numbered on from file to file.

    Args:
        paths: the files.
        n_features: as of `read_letor`.

    Raises:
        DataError: as `read_letor`, or a query that stands in two files.
    """
    if not paths:
        raise DataError("at least one LETOR file is needed", got="none", hint="name the files")
    parts: list[Letor] = []
    first_group = 1
    for path in map(Path, paths):
        part = _read(path, query_file=None, n_features=None, first_group=first_group)
        first_group += len(part.offsets) - 1
        parts.append(part)
    width = _width(max(p.features.shape[1] for p in parts), wanted=n_features, path=Path(paths[0]))
    _check_disjoint(parts, paths=paths)
    return Letor(
        features=np.concatenate([_widened(p.features, width) for p in parts]),
        grade=np.concatenate([p.grade for p in parts]),
        qid=np.concatenate([p.qid for p in parts]),
        doc=np.concatenate([p.doc for p in parts]),
    )


def _check_disjoint(parts: list[Letor], *, paths: Sequence[str | Path]) -> None:
    queries, count = np.unique(
        np.concatenate([p.qid[p.offsets[:-1]] for p in parts]), return_counts=True
    )
    if (count > 1).any():
        raise DataError(
            "a query stands in one file",
            got=f"qid {queries[np.argmax(count > 1)]} in two of {', '.join(map(str, paths))}",
            hint="give each file once, and queries of different sources different qids",
        )


def _read(
    path: Path, *, query_file: Path | None, n_features: int | None, first_group: int
) -> Letor:
    blocks = [svmlight.parse(data, first_line=at, path=path) for data, at in _blocks(path)]
    line = np.concatenate([np.zeros(0, np.int64), *(b.line for b in blocks)])
    if not len(line):
        raise DataError(
            "a LETOR file has a judged document on each line",
            got=f"{path} has none",
            hint="check the path",
        )
    width = _width(max(b.features.shape[1] for b in blocks), wanted=n_features, path=path)
    qid = query_keys(
        [q for b in blocks for q in b.qid],
        line=line,
        path=path,
        query_file=query_file,
        first_group=first_group,
    )
    return Letor(
        features=np.concatenate([_widened(b.features, width) for b in blocks]),
        grade=np.concatenate([b.grade for b in blocks]),
        qid=qid,
        doc=document_keys([c for b in blocks for c in b.comment], qid=qid, line=line, path=path),
    )


def _blocks(path: Path) -> Iterator[tuple[bytes, int]]:
    """Pieces of the file that end with a line, and the number of their first line."""
    at, rest = 1, b""
    try:
        with path.open("rb") as file:
            while data := file.read(_BLOCK_BYTES):
                data = rest + data
                end = data.rfind(b"\n") + 1
                if end:
                    yield data[:end], at
                    at += data.count(b"\n", 0, end)
                rest = data[end:]
    except OSError as error:
        raise DataError(
            "a LETOR file must be readable", got=f"{path}: {error.strerror}", hint="check the path"
        ) from error
    if rest:
        yield rest, at


def _width(found: int, *, wanted: int | None, path: Path) -> int:
    if wanted is not None and found > wanted:
        raise DataError(
            f"the documents have {wanted} features",
            got=f"{path} has a feature with id {found}",
            hint="give a file with the features that the ranker was trained on",
        )
    return found if wanted is None else wanted


def _widened(features: npt.NDArray[np.float32], width: int) -> npt.NDArray[np.float32]:
    missing = width - features.shape[1]
    return np.pad(features, ((0, 0), (0, missing))) if missing else features
