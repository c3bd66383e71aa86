"""Lists that a cell of text holds: parsed as JSON or Python, and never executed."""

from __future__ import annotations

import pytest

from ultr.logs.values import parse_lists


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('["a", 1, null]', ["a", "1", None]),
        ("['a', 1.5, None]", ["a", "1.5", None]),
        ("[(1, 2)]", ["[1, 2]"]),
        ('[1, {"a": [1.5, null]}]', ["1", '{"a": [1.5, null]}']),
    ],
)
def test_items_become_text(text, items):
    assert parse_lists([text], "auto") == [items]


@pytest.mark.parametrize(
    "text",
    [
        None, "", "1", '{"a": 1}', "[b'1']", "[{1, 2}]", "[{(1, 2): 3}]", "[1j]", "[...]",
        r'["\ud800"]', r'["a", ["\ud800"]]', r'[{"\ud800": 1}]', "[__import__('os')]", "[" * 9999,
    ],
)  # fmt: skip
def test_what_has_no_text_is_no_list(text):
    assert parse_lists([text], "auto") == [None]
