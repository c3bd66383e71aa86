"""Logs for jobs that are killed: pages that repeat, and something to reject in each file."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Lines = Iterator[tuple[int, str]]
"""Number of the file, modulo how many there are, and a line."""


def write_logs(folder: Path, *, files: int, sessions: int, form: str = "yandex") -> list[Path]:
    """Files of `sessions` pages each, in one of the formats `FORMS`."""
    folder.mkdir()
    texts = [list[str]() for _ in range(files)]
    for number in range(files):
        rng = random.Random(number)
        for s in range(sessions):
            for file, line in FORMS[form](rng, number, s):
                texts[file % files].append(line)
    paths = [folder / f"{number}.log" for number in range(files)]
    for path, lines in zip(paths, texts, strict=True):
        path.write_text("\n".join([*lines, "junk", ""]))
    return paths


def _yandex(rng: random.Random, number: int, s: int) -> Lines:
    query, first = rng.randrange(200), rng.randrange(3)
    urls = "\t".join(f"u{query}x{(first + i) % 12}" for i in range(10))
    yield number, f"{number}-{s}\t0\tQ\t{query}\t0\t{urls}"
    if rng.random() < 0.5:
        yield number, f"{number}-{s}\t3\tC\tu{query}x{first}"


def _ubi(rng: random.Random, number: int, s: int) -> Lines:
    """What was clicked, and the last that was shown, stand in the next file."""
    query, first = rng.randrange(200), rng.randrange(3)
    page = {"query_id": f"page-{number}-{s}", "client_id": f"client {s % 50}"}
    page |= {"timestamp": 1767225600000 + 1000 * s, "application": "shop"}
    yield number, json.dumps(page | {"user_query": f"words {query}"})

    def event(action: str, at: int) -> str:
        attributes: dict[str, Any] = {"object": {"object_id": f"d{query}x{(first + at) % 12}"}}
        attributes |= {"position": {"ordinal": at}}
        return json.dumps(page | {"action_name": action, "event_attributes": attributes})

    for at in (1, 2, 3):
        yield number + (at == 3), event("impression", at)
    if rng.random() < 0.5:
        yield number + 1, event("click", rng.randrange(1, 4))


def _baidu(rng: random.Random, number: int, s: int) -> Lines:
    query, first = rng.randrange(200), rng.randrange(3)
    yield number, f"{s}\t{query}\x01{number}\t-"
    for at in (1, 2, 3):
        url = hashlib.md5(f"{query} {(first + at) % 12}".encode()).hexdigest()
        click = int(rng.random() < 0.3)
        yield number, "\t".join([str(at), url, "1\x012", "3\x014", "-", str(click), *["-"] * 26])


FORMS: dict[str, Callable[[random.Random, int, int], Lines]] = {
    "yandex": _yandex,
    "ubi": _ubi,
    "baidu": _baidu,
}
