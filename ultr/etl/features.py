"""Features of (query, document) pairs into the lake, group by group."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import duckdb

from ultr.commit import Commit
from ultr.config import from_mapping
from ultr.errors import UsageError
from ultr.etl.behaviour import behaviour
from ultr.etl.engine import engine, open_view, temporary_folder
from ultr.etl.feature_file import copy_features
from ultr.etl.feature_groups import (
    BEHAVIOUR,
    FILE,
    LEXICAL,
    LOG,
    Group,
    Layout,
    read_layout,
    remove_group,
    write_layout,
)  # fmt: skip
from ultr.etl.feature_log import check_match, has_time, make_pairs, matched
from ultr.etl.features_config import (
    BehaviourConfig,
    FeaturesConfig,
    LexicalConfig,
)  # fmt: skip
from ultr.etl.lexical import lexical
from ultr.etl.log_features import log_features
from ultr.etl.periods import Period, settle_period
from ultr.lake import open_lake
from ultr.staleness import is_stale
from ultr.transform import KINDS

__all__ = ["FeaturesConfig", "add_features"]

_LIKE_PERIOD = (LOG, BEHAVIOUR)
"""Groups that depend on time, and so have one period."""


def add_features(
    lake: Path, *, config: FeaturesConfig | None = None, **settings: Any
) -> dict[str, Any]:
    """Make, replace or remove groups of features; the others stay as they are.

    Args:
        lake: the lake's folder; needs sessions.
        config: which groups, and how; or give it as keywords.
        **settings: fields of `FeaturesConfig`, instead of `config`.

    Returns:
        `features` (all of the lake's), `groups` (name -> number of features), one entry of counts
        per group that was made, `lists_are_stale`; for a file also, flat, `rows matched_pairs
        log_pairs match_share missing_values`.

    Raises:
        DataError: no sessions, an unreadable file, missing columns, keys that break the lake's id
            rule, values that are not finite, lists of different lengths, pairs that come twice, too
            few of the log's pairs matched, no texts, no time, or no values in the log.
        UsageError: a setting out of its range, or a transform for what is no feature.

    Example:
        >>> add_features(Path("lake"), source=Path("features.parquet"))  # doctest: +SKIP
        >>> add_features(Path("lake"), lexical=LexicalConfig(k1=0.9))  # doctest: +SKIP
    """
    chosen = config or from_mapping(FeaturesConfig, settings, where="features")
    opened = open_lake(lake)
    opened.require("sessions", hint=f"run: ultr ingest LOG --format … --lake {lake}")
    with (
        opened.commit("features") as change,
        engine(lake, memory_gib=chosen.memory_gib) as connection,
    ):
        layout = read_layout(change.manifest)
        work = _Work(change, connection, _refreshed(chosen, layout), layout)
        facts = work.run()
        write_layout(change, work.layout)
    groups = {g.name: len(g.names) for g in work.layout.groups}
    counts = {"features": len(work.layout.names), "groups": groups, **facts}
    return counts | {"lists_are_stale": is_stale(open_lake(lake))}


def _refreshed(config: FeaturesConfig, layout: Layout) -> FeaturesConfig:
    """With the groups that `refresh` makes again, as they were made before."""
    if not config.refresh:
        return config
    kept = {g.name: g.facts for g in layout.groups if g.name not in config.remove}
    again: dict[str, Any] = {"log": config.log or LOG in kept}
    if LEXICAL in kept and config.lexical is None:
        again["lexical"] = from_mapping(LexicalConfig, kept[LEXICAL]["config"], where="manifest")
    if BEHAVIOUR in kept and config.behaviour is None:
        again["behaviour"] = BehaviourConfig(prior=kept[BEHAVIOUR]["prior"])
    return dataclasses.replace(config, **again)


@dataclasses.dataclass
class _Work:
    """One call of `add_features`.

    Args:
        change: the commit.
        connection: DuckDB.
        config: what is asked for.
        layout: the groups so far.
    """

    change: Commit
    connection: duckdb.DuckDBPyConnection
    config: FeaturesConfig
    layout: Layout

    def run(self) -> dict[str, Any]:
        """Do it; return the counts of what was made."""
        for name in self.config.remove:
            remove_group(self.change, name)
            self.layout = self.layout.without(name)
        made = self.config.made
        facts: dict[str, Any] = {}
        if made:
            for table in ("sessions", "judgments"):
                open_view(self.connection, self.change, table)
            n_pairs = make_pairs(self.connection)
            period = self._period() if set(made) & set(_LIKE_PERIOD) else ""
            for name in made:
                remove_group(self.change, name)
                group, counts = self._make(name, period=period, n_pairs=n_pairs)
                self.layout = self.layout.with_group(group)
                facts |= counts if name == FILE else {name: counts}
        self._choose_transforms()
        return facts

    def _make(self, name: str, *, period: str, n_pairs: int) -> tuple[Group, dict[str, Any]]:
        connection, change = self.connection, self.change
        match name:
            case "file":
                return self._make_file(n_pairs)
            case "log":
                return log_features(connection, change, period=period)
            case "lexical":
                assert self.config.lexical is not None  # noqa: S101  asked for
                folder = temporary_folder(change.root)
                group, facts = lexical(
                    connection, change, config=self.config.lexical, folder=folder
                )
                self._check_match(facts["matched_pairs"], n_pairs, "texts are there for", LEXICAL)
                return group, facts
            case _:
                assert self.config.behaviour is not None  # noqa: S101  asked for
                return behaviour(connection, change, period=period, config=self.config.behaviour)

    def _make_file(self, n_pairs: int) -> tuple[Group, dict[str, Any]]:
        source = self.config.source
        assert source is not None  # noqa: S101  asked for
        given = copy_features(self.change, source, allow_missing=self.config.allow_missing)
        self.connection.register("given", given.pairs.to_arrow())
        count = matched(self.connection, "given")
        self._check_match(count, n_pairs, f"{source} has features of", FILE)
        facts = {
            "rows": given.group.facts["rows"],
            "matched_pairs": count,
            "log_pairs": n_pairs,
            "match_share": count / n_pairs,
            "missing_values": given.group.facts["missing_values"],
        }
        group = dataclasses.replace(given.group, facts={**given.group.facts, **facts})
        return group, facts

    def _check_match(self, count: int, total: int, what: str, name: str) -> None:
        hint = "check that its keys are the log's" if name == FILE else "ingest the texts too"
        check_match(
            count, total, what=what, min_match=self.config.min_match,
            hint=f"{hint}; --min-match 0 takes it as it is",
        )  # fmt: skip

    def _period(self) -> str:
        """The one period of all groups that depend on time."""
        others = {
            g.name for g in self.layout.groups if g.is_timed and g.name not in self.config.made
        }
        wanted: Period = self.config.period
        if wanted == "auto" and self.layout.is_timed and self.layout.period:
            wanted = "week" if self.layout.period == "week" else "day"
        period = settle_period(
            wanted, has_time=has_time(self.connection), hint="leave --period out"
        )
        if others and period != self.layout.period:
            raise UsageError(
                "all features that depend on time have one period",
                got=f"{period}, and {self.layout.period} in {' and '.join(sorted(others))}",
                hint="add --refresh, which makes the others again too, or leave --period out",
            )
        self.layout = dataclasses.replace(self.layout, period=period)
        return period

    def _choose_transforms(self) -> None:
        keys = self.layout.keys()
        unknown = [k for k in self.config.transforms if k not in keys]
        if unknown:
            raise UsageError(
                "a transform is chosen for a group, a feature, or the dotted beginning of some",
                got=unknown[0],
                hint=f"known: {', '.join(keys[:30]) or 'no features yet'}",
            )
        chosen = {**self.layout.chosen, **self.config.transforms}
        kept = {k: kind for k, v in chosen.items() for kind in KINDS if v == kind}
        self.layout = dataclasses.replace(self.layout, chosen=kept)
