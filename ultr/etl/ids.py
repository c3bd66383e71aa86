"""Keys to stable 64-bit ids, by one rule per column that the lake's manifest keeps.

- `integer`: a whole number in canonical form is itself;
- `hex`: a hex digest gives its first 8 bytes, big-endian;
- `xxh3`: anything else, XXH3-64 with seed 0 of the UTF-8 bytes.

Ids are the same across runs, machines and versions, which the hashes of Polars and DuckDB are not.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl
import polars_hash as plh

from ultr.errors import DataError, UsageError

RULES = ("integer", "hex", "xxh3")

_DIGEST_LENGTHS = (32, 40, 64, 128)

_NO_BYTE, _ANY_NO_BYTE = 0x100, np.uint64(0x0100010001000100)
_digit = np.full(256, _NO_BYTE, np.uint16)
for _letters in (b"0123456789abcdef", b"0123456789ABCDEF"):
    _digit[np.frombuffer(_letters, np.uint8)] = np.arange(16)
_first, _second = _digit, _digit[:, None]  # as they stand in a little-endian word
_BYTES = np.where(np.maximum(_first, _second) < 16, _first << 4 | _second, _NO_BYTE).reshape(-1)
"""Two hex digits, as they stand in memory -> their byte, or `_NO_BYTE`."""


class MixedIdsError(DataError):
    """Keys that break a column's rule.

    Args:
        column: `query` or `doc`.
        rule: the rule, what came, and what to do: as for every error.
    """

    def __init__(self, column: str, *, rule: str, got: str, hint: str) -> None:
        self.column = column
        super().__init__(rule, got=got, hint=hint)

    def within(self, source: str) -> MixedIdsError:
        """The same of a file."""
        got = f"{source}: {self.got}"
        return MixedIdsError(self.column, rule=self.rule, got=got, hint=self.hint)


def detect_rule(keys: pl.Series) -> str:
    """The rule that fits all `keys` (text or integers)."""
    text = keys.cast(pl.String).drop_nulls()
    if not _integers(text).null_count():
        return "integer"
    is_one_digest = text.str.len_bytes().n_unique() == 1 and not _digests(text).null_count()
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
    ids = _BY_RULE[rule](text)
    breaks = text.filter(ids.is_null())
    if len(breaks):
        raise MixedIdsError(
            column,
            rule=f"the {column} ids of this lake follow the rule `{rule}`, and may not mix rules",
            got=f"{len(breaks):,} of {len(text):,} keys do not, the first is {breaks[0]!r}",
            hint=f"correct the column, or ingest into a new lake with --id-rule {column}=xxh3",
        )
    return ids.alias(f"{column}_id")


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


def _integers(keys: pl.Series) -> pl.Series:
    """Whole numbers in canonical form (no `+7`, `007` or `-0`), null where a key is none."""
    key, one_digit = pl.col("key"), ("1", ":")  # `:` comes after `9`
    positive = (key >= one_digit[0]) & (key < one_digit[1])
    negative = (key >= f"-{one_digit[0]}") & (key < f"-{one_digit[1]}")
    number = key.cast(pl.Int64, strict=False)
    frame = pl.DataFrame({"key": keys})
    return frame.select(pl.when(positive | negative | (key == "0")).then(number)).to_series()


def _digests(keys: pl.Series) -> pl.Series:
    """The first 8 bytes of hex digests, null where a key is none."""
    length = keys.str.len_bytes()
    if length.n_unique() <= 1:
        return _equally_long(keys, int(length[0]) if len(keys) else 0)
    out = pl.Series([None], dtype=pl.Int64).new_from_index(0, len(keys))
    for size in _DIGEST_LENGTHS:
        which = (length == size).arg_true()
        out = out.scatter(which, _equally_long(keys.gather(which), size))
    return out


def _equally_long(keys: pl.Series, length: int) -> pl.Series:
    if length not in _DIGEST_LENGTHS:
        return pl.Series([None], dtype=pl.Int64).new_from_index(0, len(keys))
    text = keys.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    begin = int(np.frombuffer(text.buffers()[1], np.int64)[text.offset])
    letters = np.frombuffer(text.buffers()[2], np.uint8)[begin : begin + len(text) * length]
    byte = _BYTES.take(letters.view("<u2")).reshape(-1, length // 2)
    word = byte[:, :8].astype(np.uint8).view(">i8").reshape(-1).astype(np.int64)
    is_broken = (byte.view("<u8") & _ANY_NO_BYTE).any(axis=1)  # four bytes at a time
    return pl.Series(word).set(pl.Series(is_broken), None)


def _hashes(keys: pl.Series) -> pl.Series:
    hashed: pl.Expr = plh.col("key").nchash.xxh3_64()
    return pl.DataFrame({"key": keys}).select(hashed.reinterpret(signed=True)).to_series()


_BY_RULE = {"integer": _integers, "hex": _digests, "xxh3": _hashes}


def _complete(keys: pl.Series, column: str) -> pl.Series:
    if keys.null_count():
        raise DataError(
            f"every row needs a {column} id",
            got=f"{keys.null_count():,} of {len(keys):,} are missing",
            hint="leave such rows out",
        )
    return keys
