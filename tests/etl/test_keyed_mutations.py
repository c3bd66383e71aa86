"""Files of grades and features, whatever bytes come: rows or a clear error."""

from __future__ import annotations

import contextlib
import random

import pytest

from tests.etl.keyed_family import KEYED
from tests.soak.fuzz import edits
from ultr.errors import DataError


@pytest.mark.parametrize("reader", KEYED)
def test_a_good_file_has_twelve_rows(tmp_path, reader):
    member = KEYED[reader]
    assert member.check(member.place(tmp_path, member.data)) == 12


@pytest.mark.parametrize("reader", KEYED)
def test_mutated_files(tmp_path, reader):
    member, rng = KEYED[reader], random.Random(reader)
    for _ in range(80):
        with contextlib.suppress(DataError):
            member.check(member.place(tmp_path, edits(rng, member.data)))


def test_bytes_that_are_no_text_are_no_grade(tmp_path):
    member = KEYED["grades csv"]
    path = member.place(tmp_path, member.data.replace(b",1,", b",\xff,"))
    with pytest.raises(DataError, match="whole number from 0 to 30"):
        member.check(path)
