"""Row numbers are given once, by first period, query and document."""

import numpy as np
import pytest

from ultr.etl.numbering import ALWAYS, Known, Pairs, number_pairs

NONE = Known(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int32))


def pairs(*rows):
    query, document, first = zip(*rows, strict=True)
    return Pairs(np.array(query), np.array(document), np.array(first, np.int32))


def test_rows_follow_first_period_query_and_document():
    wanted = pairs((7, 3, 1), (7, 1, 0), (5, 9, 1), (7, 3, 0), (8, 8, ALWAYS))
    found = number_pairs(wanted, known=NONE)
    assert list(zip(found.query.tolist(), found.document.tolist(), strict=True)) == [
        (8, 8), (7, 1), (7, 3), (5, 9)
    ]  # fmt: skip
    assert found.row.tolist() == [2, 1, 3, 2, 0]
    assert found.rank.tolist() == [2, 1, 0, 2, 3]


def test_known_pairs_keep_their_rows():
    known = Known(np.array([7, 5]), np.array([1, 9]), np.array([1, 0], np.int32))
    found = number_pairs(pairs((7, 1, 0), (6, 2, 0), (5, 9, ALWAYS)), known=known)
    assert found.row.tolist() == [1, 2, 0]
    assert (found.known, found.query.tolist(), found.document.tolist()) == (2, [6], [2])


@pytest.mark.parametrize("nights", [1, 4])
def test_any_number_of_nights_gives_the_same_rows(nights):
    rng = np.random.default_rng(0)
    query, document = rng.integers(0, 50, (2, 4000))
    period = np.sort(rng.integers(0, 8, 4000)).astype(np.int32)
    whole = number_pairs(Pairs(query, document, period), known=NONE)
    known, row = NONE, []
    for part in np.array_split(np.arange(8), nights):
        now = np.isin(period, part)
        found = number_pairs(Pairs(query[now], document[now], period[now]), known=known)
        row.append(found.row)
        new = np.arange(found.known, found.known + len(found.query), dtype=np.int32)
        grown = (found.query, found.document, new)
        known = Known(*(np.concatenate(c) for c in zip(known, grown, strict=True)))
    np.testing.assert_array_equal(np.concatenate(row), whole.row)
    np.testing.assert_array_equal(known.query[known.row.argsort()], whole.query)
    np.testing.assert_array_equal(known.document[known.row.argsort()], whole.document)
