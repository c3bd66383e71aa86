"""How much memory this process may have."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")


def memory_bytes(*, root: Path = _ROOT, own: Path = _OWN) -> int:
    """What the machine has, or less where a container or a batch job is held to it.

    Args:
        root: where control groups are mounted.
        own: says which this process is in.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *_limits(root, own)])


def _limits(root: Path, own: Path) -> Iterator[int]:
    """Of every control group that this process is in, and of those around it."""
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            # Version 2 of control groups, and version 1.
            name = "memory.limit_in_bytes" if controllers else "memory.max"
            group = root / controllers / path.lstrip("/")
            around = [g for g in (group, *group.parents) if g.is_relative_to(root / controllers)]
            texts = (_text(g / name).strip() for g in around)
            yield from (int(text) for text in texts if text.isdecimal())  # else "max", or none


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
