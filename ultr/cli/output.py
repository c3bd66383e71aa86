"""What every command prints: one JSON object for machines, or a short summary for people."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from typing import Any

import click

_ITEMS = 12
"""Entries of a mapping that the summary for people shows."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")

queries_option = click.option(
    "--queries",
    type=click.Choice(["test", "validation", "train", "all"]),
    default="test",
    show_default=True,
    help="Which queries of the lake.",
)

gain_option = click.option(
    "--gain",
    type=click.Choice(["exponential", "linear"]),
    default="exponential",
    show_default=True,
    help="Of a grade: 2^grade - 1, or the grade itself as in trec_eval.",
)


def emit(result: Mapping[str, Any], *, as_json: bool, title: str) -> None:
    """Print `result` on standard output.

    Args:
        result: name -> number, text or a flat mapping of them.
        as_json: one JSON object on one line instead of lines for people.
        title: the first line of the summary.
    """
    if as_json:
        click.echo(json.dumps(finite(result)))
        return
    click.echo(title)
    width = max((len(k) for k in result), default=0)
    for name, value in result.items():
        click.echo(f"  {name:<{width}}  {_show(value)}")


def finite(value: Any) -> Any:
    """A value as JSON has it: what is not a finite number is null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    return value


def _show(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 100 else f"{value:,.1f}"
    if isinstance(value, Mapping):
        known = {k: v for k, v in value.items() if v is not None}
        items = [f"{k} {_show(v)}" for k, v in itertools.islice(known.items(), _ITEMS)]
        more = [f"… {len(known) - _ITEMS:,} more"] if len(known) > _ITEMS else []
        return ", ".join(items + more) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_show, value)) or "none"
    return str(value)
