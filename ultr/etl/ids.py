"""Keys to stable 64-bit ids, by one rule per column that the lake's manifest keeps.

- `integer`: a whole number in canonical form is itself;
- `hex`: a hex digest gives its first 8 bytes, big-endian;
- `xxh3`: anything else, XXH3-64 with seed 0 of the UTF-8 bytes.

Ids are the same across runs, machines and versions, which the hashes of Polars and DuckDB are not.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
import polars_hash as plh

from ultr.errors import DataError, UsageError

RULES = ("integer", "hex", "xxh3")

_INTEGER = r"^(0|-?[1-9][0-9]{0,18})$"
_DIGEST = r"^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128})$"


class MixedIdsError(DataError):
    """Keys that break a column's rule.

    Args:
        column: `query` or `doc`.
        rule: the rule, what came, and what to do: as for every error.
    """

    def __init__(self, column: str, *, rule: str, got: str, hint: str) -> None:
        self.column = column
        super().__init__(rule, got=got, hint=hint)


def detect_rule(keys: pl.Series) -> str:
    """The rule that fits all `keys` (text or integers)."""
    text = keys.cast(pl.String)
    if _follows(text, "integer").all():
        return "integer"
    is_one_digest = text.str.len_bytes().n_unique() == 1 and _follows(text, "hex").all()
    return "hex" if is_one_digest else "xxh3"


def to_id(keys: pl.Series, rule: str, *, column: str) -> pl.Series:
    """Ids of keys under a rule.

    Args:
        keys: text, or integers.
        rule: one of `RULES`.
        column: what the keys are, for the error message: `query` or `doc`.

    Raises:
        DataError: a key that is missing.
        MixedIdsError: a key that does not follow the rule.
    """
    if keys.dtype.is_integer() and keys.dtype != pl.UInt64 and rule == "integer":
        return _complete(keys, column).cast(pl.Int64).alias(f"{column}_id")
    text = _complete(keys.cast(pl.String), column)
    breaks = text.filter(~_follows(text, rule))
    if len(breaks):
        raise MixedIdsError(
            column,
            rule=f"the {column} ids of this lake follow the rule `{rule}`, and may not mix rules",
            got=f"{len(breaks):,} of {len(text):,} keys do not, the first is {breaks[0]!r}",
            hint=f"correct the column, or ingest into a new lake with --id-rule {column}=xxh3",
        )
    frame = pl.DataFrame({"key": text})
    return frame.select(_expression(rule).alias(f"{column}_id")).to_series()


def lake_rule(ids: Mapping[str, str], column: str) -> str:
    """The rule of a lake's column.

    Raises:
        DataError: nothing was ingested yet, so that there is no rule.
    """
    if column not in ids:
        raise DataError(
            "features and judgments take their ids from the log's rule",
            got="a lake without a log",
            hint="run ultr ingest first",
        )
    return ids[column]


def parse_rules(assignments: Mapping[str, str]) -> dict[str, str]:
    """Check `{"doc": "xxh3"}` as given on the command line.

    Raises:
        UsageError: another column than query or doc, or an unknown rule.
    """
    for column, rule in assignments.items():
        if column not in ("query", "doc") or rule not in RULES:
            raise UsageError(
                f"--id-rule takes query=RULE or doc=RULE, with RULE one of {', '.join(RULES)}",
                got=f"{column}={rule}",
                hint="for example --id-rule doc=xxh3",
            )
    return dict(assignments)


def _follows(keys: pl.Series, rule: str) -> pl.Series:
    match rule:
        case "integer":
            fits = keys.cast(pl.Int64, strict=False).is_not_null()  # 19 digits may not
            return keys.str.contains(_INTEGER) & fits
        case "hex":
            return keys.str.to_lowercase().str.contains(_DIGEST)
        case _:
            return pl.repeat(True, len(keys), eager=True)


def _expression(rule: str) -> pl.Expr:
    key = pl.col("key")
    match rule:
        case "integer":
            return key.cast(pl.Int64)
        case "hex":
            first = key.str.slice(0, 16).str.decode("hex")
            return first.bin.reinterpret(dtype=pl.Int64, endianness="big")
        case _:
            hashed: pl.Expr = plh.col("key").nchash.xxh3_64()
            return hashed.reinterpret(signed=True)


def _complete(keys: pl.Series, column: str) -> pl.Series:
    if keys.null_count():
        raise DataError(
            f"every row needs a {column} id",
            got=f"{keys.null_count():,} of {len(keys):,} are missing",
            hint="leave such rows out",
        )
    return keys
