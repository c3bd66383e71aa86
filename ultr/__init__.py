"""From raw search click logs to a ranker without position bias.

Example:
    >>> import ultr
    >>> lake = ultr.open_lake("lake")  # doctest: +SKIP
    >>> run = ultr.fit(ultr.load_lists("lake"), method="dla", run="runs/dla")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

# Name -> module, imported on first use: SQL must not wait for JAX, nor training need Polars.
_EXPORTS = {
    "DataError": "ultr.errors",
    "UltrError": "ultr.errors",
    "UsageError": "ultr.errors",
    "Lake": "ultr.lake",
    "open_lake": "ultr.lake",
    "diagnose": "ultr.diagnose",
    "load_lists": "ultr.data",
    "DCN": "ultr.model",
    "MLP": "ultr.model",
    "Linear": "ultr.model",
    "SetRank": "ultr.model",
    "TableRanker": "ultr.model",
    "fit": "ultr.train",
    "open_run": "ultr.train",
}

__all__ = [
    "DCN",
    "MLP",
    "DataError",
    "Lake",
    "Linear",
    "SetRank",
    "TableRanker",
    "UltrError",
    "UsageError",
    "diagnose",
    "fit",
    "load_lists",
    "open_lake",
    "open_run",
]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'ultr' has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_EXPORTS])
