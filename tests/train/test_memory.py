"""The memory that a training may have: the machine's, or what its control groups allow."""

from __future__ import annotations

import pytest

from ultr.train.memory import memory_bytes


def found(tmp_path, line, limits):
    (tmp_path / "own").write_text(line)
    for name, text in limits.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return memory_bytes(root=tmp_path / "groups", own=tmp_path / "own")


@pytest.mark.parametrize(
    ("line", "limits"),
    [
        ("0::/\n", {"memory.max": "4096\n"}),
        ("0::/job/step\n", {"job/memory.max": "4096\n", "job/step/memory.max": "max\n"}),
        ("0::/job/step\n", {"job/memory.max": "8192\n", "job/step/memory.max": "4096\n"}),
        ("5:cpu:/a\n4:memory:/a\n", {"memory/a/memory.limit_in_bytes": "4096\n"}),
    ],
)
def test_the_tightest_limit_counts(tmp_path, line, limits):
    assert found(tmp_path, line, limits) == 4096


@pytest.mark.parametrize("line", ["", "0::/\n", "5:cpu:/a\n", "0::/../other\n"])
def test_without_limits_it_is_the_machine_s(tmp_path, line):
    assert found(tmp_path, line, {"memory.max": "max\n"}) == found(tmp_path, "", {})
    assert found(tmp_path, line, {}) > 1 << 28
