"""Rankers by name: what a configuration says, and the description it means."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from ultr.config import from_mapping
from ultr.errors import UsageError
from ultr.model.custom import CustomRanker
from ultr.model.dcn import DCN
from ultr.model.rankers import MLP, Linear, RankerSpec, TableRanker
from ultr.model.setrank import SetRank

KINDS: dict[str, type[Any]] = {
    "mlp": MLP,
    "linear": Linear,
    "table": TableRanker,
    "dcn": DCN,
    "setrank": SetRank,
}
"""Name -> description of every ranker that comes with the program."""

_CUSTOM = "custom"


def as_spec(ranker: object) -> RankerSpec:
    """The description that is meant by a name, a mapping with `kind`, a class or a description.

    Args:
        ranker: `"dcn"`, `{"kind": "setrank", "blocks": 2}`, `MLP((64, 32))`, or a class or function
            that makes a Flax NNX module (see `CustomRanker`).

    Raises:
        UsageError: none of these.

    Example:
        >>> as_spec({"kind": "mlp", "hidden": [8]}).hidden
        (8,)
    """
    if isinstance(ranker, str):
        return _named(ranker, {})
    if isinstance(ranker, Mapping) and "kind" in ranker:
        return _named(ranker["kind"], {k: v for k, v in ranker.items() if k != "kind"})
    if isinstance(ranker, type) and ranker in KINDS.values():
        return as_spec(ranker())
    if isinstance(ranker, RankerSpec) and not isinstance(ranker, type):
        return ranker
    if callable(ranker):
        return CustomRanker(ranker)
    raise UsageError(
        "a ranker is a name, a description, or a class that makes a Flax NNX module",
        got=repr(ranker),
        hint=f"names: {', '.join(KINDS)}",
    )


def kind_of(spec: RankerSpec) -> str:
    """The name of a description; `custom` for those that do not come with the program."""
    return next((name for name, kind in KINDS.items() if type(spec) is kind), _CUSTOM)


def spec_to_json(spec: RankerSpec) -> dict[str, Any]:
    """A ranker as JSON.

    Returns:
        What `as_spec` reads again; of a ranker of one's own only its name, for people.
    """
    kind = kind_of(spec)
    if kind == _CUSTOM:
        name = spec.name if isinstance(spec, CustomRanker) else type(spec).__qualname__
        return {"kind": kind, "name": name}
    return {"kind": kind, **dataclasses.asdict(spec)}  # type: ignore[call-overload]


def _named(kind: object, settings: Mapping[str, Any]) -> RankerSpec:
    if kind == _CUSTOM:
        raise UsageError(
            "a ranker of one's own is given as the class or function that makes it",
            got=f"its name, {settings.get('name')}",
            hint="in Python: ultr.fit(…, ranker=…), with resume=True to go on with a training",
        )
    if kind not in KINDS:
        raise UsageError(
            "a ranker by name must be a known one",
            got=repr(kind),
            hint=f"choose from: {', '.join(KINDS)}; in Python, give a class of your own",
        )
    spec: RankerSpec = from_mapping(KINDS[str(kind)], settings, where=f"ranker {kind}")
    return spec
