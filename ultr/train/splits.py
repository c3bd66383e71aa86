"""What a training reads of a lake's lists, and what it holds out."""

from __future__ import annotations

from ultr.data import Lists
from ultr.errors import DataError
from ultr.model import RankerSpec
from ultr.train.lake_lists import LakeLists
from ultr.train.part import Part, select_part

TrainingSet = Lists | Part
"""Lists in memory, or a part of a lake's."""


def split_lists(
    data: Lists | LakeLists, spec: RankerSpec, *, merge: bool = True
) -> tuple[TrainingSet, TrainingSet, str]:
    """Training lists, held-out lists, and by what they were split.

    Lists without clicks contribute nothing to any of these objectives and are left out.

    Args:
        data: the lists.
        spec: says whether the ranker reads features.
        merge: lists in memory that differ only in the split of their sessions become one.

    Raises:
        DataError: a ranker on features without any, no clicks to learn from or to hold out, or
            pages of one document each.
    """
    if spec.reads == "features" and data.transform is None:
        raise DataError(
            "a ranker on features needs features",
            got="a lake without any",
            hint="add them with ultr features --from FILE and run ultr lists again, "
            "or train with --ranker table",
        )
    by = "query" if spec.reads == "features" else "session"
    training, held_out = _parts(data, by, merge=merge)
    if by == "query" and not (training.n_lists and held_out.n_lists):
        # A log of a few queries: held-out sessions of known queries are better than nothing.
        by = "session"
        training, held_out = _parts(data, by, merge=merge)
    if not (training.n_lists and held_out.n_lists):
        _check_clicks(data)
        raise DataError(
            "training needs clicked sessions in the training and in the validation split",
            got=f"{training.n_lists} and {held_out.n_lists} lists",
            hint="ingest more of the log",
        )
    if max(training.longest, held_out.longest) < 2:
        raise DataError(
            "training needs pages with more than one position: it compares documents of a page",
            got=f"{training.n_lists + held_out.n_lists:,} lists of one document each",
            hint="check the position column of the mapping, and that pages are not cut into rows",
        )
    return training, held_out, by


def _parts(data: Lists | LakeLists, by: str, *, merge: bool) -> tuple[TrainingSet, TrainingSet]:
    if isinstance(data, LakeLists):
        return data.parts(by)
    training, held_out = (
        select_part(data, name, by=by, merge=merge) for name in ("train", "validation")
    )
    return training, held_out


def _check_clicks(data: Lists | LakeLists) -> None:
    if data.n_clicked:
        return
    raise DataError(
        "training needs clicks",
        got=f"{data.n_lists:,} lists without a click",
        hint="check the click column of the mapping, or ingest more of the log",
    )
