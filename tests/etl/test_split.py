"""Fixed hashes: stable, the same in NumPy and SQL, in the right proportions, independent."""

import duckdb
import numpy as np
import pytest

from ultr.commit import _path_value
from ultr.etl.split import (
    MACROS,
    SPLITS,
    bucket_of,
    query_split,
    session_split,
    source_period,
    source_seed,
)

EDGES = [0, 1, -1, 7, 2**31, 2**32, -(2**32), 2**63 - 1, -(2**63)]


def by_the_formula(key, salt):
    """MurmurHash3's fmix32 of the folded key, in Python's unbounded integers."""
    mask = 2**32 - 1
    bits = key % 2**64
    x = (bits % 2**32) * 0x9E3779B1 + (bits >> 32) * 0x85EBCA77 + salt & mask
    x = (x ^ x >> 16) * 0x85EBCA6B & mask
    x = (x ^ x >> 13) * 0xC2B2AE35 & mask
    return x ^ x >> 16


def split_by_the_formula(key, salt):
    tenth = by_the_formula(key, salt) % 10
    return 0 if tenth < 8 else tenth - 7


@pytest.mark.parametrize("key", EDGES)
def test_hashes_are_the_published_formula(key):
    assert query_split(key) == split_by_the_formula(key, 0x51ED270B)
    assert bucket_of(key, buckets=64) == by_the_formula(key, 0x2545F491) % 64
    assert session_split("log.tsv", key) == split_by_the_formula(key, source_seed("log.tsv"))


def test_fmix32_is_murmurs():
    # From MurmurHash3's reference: the finaliser is a bijection that keeps 0 and maps 1 so.
    found = duckdb.connect()
    found.execute(MACROS)
    assert found.execute("select fmix32(0::ubigint), fmix32(1::ubigint)").fetchone() == (
        0,
        0x514E28B7,
    )


def test_a_sources_seed_is_blake2b():
    assert source_seed("") == int("e4a6a057", 16)  # RFC 7693's BLAKE2b with 8 bytes of output


def test_numpy_and_sql_agree():
    rng = np.random.default_rng(1)
    keys = np.concatenate([EDGES, rng.integers(-(2**63), 2**63 - 1, 5000)])
    connection = duckdb.connect()
    connection.execute(MACROS)
    found = connection.execute(
        "select query_split(k) as q, session_split($seed::ubigint, k) as s, bucket_of(k, 32) as b"
        " from (select unnest($keys) as k)",
        {"keys": keys.tolist(), "seed": source_seed("a")},
    ).fetchnumpy()
    np.testing.assert_array_equal(found["q"], query_split(keys))
    np.testing.assert_array_equal(found["s"], session_split("a", keys))
    np.testing.assert_array_equal(found["b"], bucket_of(keys, buckets=32))


@pytest.mark.parametrize("step", [1, 2, 10, 11, 4096, 2**40 + 1])
def test_shares_are_80_10_10(step):
    n = 50_000
    keys = np.arange(n) * step
    for split in (query_split(keys), session_split("x", keys)):
        share = np.bincount(split, minlength=3) / n
        # Six standard deviations of a binomial share.
        np.testing.assert_allclose(share, [0.8, 0.1, 0.1], atol=6 * np.sqrt(0.16 / n))


def test_split_bucket_and_sources_are_independent():
    n, buckets = 80_000, 8
    keys = np.arange(n)
    held = query_split(keys) == SPLITS.index("test")
    bound = 6 * np.sqrt(0.09 / (n / buckets))
    for bucket in range(buckets):
        assert abs(held[bucket_of(keys, buckets=buckets) == bucket].mean() - 0.1) < bound
    first, second = (session_split(s, keys) == SPLITS.index("test") for s in ("a", "b"))
    assert abs((first & second).mean() - 0.01) < 6 * np.sqrt(0.01 / n)
    assert abs((first & held).mean() - 0.01) < 6 * np.sqrt(0.01 / n)


def test_buckets_are_even():
    counts = np.bincount(bucket_of(np.arange(64_000), buckets=64))
    assert len(counts) == 64
    assert abs(counts - 1000).max() < 6 * np.sqrt(1000)


@pytest.mark.parametrize("source", ["a.tsv", "../../etc/passwd", "ein Log.tsv", "", "x" * 500])
def test_a_sources_period_is_safe_as_a_folder(source):
    name = source_period(source)
    assert _path_value("period", name) == name
    assert name != source_period(source + "x")
