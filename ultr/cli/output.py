"""What every command prints: one JSON object for machines, or a short summary for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def emit(result: Mapping[str, Any], *, as_json: bool, title: str) -> None:
    """Print `result` on standard output.

    Args:
        result: name -> number, text or a flat mapping of them.
        as_json: one JSON object on one line instead of lines for people.
        title: the first line of the summary.
    """
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo(title)
    width = max((len(k) for k in result), default=0)
    for name, value in result.items():
        click.echo(f"  {name:<{width}}  {_show(value)}")


def _show(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 100 else f"{value:,.1f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k} {_show(v)}" for k, v in value.items()) or "none"
    return str(value)
