"""Ids follow one rule per column, the same on every machine."""

from __future__ import annotations

import hashlib

import polars as pl
import pytest

from ultr.errors import DataError, UsageError
from ultr.etl.ids import detect_rule, parse_rules, to_id

DIGESTS = pl.Series([hashlib.md5(t).hexdigest() for t in (b"a", b"b", b"c")])


@pytest.mark.parametrize(
    ("keys", "rule"),
    [
        (pl.Series([1, 2, 3]), "integer"),
        (pl.Series(["0", "-17", "123456789012345678"]), "integer"),
        (pl.Series(["007", "8"]), "xxh3"),
        (pl.Series(["+7"]), "xxh3"),
        (pl.Series([str(2**63 - 1), str(-(2**63))]), "integer"),
        (pl.Series([str(2**63)]), "xxh3"),
        (pl.Series([2**63], dtype=pl.UInt64), "xxh3"),
        (DIGESTS, "hex"),
        (pl.Series([*DIGESTS, "not a digest"]), "xxh3"),
        (pl.Series([DIGESTS[0], hashlib.sha1(b"a").hexdigest()]), "xxh3"),
        (pl.Series(["red shoes"]), "xxh3"),
    ],
)
def test_the_rule_is_detected(keys, rule):
    assert detect_rule(keys) == rule


def test_an_integer_is_itself():
    assert to_id(pl.Series(["12", "-5"]), "integer", column="doc").to_list() == [12, -5]
    assert to_id(pl.Series([12, -5]), "integer", column="doc").to_list() == [12, -5]


def test_a_digest_gives_its_first_eight_bytes_big_endian():
    expected = [int.from_bytes(bytes.fromhex(d)[:8], "big", signed=True) for d in DIGESTS]
    assert to_id(DIGESTS, "hex", column="doc").to_list() == expected


@pytest.mark.parametrize("length", [32, 40, 64, 128])
def test_every_letter_of_a_digest_is_a_hex_digit(length):
    digest = ("0123456789abcdefABCDEF" * 6)[:length]
    odd = [digest[:i] + letter + digest[i + 1 :] for i in range(length) for letter in "g/:@`G \x00"]
    assert detect_rule(pl.Series([digest, digest[::-1]])) == "hex"
    assert not {detect_rule(pl.Series([digest, text])) for text in odd} - {"xxh3"}


def test_text_gives_xxh3_of_its_bytes():
    # The published test vector of XXH3-64 for no input and seed 0.
    empty = 0x2D06800538D394C2
    assert to_id(pl.Series([""]), "xxh3", column="doc").to_list() == [empty]
    some = to_id(pl.Series(["straße", "12"]), "xxh3", column="doc")
    assert some.dtype == pl.Int64
    assert to_id(pl.Series([12]), "xxh3", column="doc")[0] == some[1]


@pytest.mark.parametrize(("rule", "bad"), [("integer", "x1"), ("hex", "abc")])
def test_a_key_that_breaks_the_rule_is_named(rule, bad):
    good = ["1"] if rule == "integer" else [DIGESTS[0]]
    with pytest.raises(DataError, match=f"1 of 2 keys do not, the first is '{bad}'") as error:
        to_id(pl.Series([*good, bad]), rule, column="doc")
    assert "--id-rule doc=xxh3" in str(error.value)


def test_a_missing_key():
    with pytest.raises(DataError, match="every row needs a query id"):
        to_id(pl.Series(["a", None]), "xxh3", column="query")


def test_rules_are_checked():
    assert parse_rules({"doc": "xxh3"}) == {"doc": "xxh3"}
    for wrong in ({"url": "xxh3"}, {"doc": "md5"}):
        with pytest.raises(UsageError, match="--id-rule takes"):
            parse_rules(wrong)
