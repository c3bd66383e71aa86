"""What evaluation and scoring ask of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.errors import DataError
from ultr.lake import Lake
from ultr.train import RUN_FILES

Floats = NDArray[np.float32]


class RunLike(Protocol):
    """What evaluation and scoring ask of a run; `ultr.train.Run` is one."""

    @property
    def root(self) -> Path:
        """The run's folder."""

    @property
    def config(self) -> dict[str, Any]:
        """Settings; `reads` is `features` or `row`."""

    @property
    def transform(self) -> Any:
        """With the `names` of the features, or None."""

    @property
    def propensities(self) -> pa.Table:
        """`position, propensity`."""

    def score(self, features: Floats, query: NDArray[np.integer[Any]] | None = None) -> Floats:
        """`[N]` of raw features `[N, F]`."""

    def score_candidates(
        self, query_id: NDArray[np.int64], doc_id: NDArray[np.int64], features: Floats | None
    ) -> Floats:
        """`[N]` of a lake's documents."""

    def is_known(self, query_id: NDArray[np.int64], doc_id: NDArray[np.int64]) -> NDArray[np.bool_]:
        """`[N]` whether a ranker with a parameter per pair has one for each pair."""

    def knows_context(self, data: Lists) -> NDArray[np.bool_]:
        """`[L, K]` whether training saw a bias context like that of an impression."""

    def list_logits(self, data: Lists) -> tuple[Floats, Floats]:
        """Ranker scores f and propensity logits g of lists, both `[L, K]`."""


@dataclass
class Known:
    """How many of a lake's documents a ranker with a parameter per pair knows.

    Args:
        run: the run; one on features knows no document from another, and is not counted.
        known: so far.
        total: so far.
    """

    run: RunLike
    known: int = 0
    total: int = 0

    def add(self, query_id: NDArray[np.int64], doc_id: NDArray[np.int64]) -> None:
        """Count the pairs `[N]`."""
        if self.run.config["reads"] == "row":
            self.known += int(self.run.is_known(query_id, doc_id).sum())
            self.total += len(query_id)

    def report(self, lake: Path | str) -> dict[str, int]:
        """`known_documents of_documents`; nothing of a run on features.

        Raises:
            DataError: none is known, so that every score would be 0.
        """
        if self.run.config["reads"] != "row":
            return {}
        if self.total and not self.known:
            raise DataError(
                "a run with one parameter per (query, document) ranks what it was trained on",
                got=f"none of the {self.total:,} documents of {lake} are known to {self.run.root}",
                hint="give the lake that the run was trained on, or train on this one",
            )
        return {"known_documents": self.known, "of_documents": self.total}


def identification(run: RunLike) -> str | None:
    """What the run's curve rests on: `swaps`, `features only`, `none`; None where it learned none.

    The state of `ultr.train.identification`, as training stored it in `propensities.parquet`.
    """
    if run.config.get("settings", {}).get("method") not in ("dla", "upe"):
        return None
    found = (run.propensities.schema.metadata or {}).get(b"identification")
    return None if found is None else found.decode()


def run_files(run: RunLike) -> list[Path]:
    """What a result must not be written over: what training left in the run's folder."""
    return [run.root / name for name in RUN_FILES]


def check_names(run: RunLike, lake: Lake) -> None:
    """Check that a lake's features are those that the run was trained on.

    Raises:
        DataError: other names, or the same in another order.
    """
    known = lake.manifest.meta.get("transform")
    if not known or run.transform is None or tuple(known["names"]) == tuple(run.transform.names):
        return
    wanted, given = list(run.transform.names), list(known["names"])
    differ = [n for n in wanted if n not in given] + [n for n in given if n not in wanted]
    raise DataError(
        "the lake must have the features of the run, in the same order",
        got=f"{len(given)} features against {len(wanted)}; "
        + (f"only on one side: {', '.join(differ[:5])}" if differ else "another order"),
        hint="train on this lake, or evaluate on a lake with the features of training",
    )
