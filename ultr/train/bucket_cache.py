"""Buckets as training reads them, on disk: from the second epoch on nothing is decoded again."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.data.load import concatenate

_MOST_OF_DISK = 0.5
"""Share of the free space that may be taken."""

_ARRAYS = tuple(
    f.name
    for f in dataclasses.fields(Lists)
    if f.name not in ("transform", "lake", "by_query", "bias")
)


class _Place(NamedTuple):
    offset: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class BucketCache:
    """Lists by the place of their bucket, their features transformed, in a file without a name.

    The file is gone when the process ends, however it ends. One thread at a time may use it.

    Args:
        folder: on the disk that is to hold it.
    """

    def __init__(self, folder: Path) -> None:
        # Lives as long as this does.
        self._file: Any = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        self._end = 0
        self._is_full = False
        self._places: dict[int, dict[str, _Place]] = {}
        self._others: dict[int, Lists] = {}

    def has(self, place: int) -> bool:
        """Whether a bucket is kept here, or the disk has no room for it."""
        return place in self._places or self._is_full

    def put(self, place: int, lists: Lists) -> None:
        """Keep the lists of a bucket, unless the disk is full."""
        plain = dataclasses.replace(lists, features=lists.inputs(), transform=None, by_query=None)
        arrays = {name: np.ascontiguousarray(getattr(plain, name)) for name in _ARRAYS}
        nothing: dict[str, Any] = {name: values[:0].copy() for name, values in arrays.items()}
        try:
            self._places[place] = {name: self._write(values) for name, values in arrays.items()}
        except OSError:  # it is read from the lake each time
            self._is_full = True
        self._others[place] = dataclasses.replace(plain, **nothing)

    def get(self, places: Sequence[int]) -> Lists | None:
        """The lists of some buckets, joined; None where one is not kept here."""
        if not all(place in self._places for place in places):
            return None
        found = concatenate([self._without_features(place) for place in places])
        # Read into one array: features are most of it, and joining would double them.
        own = [self._places[place]["features"] for place in places]
        features = np.empty((found.n_documents, own[0].shape[1]), own[0].dtype)
        bounds = np.cumsum([0, *(at.shape[0] for at in own)])
        for begin, end, at in zip(bounds[:-1], bounds[1:], own, strict=True):
            self._read(at, features[begin:end])
        return dataclasses.replace(found, features=features)

    def _without_features(self, place: int) -> Lists:
        known = self._places[place]
        arrays: dict[str, Any] = {
            name: self._read(at, np.empty(at.shape, at.dtype))
            for name, at in known.items()
            if name != "features"
        }
        none = np.empty((known["features"].shape[0], 0), known["features"].dtype)
        return dataclasses.replace(self._others[place], features=none, **arrays)

    def close(self) -> None:
        """Give the space back."""
        self._file.close()

    def _write(self, values: NDArray[Any]) -> _Place:
        self._file.seek(self._end)
        self._file.write(values.tobytes())
        place = _Place(self._end, values.dtype, values.shape)
        self._end += values.nbytes
        return place

    def _read(self, at: _Place, into: NDArray[Any]) -> NDArray[Any]:
        self._file.seek(at.offset)
        if into.size:
            self._file.readinto(into)
        return into


def has_room(folder: Path, *, size: int) -> bool:
    """Whether so many bytes may be taken of a disk."""
    return size <= _MOST_OF_DISK * shutil.disk_usage(folder).free
