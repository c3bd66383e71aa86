"""Settings by name, to repeat what others did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ultr.errors import UsageError

PRESETS: dict[str, dict[str, Any]] = {
    # Ai et al., SIGIR 2018, section 5.2 and the authors' code: batches of 256 clicked sessions,
    # 10,000 of them; here the state with the best held-out clicks of forty is kept.
    "sigir2018": {
        "method": "dla",
        "correction": "weights",
        "ranker": "mlp",
        "hidden": (512, 256, 128),
        "propensity_hidden": (8, 4),
        "bias": (),
        "is_refitted": False,
        "optimizer": "adagrad",
        "ranker_rate": 0.05,
        "propensity_rate": 0.05,
        "weight_decay": 0.0,
        "clip_norm": 5.0,
        "averaging": 0.0,
        "sessions_per_batch": 256,
        "list_size": 10,
        "evaluation_steps": 250,
        "evaluations": 40,
        "min_steps": 1,
        "patience": 40,
    },
}


def with_preset(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with those of their `preset` beneath them.

    Args:
        settings: what a user gave, maybe with `preset`.

    Returns:
        Setting -> value, without `preset`.

    Raises:
        UsageError: an unknown preset.

    Example:
        >>> with_preset({"preset": "sigir2018", "seed": 3})["sessions_per_batch"]
        256
    """
    given = dict(settings)
    name = given.pop("preset", None)
    if name is None:
        return given
    if name not in PRESETS:
        raise UsageError(
            "a preset must be a known one",
            got=repr(name),
            hint=f"choose from: {', '.join(PRESETS)}",
        )
    return PRESETS[name] | given
