"""Continue a finished run on periods that it has not read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ultr.data import Lists
from ultr.data.context import BiasColumn, translated
from ultr.errors import DataError, UsageError
from ultr.lake import Lake
from ultr.train.folder import read_config
from ultr.train.history import HISTORY
from ultr.train.keeper import FOLDER
from ultr.train.lake_lists import LakeLists
from ultr.train.run_files import read_run_files, read_run_table
from ultr.transform import Transform

Ints = NDArray[np.integer[Any]]

_MAY_CHANGE = frozenset({
    "ranker_rate", "propensity_rate", "clip_norm", "max_weight", "correction", "weighting",
    "documents_per_batch", "averaging", "evaluations", "evaluation_steps", "min_steps", "patience",
    "seed", "checkpoint_seconds", "propensities", "propensity_clip_norm", "schedule",
    "schedule_steps", "warmup_steps", "batches_per_dispatch", "memory_limit", "features_dtype",
    "compute_dtype", "strength", "is_deterministic",
})  # fmt: skip
"""Settings that do not change what states there are."""


_WORTH_READING = 0.01
"""Share of more sessions or clicks from which a period that was read is read again."""


class Unread(NamedTuple):
    """What a continued training has to read.

    Attributes:
        new: periods that were not read.
        again: periods that were read and have grown -> sessions more.
        left: the same of those that have grown too little.
    """

    new: list[str]
    again: dict[str, int]
    left: dict[str, int]

    @property
    def periods(self) -> list[str]:
        """Those to read, in order."""
        return sorted([*self.new, *self.again])


@dataclass(frozen=True)
class Earlier:
    """The run that is continued.

    Args:
        root: its folder.
        config: its `config.json`.
        transform: how it reads features.
        bias: its bias columns.
        history: `period, position, propensity` of all that it and those before it read.
    """

    root: Path
    config: dict[str, Any]
    transform: Transform
    bias: tuple[BiasColumn, ...]
    history: pa.Table

    @property
    def n_positions(self) -> int:
        """Positions that its propensity model knows."""
        return int(self.config["n_positions"])

    def cells_with(self, cells: Ints, bias: Sequence[BiasColumn]) -> Ints:
        """`[S, 1 + C]` positions and levels that it, those before it, or `cells` saw."""
        parts = [self.history["position"].to_numpy()]
        for column in bias:
            values = self.history[column.name].to_numpy(zero_copy_only=False)
            parts.append(np.array([column.levels.index(v) for v in values], np.int64))
        return np.unique(np.concatenate([np.column_stack(parts), cells]), axis=0)

    def unread(self, lake: Lake) -> Unread:
        """What of a lake's lists neither it nor the runs before it have read.

        A period that has grown since is read again, whole: which of its sessions are new is not to
        be told any more once they are collapsed, and training goes on until held-out clicks get no
        better, whatever it began with. One that grew by less than a hundredth waits.

        Raises:
            DataError: nothing to speak of.
        """
        known = set(self.history["period"].to_pylist())
        found = sorted({f.keys["period"] for f in lake.files("lists")})
        new = [p for p in found if p not in known]
        before, now = (
            (lists or {}).get("by_period", {})
            for lists in (self.config["lake"].get("lists"), lake.manifest.meta.get("lists"))
        )
        more = {
            period: _growth(before[period], now[period])
            for period in found
            if period in known and period in before and period in now
        }
        again = {p: n for p, (n, share) in more.items() if share >= _WORTH_READING}
        left = {p: n for p, (n, share) in more.items() if 0 < share < _WORTH_READING}
        if not (new or again):
            late = f", and {sum(left.values()):,} late sessions" if left else ""
            raise DataError(
                "a run is continued on periods of the lake that it has not read, or that have "
                f"grown by {_WORTH_READING:.0%}",
                got=f"{self.root} has read {_some(sorted(known))}; there are no others{late}",
                hint="ingest newer logs and run ultr lists --period day, week or source",
            )
        return Unread(new, again, left)

    def adopt(self, data: Lists | LakeLists) -> Lists | LakeLists:
        """The lists with features as the run reads them.

        Raises:
            DataError: other features, or made of them per query in another way.
        """
        given = data.transform
        if given is None or given.names != self.transform.names:
            raise DataError(
                "a run is continued on the features that it was trained on, in the same order",
                got=f"{data.n_features} features, not those {self.config['n_features']} of "
                f"{self.root}",
                hint="train a new run on this lake, or give it the features of the old one",
            )
        if self.transform.needs_query and given.kinds != self.transform.kinds:
            raise DataError(
                "a run is continued on features that are transformed per query as it does",
                got=f"other transforms in the lake than in {self.root}",
                hint="choose those of training with ultr features --transform, and run ultr lists",
            )
        if isinstance(data, LakeLists):
            return data.read_as(replace(data.reading, transform=self.transform))
        return replace(data, transform=self.transform)

    def adopt_bias(self, data: Lists | LakeLists) -> Lists | LakeLists:
        """The lists with the bias columns and levels of the run; new levels come after those.

        Raises:
            DataError: other columns.
        """
        known, names = self.bias, [c.name for c in data.bias]
        if names != [c.name for c in known]:
            raise DataError(
                "a run is continued with the bias columns that it was trained with",
                got=f"{', '.join(names) or 'none'}, not "
                f"{', '.join(c.name for c in known) or 'none'}",
                hint="run ultr lists --context with the same columns, or train a new run",
            )
        grown = tuple(
            replace(before, levels=(*before.levels, *_new_levels(before, own)))
            for own, before in zip(data.bias, known, strict=True)
        )
        if isinstance(data, LakeLists):
            return data.read_as(replace(data.reading, bias=grown))
        return replace(data, context=translated(data, grown), bias=grown)

    def new_levels(self, bias: Sequence[BiasColumn]) -> dict[str, list[str]]:
        """Levels that it did not know, by column: of the columns that `adopt_bias` gave."""
        pairs = zip(bias, self.bias, strict=True)
        return {own.name: new for own, before in pairs if (new := _new_levels(before, own))}

    def check_settings(self, settings: dict[str, Any]) -> None:
        """Check that the states of the run fit these settings.

        Raises:
            UsageError: naming what differs.
        """
        before, settings = self.config["settings"], json.loads(json.dumps(settings))
        differ = [k for k, v in settings.items() if k not in _MAY_CHANGE and v != before.get(k, v)]
        if differ:
            raise UsageError(
                "a run is continued with the method and the models that it has",
                got="; ".join(f"{k} was {before[k]!r}, is {settings[k]!r}" for k in differ),
                hint="leave these settings out, or train a new run",
            )


def open_earlier(root: Path, *, ranker: object = None) -> Earlier:
    """Open the run to continue.

    Args:
        root: its folder.
        ranker: the user's own, where it was trained with one.

    Raises:
        DataError: not a finished run, one without its last states, or one that cannot be continued.
    """
    files = read_run_files(root, ranker=ranker)
    if files.transform is None:
        raise DataError(
            "a run that is continued ranks by features",
            got=f"{root} has one parameter per (query, document), and new periods have others",
            hint="train with --ranker mlp, or train anew on all periods",
        )
    if not any((root / FOLDER).glob("*/*/seal.json")):
        raise DataError(
            "a run is continued from its last states",
            got=f"{root / FOLDER} has none",
            hint="train it again with this ultr, and keep its folder whole",
        )
    return Earlier(root, files.config, files.transform, files.bias, read_run_table(root, HISTORY))


def settings_of(root: Path) -> dict[str, Any]:
    """The settings that a training was begun with.

    Args:
        root: its folder.

    Returns:
        Setting -> value, for `TrainConfig`; none in a new folder.

    Raises:
        DataError: its `config.json` is damaged.
    """
    return dict(read_config(root)["settings"]) if (root / "config.json").is_file() else {}


def _new_levels(before: BiasColumn, now: BiasColumn) -> list[str]:
    return [level for level in now.levels if level not in before.levels]


def _growth(before: Mapping[str, int], now: Mapping[str, int]) -> tuple[int, float]:
    """Sessions that a period has more, and the share of sessions or clicks that it grew by."""
    shares = [(now[k] - before[k]) / max(before[k], 1) for k in ("sessions", "clicks")]
    return now["sessions"] - before["sessions"], max(shares)


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
