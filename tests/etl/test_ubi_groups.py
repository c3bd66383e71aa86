"""Which events of UBI are seen together never changes what becomes of them."""

from __future__ import annotations

import json
import random

import polars as pl
import pytest

from tests.faults.kills import contents
from ultr.etl import shares
from ultr.etl.ingest import IngestConfig, ingest
from ultr.etl.ubi_groups import joined
from ultr.logs import spill


def tangled(path, seed, lines=60):
    """Queries of several clients share page ids, and many events name no page."""
    rng, told = random.Random(seed), []
    for at in range(lines):
        line = {"client_id": f"c{rng.randrange(6)}", "timestamp": 1767225600000 + at * 1000}
        if rng.random() < 0.7:
            line["query_id"] = f"page {rng.randrange(8)}"
        if rng.random() < 0.5:
            hits = [f"d{k}" for k in range(4)]
            line |= {"user_query": f"q{rng.randrange(3)}", "query_response_hit_ids": hits}
        else:
            document = {"object": {"object_id": f"d{rng.randrange(4)}"}}
            line |= {"action_name": "click", "event_attributes": document}
        told.append(json.dumps(line) + "\n")
    path.write_text("".join(told))
    return path


def rows(lake):
    return {k: v for k, v in contents(lake).items() if k != "sources"}


@pytest.mark.parametrize("seed", range(4))
def test_many_shares_and_nights_are_one(tmp_path, monkeypatch, seed):
    logs = [tangled(tmp_path / f"{n}.jsonl", f"{seed} {n}") for n in range(3)]
    config = IngestConfig(format="ubi", max_reject_rate=1)
    ingest(logs, lake=tmp_path / "plain", config=config, quiet=True)
    monkeypatch.setattr(shares, "SHARE_ROWS", 1)
    monkeypatch.setattr(spill, "PART_BYTES", 100)
    ingest(logs, lake=tmp_path / "dealt", config=config, quiet=True)
    assert rows(tmp_path / "dealt") == rows(tmp_path / "plain")
    for log in logs:
        ingest([log], lake=tmp_path / "nights", config=config, quiet=True)
    assert rows(tmp_path / "nights") == rows(tmp_path / "plain")


def test_a_long_chain_of_shared_pages_is_one_group():
    order = random.Random(0).sample(range(3000), 3000)
    ties = [(page, order[page + k]) for page in range(2999) for k in (0, 1)]
    found = joined(pl.DataFrame(ties, schema=["page", "client"], orient="row"))
    assert set(found["group"]) == {0}
