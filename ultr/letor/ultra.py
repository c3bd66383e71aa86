"""ULTRA's data folders: features by line, initial lists of line numbers, labels of those lists.

`settings.json` gives `feature_size` and, if need be, `removed_feature_ids`. Each split is a folder
(or stands in the folder itself) with `x.feature` (`docid fid:value …`), `x.init_list`
(`qid line line …`, lines of `x.feature` from 0 in the order of display, -1 for padding) and
`x.labels` (`qid label label …`, in the order of the list).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ultr.errors import DataError
from ultr.letor import svmlight
from ultr.letor.read import Letor

SETTINGS = "settings.json"
LISTS, LABELS, FEATURES = ".init_list", ".labels", ".feature"


@dataclass(frozen=True)
class _Split:
    """One split: a query's rows stand side by side, in the order of its list.

    Args:
        row: [N] lines of the feature file, from 0.
        qid: [N] the query's key.
        grade: [N].
    """

    row: npt.NDArray[np.int64]
    qid: list[str]
    grade: npt.NDArray[np.int16]


def is_ultra(folder: Path) -> bool:
    """Whether a folder looks like one of ULTRA's."""
    return (folder / SETTINGS).is_file() and bool(_found(folder))


def list_files(folder: Path) -> list[Path]:
    """The `.init_list` file of each split.

    Raises:
        DataError: no settings, or no lists.
    """
    if not is_ultra(folder):
        raise DataError(
            f"a folder of ULTRA has {SETTINGS} and a {LISTS} file for each split",
            got=f"{folder} has not",
            hint="name the folder that holds train/train.init_list and its settings",
        )
    return _found(folder)


def _found(folder: Path) -> list[Path]:
    return sorted([*folder.glob(f"*{LISTS}"), *folder.glob(f"*/*{LISTS}")])


def beside(lists: Path, ending: str) -> Path:
    """The file of the same split with another ending.

    Raises:
        DataError: there is none.
    """
    path = lists.with_suffix(ending)
    if not path.is_file():
        raise DataError(
            f"beside {lists.name} stands its {ending} file",
            got=f"no {path}",
            hint="copy all files of the split",
        )
    return path


def document_keys(path: Path) -> list[str]:
    """The first word of each line of a `.feature` file.

    Raises:
        DataError: not UTF-8, or unreadable.
    """
    return [line.split(None, 1)[0] if line.strip() else "" for line in _lines(path)]


def read_ultra(folder: Path) -> Letor:
    """Features and grades of the documents in the lists, all splits together.

    Raises:
        DataError: a missing file, a line that is not in the format, labels that do not fit their
            list, a grade that is no whole number, or a query in two splits.
    """
    size, removed = _settings(folder)
    parts = [_read_split(path, size=size) for path in list_files(folder)]
    qid = np.concatenate([p.qid for p in parts])
    _check_queries(parts, folder)
    features = np.concatenate([p.features for p in parts])
    return Letor(
        features=np.delete(features, removed, axis=1),
        grade=np.concatenate([p.grade for p in parts]),
        qid=qid,
        doc=np.concatenate([p.doc for p in parts]),
    )


def _read_split(lists: Path, *, size: int) -> Letor:
    path = beside(lists, FEATURES)
    docs, features = document_keys(path), _features(path, size=size)
    split = _judged(lists, beside(lists, LABELS), documents=len(docs))
    return Letor(
        features=features[split.row],
        grade=split.grade,
        qid=np.array(split.qid, np.str_),
        doc=np.array(docs, np.str_)[split.row],
    )


def _features(path: Path, *, size: int) -> npt.NDArray[np.float32]:
    """[lines, size]; ids beyond `size` are left out, as ULTRA leaves them."""
    # SVMlight's parser wants a grade where these lines have a document.
    rows = [b"0" + line[len(line.split(None, 1)[0]) :] if line.strip() else b"0"
            for line in _bytes(path).removesuffix(b"\n").split(b"\n")]  # fmt: skip
    found = svmlight.parse(b"\n".join(rows) + b"\n", first_line=1, path=path).features[:, :size]
    return np.pad(found, ((0, 0), (0, size - found.shape[1])))


def _judged(lists: Path, labels: Path, *, documents: int) -> _Split:
    rows: list[int] = []
    qids: list[str] = []
    grades: list[float] = []
    shown, graded = _lines(lists), _lines(labels)
    if len(shown) != len(graded):
        raise DataError(
            "each list has its line of labels",
            got=f"{len(shown):,} lines in {lists}, {len(graded):,} in {labels}",
            hint="take both files from one preparation",
        )
    for number, (one, other) in enumerate(zip(shown, graded, strict=True), start=1):
        (qid, *line), (same, *grade) = _words(one, lists, number), _words(other, labels, number)
        try:
            line_numbers = [int(x) for x in line if x != "-1"]
            values = [float(x) for x in grade[: len(line_numbers)]]
        except ValueError as error:
            raise _odd(lists, number, str(error)) from error
        if qid != same or len(values) != len(line_numbers):
            raise _odd(lists, number, "labels of another query, or too few of them")
        if any(not 0 <= n < documents for n in line_numbers):
            raise _odd(lists, number, f"a document outside of 0 to {documents - 1}")
        rows += line_numbers
        qids += [qid] * len(line_numbers)
        grades += values
    whole = np.array(grades)
    if len(whole) and not ((whole == np.floor(whole)) & (whole >= 0) & (whole <= 30)).all():
        raise DataError(
            "a grade is a whole number from 0",
            got=f"{labels} has others",
            hint="if the labels are clicks: ultr ingest DIR --format ultra --labels clicks",
        )
    return _Split(np.array(rows, np.int64), qids, whole.astype(np.int16))


def _words(line: str, path: Path, number: int) -> list[str]:
    words = line.split()
    if not words:
        raise _odd(path, number, "a blank line")
    return words


def _odd(path: Path, number: int, got: str) -> DataError:
    return DataError(
        "a line of an initial list is `qid line line …`, and its labels are `qid label label …`",
        got=f"{path}, line {number}: {got}",
        hint="correct the line; lines of the feature file are counted from 0",
    )


def _check_queries(parts: list[Letor], folder: Path) -> None:
    own = [np.unique(p.qid) for p in parts]
    found, count = np.unique(np.concatenate(own), return_counts=True)
    if (count > 1).any():
        raise DataError(
            "a query stands in one split",
            got=f"{folder}: query {found[count > 1][0]} in several",
            hint="give queries of different splits different ids",
        )


def _settings(folder: Path) -> tuple[int, list[int]]:
    """The number of features of a line, and columns that are left out, from 0."""
    try:
        settings = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
        size = int(settings["feature_size"])
        removed = sorted({int(i) - 1 for i in settings.get("removed_feature_ids", ())})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise DataError(
            f"{SETTINGS} gives the feature_size",
            got=f"{folder / SETTINGS}: {error!r}",
            hint='for example {"feature_size": 136, "max_label": 4}',
        ) from error
    if not 1 <= size <= svmlight.MAX_FEATURE:
        raise DataError(
            f"feature_size is from 1 to {svmlight.MAX_FEATURE:,}",
            got=str(size),
            hint=f"correct {SETTINGS}",
        )
    return size, [i for i in removed if 0 <= i < size]


def _lines(path: Path) -> list[str]:
    try:
        text = _bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
            "ULTRA's files are UTF-8 text", got=f"{path}: {error}", hint="check the file"
        ) from error
    return text.removesuffix("\n").split("\n") if text else []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(
            "ULTRA's files must be readable", got=f"{path}: {error.strerror}", hint="check the path"
        ) from error
