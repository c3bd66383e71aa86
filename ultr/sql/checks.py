"""Run the data checks of `sql/checks` on a lake."""

from __future__ import annotations

from ultr.lake import Lake
from ultr.sql.connection import connect, explained, run
from ultr.sql.named import checks


def run_checks(lake: Lake) -> dict[str, int]:
    """How many rows each check finds; 0 where the lake is good.

    Args:
        lake: the commit to check.

    Example:
        >>> run_checks(ultr.open_lake("lake"))["clicks_are_binary"]  # doctest: +SKIP
        0
    """
    connection = connect(lake)
    with explained(connection):
        return {
            check.name: len(run(connection, check.sql, check.bind({})).fetchall())
            for check in checks()
        }
