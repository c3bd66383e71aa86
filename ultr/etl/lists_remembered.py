"""Options of `ultr lists` that are not given are those of the last build."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from ultr.config import from_mapping
from ultr.etl.filters import Filters
from ultr.etl.lists_config import ListsConfig
from ultr.lake import open_lake


class Remembered(NamedTuple):
    """What `remember` gives.

    Attributes:
        config: what is given, and what was.
        kept: options of the last build that were not given, where they are not the default.
    """

    config: ListsConfig
    kept: dict[str, Any]


def remember(lake: Path, given: Mapping[str, Any], *, reset: bool = False) -> Remembered:
    """Fill in what is not given.

    A night that leaves an option out would otherwise ask for another content, and so build
    everything again.

    Args:
        lake: the lake's folder; it need not have lists.
        given: fields of `ListsConfig` and of `Filters` by name; None where it is not given.
        reset: take the defaults, not the last build's options.

    Raises:
        UsageError: a value that cannot be.
        DataError: no lake.
    """
    said = {name: value for name, value in given.items() if value is not None}
    last = {} if reset else open_lake(lake).manifest.meta.get("lists", {}).get("options", {})
    defaults = options(ListsConfig())
    kept = {k: v for k, v in last.items() if k not in said and v != defaults[k]}
    values = kept | said
    filters = {f.name: values.pop(f.name) for f in fields(Filters) if f.name in values}
    return Remembered(
        from_mapping(ListsConfig, {**values, "filters": filters}, where="lists"), kept
    )


def options(config: ListsConfig) -> dict[str, Any]:
    """What of a configuration is remembered, all that users decide of the content; JSON.

    The number of buckets stays by itself.
    """
    filters = {f.name: getattr(config.filters, f.name) for f in fields(Filters)}
    return {"context": list(config.context), "period": config.period, **filters}
