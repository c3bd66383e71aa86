"""Batches for a training loop of one's own: NumPy arrays of one shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ultr.data.batches import batch_shape, epoch_plans
from ultr.data.lists import Bools, Floats, Ints, Lists


class ListBatch(NamedTuple):
    """Whole queries: D documents, each once, and L lists of up to K of them.

    Attributes:
        inputs: `[D, F]` transformed features.
        query: `[D]` number of each document's query, −1 where padded.
        where_document: `[D]` whether there is a document.
        document: `[L, K]` place of each shown document among the D, 0 where masked.
        position: `[L, K]` rank from 1, 0 where masked.
        where: `[L, K]` whether there is a document.
        clicks: `[L, K]` clicks, summed over equal lists.
        context: `[L, K, C]` levels of the bias columns.
    """

    inputs: Floats
    query: Ints
    where_document: Bools
    document: Ints
    position: Ints
    where: Bools
    clicks: Floats
    context: Ints


def batches(
    data: Lists, *, documents: int = 1024, seed: int = 0, epoch: int = 1
) -> Iterator[ListBatch]:
    """The batches of one epoch, a function of `(seed, epoch)` alone; all of one shape.

    Whole queries differ in size, so divide a batch's sums by what is usual rather than by its own
    if sessions are to count alike.

    Args:
        data: the lists.
        documents: of a batch, about.
        seed: of the order of queries.
        epoch: its number.

    Example:
        >>> for batch in ultr.data.batches(data, documents=256):  # doctest: +SKIP
        ...     scores = ranker(batch.inputs, batch.query, batch.where_document)[batch.document]
    """
    shape = batch_shape(data, documents=documents, batches=1)
    inputs = _padded(data.inputs())
    query = _padded(data.doc_query, empty=-1)
    document, position, where, clicks, context = (
        _padded(v) for v in (data.document, data.position, data.where, data.clicks, data.context)
    )
    for plan in epoch_plans(data, shape, seed=seed, epoch=epoch):
        rows, lists, shift = plan.document[0], plan.list[0], plan.shift[0]
        is_there = where[lists]
        yield ListBatch(
            inputs=inputs[rows],
            query=query[rows],
            where_document=query[rows] >= 0,
            document=np.where(is_there, document[lists] + shift[:, None], 0),
            position=np.where(is_there, position[lists], 0),
            where=is_there,
            clicks=np.where(is_there, clicks[lists], np.float32(0)),
            context=context[lists],
        )


def _padded(values: np.ndarray[Any, Any], *, empty: int = 0) -> np.ndarray[Any, Any]:
    return np.concatenate([values, np.full((1, *values.shape[1:]), empty, values.dtype)])
