"""A cell of the grid as arrays: simulated clicks as `Lists`, without a log or a lake between."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ultr.clicks import User, examination
from ultr.data import Lists
from ultr.data.lists import group_rows
from ultr.eval.documents import letor_documents
from ultr.simulate import SimulateConfig, Synthetic
from ultr.simulate.judged import JudgedSet, from_letor, synthetic
from ultr.simulate.sessions import Streams, sessions
from ultr.split import query_split
from ultr.transform import fit_transform

TRAIN, TEST = ("S1.txt", "S2.txt"), ("S3.txt",)
"""Partitions of MQ2008."""

POSITIONS = 10


@dataclass(frozen=True)
class Cell:
    """What is varied.

    Args:
        data: `synthetic` or `mq2008`.
        logger: weak or strong.
        logging: deterministic or plackett-luce.
        eta: severity of position bias.
        sessions: pages.
    """

    data: str
    logger: str
    logging: str
    eta: float
    sessions: int

    @property
    def name(self) -> str:
        """For example `mq2008 weak plackett-luce eta=0.5 10000`."""
        return f"{self.data} {self.logger} {self.logging} eta={self.eta:g} {self.sessions}"

    def config(self, *, seed: int, mq2008: Path) -> SimulateConfig:
        """The simulation, as `ultr simulate` would be told."""
        settings = asdict(self)
        is_synthetic = settings.pop("data") == "synthetic"
        return SimulateConfig(
            out=Path("unused"),
            synthetic=Synthetic() if is_synthetic else None,
            letor=() if is_synthetic else tuple(mq2008 / name for name in TRAIN),
            format="table",
            positions=POSITIONS,
            seed=seed,
            **settings,
        )


def cells() -> Iterator[Cell]:
    """All 48, the cheap ones first."""
    for size, logging, data, logger, eta in itertools.product(
        (10_000, 1_000_000), ("deterministic", "plackett-luce"), ("synthetic", "mq2008"),
        ("weak", "strong"), (0.5, 1.0, 2.0),
    ):  # fmt: skip
        yield Cell(data, logger, logging, eta, size)


@dataclass(frozen=True)
class Judged:
    """Documents to rank.

    Args:
        features: `[N, F]` raw.
        grade: `[N]`.
        query: `[N]` from 0.
        document: `[N]` numbers in the order of the ids, for ties.
        top: of the grade scale.
    """

    features: NDArray[np.float32]
    grade: NDArray[np.int16]
    query: NDArray[np.int64]
    document: NDArray[np.int64]
    top: int


def simulated(config: SimulateConfig) -> tuple[Lists, JudgedSet]:
    """Lists of a simulation, one for each click pattern.

    With the patterns merged they are what `load_lists` gives after simulate, ingest, features and
    lists. The split by session is left out (all 0): methods that read features do not use it.
    """
    streams = Streams.of(config.seed)
    judged = (
        synthetic(streams.judged, config.synthetic)
        if config.synthetic
        else from_letor(config.letor)
    )
    pages = list(sessions(config, judged=judged, streams=streams))
    every = [np.concatenate([getattr(p, n) for p in pages]) for n in ("query", "row", "click")]
    del pages
    order = np.argsort(every[0], kind="stable")
    list_query, row, click = (values[order] for values in every)
    pattern = click @ (1 << np.arange(click.shape[1]))
    group, first = group_rows(np.column_stack([list_query, row, pattern]))
    list_query, row, click = list_query[first].astype(np.int32), row[first], click[first]
    count = np.bincount(group)
    where = row >= 0
    query_id = judged.query_key.to_numpy()
    doc_query = np.repeat(np.arange(len(query_id)), judged.sizes).astype(np.int32)
    split = query_split(query_id).astype(np.int32)
    names = tuple(f"f{i}" for i in range(judged.features.shape[1]))
    data = Lists(
        features=judged.features,
        query_id=query_id,
        query_split=split,
        doc_id=np.arange(len(doc_query)),
        doc_query=doc_query,
        doc_row=np.arange(len(doc_query), dtype=np.int32),
        document=np.where(where, row, 0).astype(np.int32),
        position=np.where(where, np.arange(1, row.shape[1] + 1), 0).astype(np.int32),
        where=where,
        clicks=(click * count[:, None]).astype(np.float32),
        weight=count.astype(np.float32),
        sessions=count,
        list_query=list_query,
        session_split=np.zeros(len(list_query), np.int32),
        transform=fit_transform([judged.features[split[doc_query] == 0]], names),
        lake={"root": config.logging, "version": 1},
    )
    return data, judged


def test_documents(config: SimulateConfig, judged: JudgedSet, *, mq2008: Path) -> Judged:
    """What `ultr evaluate` ranks: queries of the split test, or the third partition of MQ2008."""
    if config.letor:
        d = letor_documents([mq2008 / name for name in TEST])
        assert d.features is not None
        return Judged(d.features, d.grade, d.query, d.document, d.max_grade)
    query = np.repeat(np.arange(len(judged.sizes)), judged.sizes)
    is_test = query_split(judged.query_key.to_numpy())[query] == 2
    return Judged(
        judged.features[is_test],
        judged.grade[is_test],
        np.unique(query[is_test], return_inverse=True)[1],
        np.flatnonzero(is_test),
        judged.y_max,
    )


def relative_propensity(config: SimulateConfig) -> NDArray[np.float64]:
    """`[positions]` the planted examination relative to position 1."""
    theta = examination(User(eta=config.eta), positions=config.positions)
    return theta / theta[0]
