"""What a training reads of a lake's lists, and what it holds out."""

from __future__ import annotations

import dataclasses

import numpy as np

from ultr.data import Lists
from ultr.errors import DataError
from ultr.model import RankerSpec


def split_lists(data: Lists, spec: RankerSpec, *, merge: bool = True) -> tuple[Lists, Lists, str]:
    """Training lists, held-out lists, and by what they were split.

    Args:
        data: the lists.
        spec: says whether the ranker reads features.
        merge: lists that differ only in the split of their sessions become one.
    """
    if spec.reads == "features" and data.transform is None:
        raise DataError(
            "a ranker on features needs features",
            got="a lake without any",
            hint="add them with ultr features --from FILE and run ultr lists again, "
            "or train with --ranker table",
        )
    # Lists without clicks contribute nothing to any of these objectives.
    clicked = data.select(data.clicks.sum(axis=1) > 0)
    if not clicked.n_lists:
        raise DataError(
            "training needs clicks",
            got=f"{data.n_lists:,} lists without a click",
            hint="check the click column of the mapping, or ingest more of the log",
        )
    if (clicked.where.sum(axis=1) < 2).all():
        raise DataError(
            "training needs pages with more than one position: it compares documents of a page",
            got=f"{clicked.n_lists:,} lists of one document each",
            hint="check the position column of the mapping, and that pages are not cut into rows",
        )
    by = "query" if spec.reads == "features" else "session"
    training, held_out = clicked.split("train", by=by), clicked.split("validation", by=by)
    if by == "query" and not (training.n_lists and held_out.n_lists):
        # A log of a few queries: held-out sessions of known queries are better than nothing.
        by = "session"
        training, held_out = clicked.split("train", by=by), clicked.split("validation", by=by)
    if not (training.n_lists and held_out.n_lists):
        raise DataError(
            "training needs clicked sessions in the training and in the validation split",
            got=f"{training.n_lists} and {held_out.n_lists} lists",
            hint="ingest more of the log",
        )
    if by == "query" and merge:
        training, held_out = _whole_queries(training), _whole_queries(held_out)
    return training, held_out, by


def _whole_queries(data: Lists) -> Lists:
    """Lists that differ only in the split of their sessions become one."""
    unsplit = np.zeros_like(data.session_split)
    return dataclasses.replace(data, session_split=unsplit).merge_clicks()
