"""The bias context of a shown document: which display columns, as a text per document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from ultr.errors import DataError, UsageError
from ultr.schema import SESSIONS

CONTEXT_COLUMNS = ("device", "media_type", "height_px")
"""Columns of `sessions` that are known before the click and say how a document was displayed."""

DEFAULT_BINS = 8


@dataclass(frozen=True)
class ContextColumn:
    """One column of the context.

    Args:
        name: one of `CONTEXT_COLUMNS`.
        bins: number of quantile bins of a continuous column, None for text.
    """

    name: str
    bins: int | None

    @property
    def is_per_document(self) -> bool:
        """Whether the column has a value per document, not one per page."""
        return bool(pa.types.is_list(SESSIONS.column(self.name).type))


def parse_context(items: Sequence[str]) -> tuple[ContextColumn, ...]:
    """Read `("device", "height_px:bins=8")`.

    Raises:
        UsageError: an unknown or repeated column, or an option that the column does not have.
    """
    columns = tuple(_parse(item) for item in items)
    names = [c.name for c in columns]
    if len(set(names)) < len(names):
        raise UsageError(
            "a context column is named once", got=", ".join(names), hint="leave the repeated out"
        )
    return columns


def fit_edges(
    connection: duckdb.DuckDBPyConnection,
    columns: Sequence[ContextColumn],
    *,
    kept: Mapping[str, list[float]],
) -> dict[str, list[float]]:
    """Check that the columns have values, and find the inner bin edges of the continuous ones.

    Args:
        connection: has the view `sessions`.
        columns: what the context is made of.
        kept: edges of columns that are not to be cut anew.

    Returns:
        Column -> ascending edges, in its unit; equal quantiles give one edge.

    Raises:
        DataError: a column without values; those that have some are listed.
    """
    present = _present(connection) if columns else []
    for column in columns:
        if column.name not in present:
            raise DataError(
                "a context column must have values in the log",
                got=f"{column.name!r} has none",
                hint=f"columns with values: {', '.join(present) or 'none, leave --context out'}",
            )
    continuous = [c for c in columns if c.bins is not None]
    return {c.name: kept.get(c.name) or _edges(connection, c) for c in continuous}


def context_sql(columns: Sequence[ContextColumn]) -> str:
    """A DuckDB expression over `sessions`: the context of each document, `list(varchar)`.

    A document's text is `device=mobile|height_px=3`; a missing value is empty, and `%`, `|` and `=`
    in a value stand as %25, %7C and %3D. Bins count from 0. Bin edges come from the variables that
    `set_edges` makes.
    """
    if all(not c.is_per_document for c in columns):
        parts = " || '|' || ".join(_part(c, f'"{c.name}"') for c in columns)
        return f"list_transform(doc_id, lambda d: {parts})"
    parts = " || '|' || ".join(
        _part(c, f'"{c.name}"[i]' if c.is_per_document else f'"{c.name}"') for c in columns
    )
    return f"list_transform(range(1, len(doc_id) + 1), lambda i: {parts})"


def set_edges(connection: duckdb.DuckDBPyConnection, edges: Mapping[str, Sequence[float]]) -> None:
    """Give the connection the bin edges as variables, so that they stand in no SQL text."""
    for name, values in edges.items():
        # The name comes from CONTEXT_COLUMNS.
        connection.execute(f"set variable edges_{name} = $1::double[]", [list(values)])


def _parse(item: str) -> ContextColumn:
    name, _, option = item.strip().partition(":")
    if name not in CONTEXT_COLUMNS:
        raise UsageError(
            "a context column is a display column that is known before the click",
            got=repr(name),
            hint=f"choose from: {', '.join(CONTEXT_COLUMNS)}",
        )
    is_continuous = "float" in str(SESSIONS.column(name).type)
    match = re.fullmatch(r"bins=([0-9]{1,3})", option)
    bins = int(match[1]) if match else DEFAULT_BINS
    if (option and not (match and is_continuous)) or bins < 2:
        raise UsageError(
            "a continuous context column takes bins=2 … 999, a text column takes no option",
            got=item,
            hint="for example --context device,height_px:bins=8",
        )
    return ContextColumn(name, bins if is_continuous else None)


def _present(connection: duckdb.DuckDBPyConnection) -> list[str]:
    counts = ", ".join(f'count("{name}")' for name in CONTEXT_COLUMNS)
    row = connection.execute(f"select {counts} from sessions").fetchone()  # noqa: S608  constants
    return [name for name, n in zip(CONTEXT_COLUMNS, row or (), strict=True) if n]


def _edges(connection: duckdb.DuckDBPyConnection, column: ContextColumn) -> list[float]:
    # From the histogram of values: exact, and independent of the order of the files.
    found = connection.execute(
        f'select v::double as v, count(*) as n from (select unnest("{column.name}") as v'  # noqa: S608
        " from sessions) where isfinite(v) group by v order by v"
    ).fetchnumpy()
    values, counts = np.asarray(found["v"]), np.asarray(found["n"])
    share = np.cumsum(counts) / counts.sum()
    targets = np.arange(1, column.bins or 1) / (column.bins or 1)
    picked: list[Any] = np.unique(values[np.searchsorted(share, targets)]).tolist()
    return picked


def _part(column: ContextColumn, value: str) -> str:
    if column.bins is None:
        text = f"replace(replace(replace({value}, '%', '%25'), '|', '%7C'), '=', '%3D')"
    else:
        edges = f"getvariable('edges_{column.name}')"
        text = f"len(list_filter({edges}, lambda e: e < {value}))::varchar"
        text = f"case when {value} is null then '' else {text} end"
    return f"'{column.name}=' || coalesce({text}, '')"
