"""The SQL files that come with ultr: views, analysis and checks, each one SELECT.

A file starts with a header that says what it is for, and is read from it:

    -- Purpose: one line.
    -- Parameters:
    --   $top = 20: how many rows to give
    -- Columns:
    --   position: rank on the page
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ultr.config import split_assignments
from ultr.errors import UsageError

Kind = Literal["views", "analysis", "checks"]

_PARAMETER = re.compile(r"^\$(\w+) = (.+?): (.+)$")
_COLUMN = re.compile(r"^(\w+): (.+)$")


@dataclass(frozen=True)
class Named:
    """One SQL file.

    Args:
        name: the file's name without `.sql`.
        kind: the folder it is in.
        purpose: one line.
        defaults: parameter -> value used unless another is given.
        parameters: parameter -> meaning.
        columns: output column -> meaning.
        sql: the SELECT, without a semicolon.
    """

    name: str
    kind: Kind
    purpose: str
    defaults: Mapping[str, Any]
    parameters: Mapping[str, str]
    columns: Mapping[str, str]
    sql: str

    @property
    def reads(self) -> frozenset[str]:
        """The views and parts of it that the SELECT names."""
        return frozenset(re.findall(r"\b(?:from|join) (\w+)", self.sql))

    def bind(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters to run with: the defaults, changed by `given`.

        Returns:
            Parameter -> value.

        Raises:
            UsageError: a parameter that the query does not have; the known ones are listed.
        """
        unknown = sorted(set(given) - set(self.defaults))
        if unknown:
            known = ", ".join(f"{k} (default {v!r})" for k, v in self.defaults.items())
            raise UsageError(
                f"{self.name}: every parameter must be a known one",
                got=", ".join(unknown),
                hint=f"known: {known}" if known else "this query has no parameters",
            )
        return {**self.defaults, **given}


def parameter_values(assignments: Sequence[str], *, option: str) -> dict[str, str | None]:
    """Values of `K=V` as text, which DuckDB casts to what it stands beside; `null` is NULL.

    A number may be meant as a key of the log, so nothing is guessed from its look.

    Raises:
        UsageError: not of that form.
    """
    texts = split_assignments(assignments, option=option)
    return {name: None if text == "null" else text for name, text in texts.items()}


def sql_folder() -> Path:
    """Where the SQL files are: inside an installed package, else beside it in the checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "_sql"
    return installed if installed.is_dir() else package.parent / "sql"


def named_queries() -> dict[str, Named]:
    """Every query that `--name` knows: analysis first, then checks."""
    return {q.name: q for kind in ("analysis", "checks") for q in _folder(sql_folder(), kind)}


def checks() -> tuple[Named, ...]:
    """The queries that give no row when the lake is good."""
    return _folder(sql_folder(), "checks")


def views() -> tuple[Named, ...]:
    """The views that are made on top of the tables."""
    return _folder(sql_folder(), "views")


def load(name: str) -> Named:
    """The named query `name`.

    Raises:
        UsageError: no such query; the known ones are listed.
    """
    known = named_queries()
    if name not in known:
        raise UsageError(
            "a named query is one of the list", got=repr(name), hint=f"known: {', '.join(known)}"
        )
    return known[name]


@functools.cache
def _folder(root: Path, kind: Kind) -> tuple[Named, ...]:
    return tuple(parse(p.read_text("utf-8"), p.stem, kind) for p in _files(root / kind))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.sql"))


def parse(text: str, name: str, kind: Kind) -> Named:
    """Read one SQL file with its header.

    Args:
        text: the file.
        name: its name without `.sql`.
        kind: its folder.

    Raises:
        ValueError: no purpose, or a header line that does not fit.
    """
    lines = text.splitlines()
    size = next(i for i, line in enumerate([*lines, ""]) if not line.startswith("--"))
    purpose, defaults, parameters, columns = "", {}, {}, {}
    section = ""
    for line in (raw.removeprefix("--").strip() for raw in lines[:size]):
        if line.startswith("Purpose:"):
            purpose = line.removeprefix("Purpose:").strip()
        elif line in ("Parameters:", "Columns:"):
            section = line
        elif section == "Parameters:" and (found := _PARAMETER.match(line)):
            defaults[found[1]] = json.loads(found[2])
            parameters[found[1]] = found[3]
        elif section == "Columns:" and (found := _COLUMN.match(line)):
            columns[found[1]] = found[2]
        else:
            raise ValueError(f"{name}.sql: the header line {line!r} does not fit")
    if not purpose:
        raise ValueError(f"{name}.sql: the header has no purpose")
    sql = "\n".join(lines[size:]).strip().removesuffix(";")
    return Named(name, kind, purpose, defaults, parameters, columns, sql)
