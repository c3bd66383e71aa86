"""Groups of features: each is made, replaced and removed by itself; together they are a row.

The values of a document are those of its groups one after the other, in the order of `GROUPS`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ultr.commit import Commit
from ultr.errors import DataError
from ultr.manifest import File, Manifest
from ultr.transform import STANDARDISE, Kind

FILE, LOG, LEXICAL, BEHAVIOUR = "file", "log", "lexical", "behaviour"

GROUPS = (FILE, LOG, LEXICAL, BEHAVIOUR)
"""The user's own file, values that stand in the log, texts, and behaviour of the past."""


@dataclass(frozen=True)
class Group:
    """One group, as the manifest keeps it.

    Args:
        name: one of `GROUPS`.
        names: its features, in order.
        kinds: the transform of each feature unless the user chose another.
        is_timed: whether its values depend on the period.
        facts: counts, and how it was made.
    """

    name: str
    names: tuple[str, ...]
    kinds: tuple[Kind, ...] = ()
    is_timed: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """What stands in the manifest."""
        return {
            "names": list(self.names),
            "kinds": list(self.kinds or (STANDARDISE,) * len(self.names)),
            "is_timed": self.is_timed,
            "is_behaviour": self.name == BEHAVIOUR,
            **self.facts,
        }


@dataclass(frozen=True)
class Layout:
    """The features of a lake: its groups in order.

    Args:
        groups: those that the lake has.
        period: `day` or `week` where a group depends on time.
        chosen: group, feature, or the dotted beginning of features -> transform.
    """

    groups: tuple[Group, ...] = ()
    period: str | None = None
    chosen: Mapping[str, Kind] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """`[F]` all features, in order."""
        return tuple(n for g in self.groups for n in g.names)

    @property
    def is_timed(self) -> bool:
        """Whether a document has other values in another period."""
        return any(g.is_timed for g in self.groups)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """`[F]` the transform of each feature: the closest choice, else the group's default."""
        return tuple(
            self._kind(g.name, name, default)
            for g in self.groups
            for name, default in zip(g.names, g.kinds, strict=True)
        )

    def _kind(self, group: str, name: str, default: Kind) -> Kind:
        for key in (*_beginnings(name), group):
            if key in self.chosen:
                return self.chosen[key]
        return default

    def with_group(self, group: Group) -> Layout:
        """With this group instead of the one that had its name.

        Raises:
            DataError: a feature of another group has the name of one of these.
        """
        others = {g.name: g for g in self.groups if g.name != group.name}
        taken = {n for g in others.values() for n in g.names}
        both = [n for n in group.names if n in taken]
        if both or len(set(group.names)) < len(group.names):
            raise DataError(
                "every feature of a lake has its own name",
                got=f"{', '.join(both[:5]) or 'repeated names'} in the group {group.name!r}",
                hint="rename the columns, or take the other group out with --remove",
            )
        groups = others | {group.name: group}
        ordered = tuple(groups[n] for n in GROUPS if n in groups)
        return Layout(ordered, self.period, self.chosen)

    def without(self, name: str) -> Layout:
        """Without a group."""
        return Layout(tuple(g for g in self.groups if g.name != name), self.period, self.chosen)

    def keys(self) -> list[str]:
        """What a transform can be chosen for."""
        found = {key: None for n in self.names for key in _beginnings(n)}
        return [*(g.name for g in self.groups), *found]


def read_layout(manifest: Manifest) -> Layout:
    """The features of a lake, as its manifest has them."""
    meta = manifest.meta.get("features") or {}
    groups = meta.get("groups")
    if groups is None:  # features that another program wrote: one group, of the names given
        names = meta.get("names", ())
        groups = {FILE: {"names": names, "kinds": [STANDARDISE] * len(names)}} if names else {}
    return Layout(
        tuple(_group(name, groups[name]) for name in GROUPS if name in groups),
        meta.get("period"),
        dict(meta.get("transforms", {})),
    )


def write_layout(change: Commit, layout: Layout) -> None:
    """Put the features into the manifest."""
    if not layout.groups:
        change.manifest.meta.pop("features", None)
        return
    own = next((g.facts for g in layout.groups if g.name == FILE), {})
    change.manifest.meta["features"] = {
        **own,
        "names": list(layout.names),
        "groups": {g.name: g.to_json() for g in layout.groups},
        "period": layout.period if layout.is_timed else None,
        "transforms": dict(layout.chosen),
    }


def group_of(file: File) -> str:
    """The group of a file of `features`."""
    return file.keys.get("group", FILE)


def remove_group(change: Commit, name: str) -> None:
    """Take the files of a group out of the lake."""
    change.remove("features", lambda file: group_of(file) == name)


def _group(name: str, entry: Mapping[str, Any]) -> Group:
    known = ("names", "kinds", "is_timed", "is_behaviour")
    facts = {k: v for k, v in entry.items() if k not in known}
    names, kinds = tuple(entry["names"]), tuple(entry["kinds"])
    return Group(name, names, kinds, bool(entry.get("is_timed")), facts)


def _beginnings(name: str) -> Sequence[str]:
    """`a.b.c` -> `a.b.c, a.b, a`, the closest first."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(len(parts), 0, -1)]
