"""What can be asked, as text: the views, the named queries, and the columns of one of them."""

from __future__ import annotations

from ultr.errors import UsageError
from ultr.lake import Lake
from ultr.lake_info import view_rows
from ultr.sql.catalog import catalog, named_catalog
from ultr.sql.named import named_queries


def views_text(lake: Lake | None = None) -> str:
    """Every view with what a row of it is; with a lake, how many rows its tables have."""
    views = catalog().values()
    width = max(len(v.name) for v in views)
    lines = ["Views:"]
    for view in views:
        rows = f"{view_rows(lake, view.name):,}" if lake and view.is_table else ""
        lines.append(f"  {view.name:<{width}}  " + (f"{rows:>12}  " if lake else "") + view.purpose)
    return "\n".join(lines)


def names_text() -> str:
    """Every named query with its purpose and parameters."""
    lines = []
    for kind, title in (("analysis", "Analysis"), ("checks", "Checks (no row when all is well)")):
        queries = [q for q in named_queries().values() if q.kind == kind]
        width = max(len(q.name) for q in queries)
        lines.append(f"{title}:")
        for q in queries:
            lines.append(f"  {q.name:<{width}}  {q.purpose}")
            lines += [
                f"  {'':<{width}}    --param {p}=…  {meaning} (default {q.defaults[p]})"
                for p, meaning in q.parameters.items()
            ]
    return "\n".join(lines)


def schema_text(name: str) -> str:
    """The columns of a view or of a named query's result, with their meaning.

    Raises:
        UsageError: no such view or query; the known ones are listed.
    """
    known = catalog() | named_catalog()
    if name not in known:
        raise UsageError(
            "a schema is that of a view or a named query", got=repr(name), hint=", ".join(known)
        )
    view = known[name]
    names = max(len(n) for n, _, _ in view.columns)
    types = min(max(len(t) for _, t, _ in view.columns), 12)
    lines = [f"  {n:<{names}}  {t:<{types}}  {m}" for n, t, m in view.columns]
    return "\n".join([f"{name}: {view.purpose}", *lines])
