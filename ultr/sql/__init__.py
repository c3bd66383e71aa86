"""SQL over a lake: one view per table of the registry, the named queries of `sql/`, and Polars."""

from ultr.sql.checks import run_checks
from ultr.sql.connection import connect, query
from ultr.sql.frames import scan
from ultr.sql.named import Named, load, named_queries

__all__ = ["Named", "connect", "load", "named_queries", "query", "run_checks", "scan"]
