"""Whatever bytes come: no crash other than a clear error, and no line unaccounted for."""

from __future__ import annotations

import gzip
import random

import pytest

from ultr.errors import DataError
from ultr.logs import table, yandex

YANDEX = b"".join(
    b"%d\t%d\tQ\t7\t0\t10\t11\t12\n%d\t%d\tC\t11\n" % (s, s, s, s + 1) for s in range(6)
)
CSV = b"session_id,query_id,doc_id,position,click\n" + b"".join(
    b"s%d,q,d%d,%d,%d\n" % (s, p, p, p % 2) for s in range(4) for p in (1, 2, 3)
)
JSON = b"".join(
    b'{"session_id": "s%d", "query_id": "q", "doc_id": ["a", "b"], "position": [1, 2],'
    b' "click": [0, 1]}\n' % s
    for s in range(4)
)
ALPHABET = [b"\t", b"\n", b",", b'"', b"[", b"]", b"{", b"-1", b"\x00", b"\xff", b"nan", b"1e999",
            b"\r\n", b"\xef\xbb\xbf", b"'", b"9" * 30, b" "]  # fmt: skip


def mutate(data: bytes, rng: random.Random) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(4):
            case 0:
                out[at:at] = rng.choice(ALPHABET)
            case 1:
                del out[at : at + rng.randint(1, 30)]
            case 2:
                out[at : at + 1] = rng.choice(ALPHABET)
            case _:
                out[at:at] = out[at : at + rng.randint(1, 60)]
    return bytes(out)


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize(
    ("reader", "data"), [(yandex.read, YANDEX), (table.read, CSV), (table.read, JSON)]
)
def test_mutated_files(tmp_path, reader, data, seed):
    rng = random.Random(seed)
    mutated = mutate(data, rng)
    if seed % 5 == 0:
        mutated = gzip.compress(mutated)[: rng.choice([None, -6])]
    path = tmp_path / "log"
    path.write_bytes(mutated)
    try:
        chunks = list(reader(path))
    except DataError:
        return
    for chunk in chunks:  # the chunk itself checks that its lines add up
        length = chunk.pages["doc_key"].list.len()
        for name in ("position", "click"):
            assert (chunk.pages[name].list.len() == length).all()
        assert (chunk.pages["position"].list.min() >= 1).all()
        assert (chunk.pages["position"].list.n_unique() == length).all()
