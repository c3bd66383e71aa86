"""Grouping is exact whatever the hash is, and sorting is that of NumPy."""

import numpy as np
import pytest

from ultr.etl.collapse import Rows, collapse, exact_weights, hash_lists, hash_rows, real_weights
from ultr.etl.grouping import Near, group, order_by, sort_pairs
from ultr.etl.ragged import as_lists, gather, totals


def random_rows(rng, n, *, width=None, context=False):
    """Rows with many repeats, of lists of one length or of several."""
    size = np.full(n, width) if width else rng.integers(0, 4, n)
    m = int(size.sum())
    start = np.concatenate([[0], np.cumsum(size)])[:-1]
    place = np.arange(m) - np.repeat(start, size)
    columns = {
        "query": rng.integers(0, 3, n),
        "cell": rng.integers(0, 2, n).astype(np.int32),
        "size": size.astype(np.int32),
        "n": rng.integers(1, 5, n),
        "document": rng.integers(0, 2, m),
        "position": (place + 1).astype(np.int16),
        "click": rng.integers(0, 2, m).astype(np.int8),
        "context": rng.integers(0, 2, m).astype(np.int32) if context else None,
        "weight": exact_weights(rng.random(n)),
    }
    hashes = None if not context else columns["context"].astype(np.uint64) * np.uint64(7919)
    shown = (columns[c] for c in ("query", "size", "document", "position"))
    list_hash = hash_lists(*shown, hashes)
    cell = columns["cell"].astype(np.uint64)
    row_hash = hash_rows(list_hash, cell, columns["size"], columns["click"])
    return Rows(**columns, list_hash=list_hash, row_hash=row_hash)


def as_counts(rows):
    """(query, cell, documents, positions, clicks, contexts) -> (n, weights)."""
    out = {}
    for i in range(len(rows)):
        key = rows.row_key(i)
        assert key not in out
        out[key] = (int(rows.n[i]), *rows.weight[i].tolist())
    return out


def expected(rows):
    out = {}
    for i in range(len(rows)):
        key = rows.row_key(i)
        now = np.array([rows.n[i], *rows.weight[i]])
        out[key] = tuple((np.array(out.get(key, 0)) + now).tolist())
    return out


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("width", [2, None], ids=["one length", "several lengths"])
@pytest.mark.parametrize("bits", [64, 3, 1], ids="{} bits of hash".format)
def test_collapse_is_exact_whatever_the_hash(width, context, bits):
    rows = random_rows(np.random.default_rng(0), 500, width=width, context=context)
    rows.row_hash[:] %= np.uint64(2**bits - 1)  # rows that differ share a hash
    assert as_counts(collapse(rows)) == expected(rows)


def test_collapse_puts_rows_into_the_order_asked_for():
    rows = random_rows(np.random.default_rng(1), 300)
    found = collapse(rows, order=lambda plain: np.lexsort((plain.row_hash, plain.query)))
    assert (np.diff(found.query) >= 0).all()
    assert as_counts(found) == expected(rows)


def test_no_rows():
    rows = random_rows(np.random.default_rng(0), 0)
    assert len(collapse(rows)) == 0


def test_equal_lists_hash_alike_in_batches_of_other_lengths():
    rng = np.random.default_rng(2)
    mixed = random_rows(rng, 200)
    some = np.flatnonzero(mixed.size == 2)
    alone = mixed.take(some)
    again = hash_lists(alone.query, alone.size, alone.document, alone.position, None)
    np.testing.assert_array_equal(again, mixed.list_hash[some])


def test_the_hash_is_fixed_for_ever():
    """The bucket of a list of a split query follows from it."""
    shown = (np.array([2], np.int32), np.array([9, -4]), np.array([1, 2], np.int16))
    assert hash_lists(np.array([7]), *shown, None).tolist() == [6472431351224341903]


def test_weights_are_exact_and_do_not_depend_on_the_order():
    weight = np.array([0.1, 1e-9, 1000.25, 3.0, 0.7])
    n = np.ones(len(weight), np.int64)
    first, squares = real_weights(n, exact_weights(weight))
    np.testing.assert_allclose(first, weight, rtol=0, atol=2.0**-50)
    np.testing.assert_allclose(squares, weight**2, rtol=0, atol=2.0**-50)
    one, other = (exact_weights(w).sum(axis=0) for w in (weight, weight[::-1]))
    assert one.tolist() == other.tolist()
    assert [x.tolist() for x in real_weights(n, None)] == [n.tolist(), n.tolist()]


@pytest.mark.parametrize("high", [3, 2**20, 2**62, 2**63 - 1], ids=str)
@pytest.mark.parametrize("runs", [1, 5])
def test_pairs_are_grouped_in_order(high, runs):
    rng = np.random.default_rng(0)
    ends = rng.integers(-high, high, (2, 30))
    a, b = ends[0][rng.integers(0, 30, 200)].repeat(runs), ends[1][rng.integers(0, 30, 200 * runs)]
    groups = sort_pairs(a, b)
    pairs, number = np.unique(np.stack([a, b], axis=1), axis=0, return_inverse=True)
    np.testing.assert_array_equal(groups.number, number.ravel())
    np.testing.assert_array_equal(np.stack([a, b], axis=1)[groups.first], pairs)
    np.testing.assert_array_equal(groups.sum(np.ones(len(a))), np.bincount(groups.number))


def test_pairs_that_agree_in_their_high_bits_are_told_apart():
    a = np.arange(8).repeat(4)
    b = np.tile([-(2**62), 2**62, 2**62 + 1, 2**62 + 2], 8)
    groups = sort_pairs(a[::-1].copy(), b[::-1].copy())
    np.testing.assert_array_equal(groups.order, np.arange(32)[::-1])
    assert len(groups.start) == 32


def test_no_pairs():
    assert len(sort_pairs(np.zeros(0, np.int64), np.zeros(0, np.int64)).number) == 0


def test_different_rows_of_one_hash_are_told_apart():
    values = np.array([5, 6, 5, 6, 5])
    groups = group(
        np.zeros(5, np.uint64),
        equal=lambda i, j: values[i] == values[j],
        key=lambda row: int(values[row]),
    )
    assert sorted(groups.sum(np.ones(5)).tolist()) == [2, 3]


@pytest.mark.parametrize("large", [False, True])
def test_order_by_sorts_as_lexsort(monkeypatch, large):
    if large:  # columns whose numbers do not fit side by side
        monkeypatch.setattr("ultr.etl.grouping._MOST_KEYS", 10_000)
    rng = np.random.default_rng(0)
    columns = (*rng.integers(-2, 2, (3, 400)), rng.permutation(400))
    np.testing.assert_array_equal(order_by(*columns), np.lexsort(columns[::-1]))


def test_ragged_arrays():
    flat, size = np.arange(6), np.array([2, 0, 1, 3])
    assert as_lists(flat, size).to_pylist() == [[0, 1], [], [2], [3, 4, 5]]
    assert gather(flat, size, np.array([3, 1, 0, 0])).tolist() == [3, 4, 5, 0, 1, 0, 1]
    assert gather(flat, np.array([2, 2, 2]), np.array([2, 0])).tolist() == [4, 5, 0, 1]
    assert totals(flat, size).tolist() == [1, 0, 2, 12]
    assert totals(flat, np.array([3, 3])).tolist() == [3, 12]


@pytest.mark.parametrize("size", [0, 1, 5000])
def test_nothing_that_is_known_is_called_far(size):
    rng = np.random.default_rng(size)
    known, others = (rng.integers(0, 2**64, n, dtype=np.uint64) for n in (size, 20_000))
    near = Near(known)
    assert near(known).all()
    assert near(others).mean() < 0.13  # one bit in eight is set
