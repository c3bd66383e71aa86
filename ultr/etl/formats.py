"""Every format of a raw log: its reader, and how its files are found and told apart.

A reader is imported when a log of its format comes: some bring a second of the machine's work.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from ultr.commit import Commit
from ultr.etl.ingest_config import IngestConfig
from ultr.etl.joins import Join
from ultr.etl.sources import find_files, find_lists
from ultr.etl.ubi_join import UbiJoin
from ultr.etl.yandex_join import YandexJoin
from ultr.letor.ultra import FEATURES, LABELS, beside
from ultr.logs.chunk import Chunk
from ultr.logs.mapping import read_mapping

Reader = Callable[[Path], Iterator[Chunk]]

_READERS = {
    "yandex": "ultr.logs.yandex",
    "baidu": "ultr.logs.baidu",
    "ubi": "ultr.logs.ubi",
    "table": "ultr.logs.table",
    "ultra": "ultr.logs.ultra",
}


class Source(NamedTuple):
    """A format: its reader, its files, and what else the rows depend on.

    Attributes:
        read: the reader.
        mapping: a digest of the settings; when it changes, a file is worth reading again.
        find: the files that a call names.
        parts: the files that are read together, for one that was found.
        features: names of the feature values that stand in the log.
    """

    read: Reader
    mapping: str
    find: Callable[[Sequence[Path], Path], list[Path]]
    parts: Callable[[Path], list[Path]]
    features: tuple[str, ...] = ()


def source_of(config: IngestConfig) -> Source:
    """The format of a call."""
    reader = importlib.import_module(_READERS[config.format]).read
    if config.format == "ultra":
        labelled = functools.partial(reader, labels=config.labels)
        return Source(labelled, config.labels, find_lists, _ultra_parts)
    if config.format in ("yandex", "baidu"):
        return Source(reader, "", _find, _alone)
    if config.format == "ubi":
        actions = config.actions()
        digest = hashlib.sha256(repr((actions, config.ordinal_base)).encode()).hexdigest()
        return Source(functools.partial(reader, actions=actions), digest, _find, _alone)
    mapping = None if config.mapping is None else read_mapping(config.mapping)
    digest = hashlib.sha256(repr(mapping).encode()).hexdigest()
    features = () if mapping is None else tuple(mapping.features)
    mapped = functools.partial(reader, mapping=mapping)
    return Source(mapped, digest, _find, _alone, features)


def join_of(change: Commit, form: str, *, ordinal_base: int | None = None) -> Join | None:
    """What joins the events of a format to its pages; None where clicks stand on the page."""
    if form == "ubi":
        return UbiJoin(change, ordinal_base=ordinal_base)
    return YandexJoin(change) if form == "yandex" else None


def _find(sources: Sequence[Path], lake: Path) -> list[Path]:
    return find_files(sources, lake=lake)


def _alone(path: Path) -> list[Path]:
    return [path]


def _ultra_parts(path: Path) -> list[Path]:
    return [path, beside(path, FEATURES), beside(path, LABELS)]
