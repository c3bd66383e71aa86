"""Lakes with a few hundred pages, made without the readers."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from ultr.lake import create_lake
from ultr.schema import TABLES

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def as_rows(table, records):
    """Records as an Arrow table of the registry; what a record leaves out is null."""
    schema = TABLES[table].arrow()
    return pa.Table.from_pylist([{n: r.get(n) for n in schema.names} for r in records], schema)


def page(ordinal, query_id, docs, clicks, **more):
    return {
        "source": "a.tsv",
        "ordinal": ordinal,
        "query_id": query_id,
        "period": "all",
        "doc_id": docs,
        "position": list(range(1, len(docs) + 1)),
        "click": clicks,
        "weight": 1.0,
        **more,
    }


def random_pages(n, *, seed=0, timed=False, shuffled=False, weights=(1.0,)):
    """Pages of 30 queries, of 2 to 4 documents in one of few orders, with everything optional."""
    rng = np.random.default_rng(seed)
    pages = []
    for i in range(n):
        query, k = int(rng.integers(-15, 15)), int(rng.integers(2, 5))
        start = int(rng.integers(3))
        docs = [int(query * 100 + (start + j) % 5) for j in range(k)]
        positions = [1 + j + (j > 1) * int(start == 2) for j in range(k)]
        clicks = [int(c) for c in rng.random(k) < 0.2]
        more = {
            "device": ["phone", "desk=top|a", None][i % 3],
            "media_type": [["image", "text"][d % 2] for d in docs],
            "height_px": [float(10 * (d % 5)) for d in docs],
            "dwell_s": [float(rng.integers(100)) / 8 if c else None for c in clicks],
            "weight": float(weights[i % len(weights)]),
        }
        if timed:
            shown = START + timedelta(hours=36 * (i % 7))
            more |= {"shown_at": shown, "period": shown.date().isoformat()}
        lists = {"docs": docs, "position": positions, "clicks": clicks}
        if shuffled:
            order = rng.permutation(k)
            lists = {name: [v[j] for j in order] for name, v in lists.items()}
            for name in ("media_type", "height_px", "dwell_s"):
                more[name] = [more[name][j] for j in order]
        docs, clicks = lists["docs"], lists["clicks"]
        more |= {"position": lists["position"], "source": f"{'ab'[i % 2]}.tsv"}
        pages.append(page(1 + i // 2, query, docs, clicks, **more))
    return pages


def write_lake(root, pages, *, files=1, ids=None):
    """A lake with these pages in so many Parquet files."""
    with create_lake(root).commit("test") as change:
        for i in range(files):
            change.write("sessions", as_rows("sessions", pages[i::files]), source=f"{i}.tsv")
        change.manifest.ids.update(ids or {"query": "integer", "doc": "integer"})
    return root


@pytest.fixture
def pages():
    return random_pages


@pytest.fixture
def one_page():
    return page


@pytest.fixture
def make_lake():
    return write_lake


@pytest.fixture
def make_rows():
    return as_rows
