"""What counts as a click: the click itself, one with time on the document, or another action."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import duckdb

from ultr.errors import DataError, UsageError


@dataclass(frozen=True)
class ClickWhen:
    """A click definition.

    Args:
        kind: `click`; `dwell`, a click after which at least `dwell_s` were spent on the document;
            or `feedback`, `action` taken on the document, clicked or not.
        dwell_s: for `dwell`.
        action: for `feedback`.
    """

    kind: Literal["click", "dwell", "feedback"]
    dwell_s: float = 0.0
    action: str = ""


def parse_click_when(text: str) -> ClickWhen:
    """Read `click`, `dwell_s>=30` or `feedback:add_to_cart`.

    Raises:
        UsageError: none of these.
    """
    if text == "click":
        return ClickWhen("click")
    if match := re.fullmatch(r"dwell_s>=([0-9]+(?:\.[0-9]+)?)", text):
        return ClickWhen("dwell", dwell_s=float(match[1]))
    kind, _, action = text.partition(":")
    if kind == "feedback" and action:
        return ClickWhen("feedback", action=action)
    raise UsageError(
        "a click is `click`, `dwell_s>=SECONDS` or `feedback:ACTION`",
        got=repr(text),
        hint="for example --click-when 'dwell_s>=30'",
    )


def check_click_when(connection: duckdb.DuckDBPyConnection, when: ClickWhen) -> None:
    """Check that the log has what the definition asks for.

    Args:
        connection: has the view `sessions`.
        when: the definition.

    Raises:
        DataError: no dwell times, or no such action; those that occur are listed.
    """
    if when.kind == "dwell":
        _check_dwell(connection)
    elif when.kind == "feedback":
        _check_action(connection, when.action)


def click_sql(connection: duckdb.DuckDBPyConnection, when: ClickWhen) -> str:
    """A DuckDB expression over `sessions`: the clicks of a page, `list(tinyint)`.

    What the definition holds goes in as variables, never into the text.
    """
    if when.kind == "click":
        return "click"
    if when.kind == "dwell":
        connection.execute("set variable least_dwell_s = $1::double", [when.dwell_s])
        held = "click[i] = 1 and coalesce(dwell_s[i] >= getvariable('least_dwell_s'), false)"
    else:
        connection.execute("set variable click_action = $1::varchar", [when.action])
        taken = "list_filter(feedback, lambda f: f.action = getvariable('click_action'))"
        held = f"coalesce(list_bool_or(list_transform({taken}, lambda f: f.count[i] > 0)), false)"
    return f"list_transform(range(1, len(click) + 1), lambda i: ({held})::tinyint)"


def _check_dwell(connection: duckdb.DuckDBPyConnection) -> None:
    found = connection.execute("select 1 from sessions where dwell_s is not null limit 1")
    if not found.fetchall():
        raise DataError(
            "a click with time on the document needs dwell times",
            got="a log without dwell_s",
            hint="leave --click-when out",
        )


def _check_action(connection: duckdb.DuckDBPyConnection, action: str) -> None:
    found = connection.execute(
        "select distinct f.action from (select unnest(feedback) as f from sessions"
        " where feedback is not null) order by 1"
    ).fetchall()
    names = [name for (name,) in found]
    if action not in names:
        raise DataError(
            "the action of --click-when feedback:ACTION must occur in the log",
            got=repr(action),
            hint=f"actions that do: {', '.join(names) or 'none'}",
        )
