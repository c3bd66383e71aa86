"""The bias context: which columns, how they are written, where continuous ones are cut."""

from collections import Counter

import numpy as np
import pytest

from ultr.data import load_lists
from ultr.errors import DataError, UsageError
from ultr.etl.context import parse_context
from ultr.etl.lists import ListsConfig, build_lists
from ultr.lake import open_lake


def contexts(root, *context):
    build_lists(root, config=ListsConfig(context=context), quiet=True)
    return open_lake(root).read("lists").to_pylist()


def test_a_documents_context_is_named_and_escaped(tmp_path, make_lake, one_page):
    more = {"device": "a|b=100%", "media_type": ["image", None]}
    root = make_lake(tmp_path / "lake", [one_page(1, 7, [1, 2], [0, 0], **more)])
    (row,) = contexts(root, "device", "media_type")
    device = "device=a%7Cb%3D100%25"
    assert row["context"] == [f"{device}|media_type=image", f"{device}|media_type="]
    (row,) = contexts(root, "device")
    assert row["context"] == [device, device]
    (row,) = contexts(root)
    assert row["context"] is None


def test_sessions_of_other_context_are_not_collapsed(tmp_path, make_lake, one_page):
    pages = [one_page(5, 7, [1], [0], device=d) for d in ("phone", "phone", "desktop", None)]
    root = make_lake(tmp_path / "lake", pages)
    assert len(contexts(root)) == 1
    found = {row["context"][0]: row["n"] for row in contexts(root, "device")}
    assert found == {"device=phone": 2, "device=desktop": 1, "device=": 1}


def test_context_follows_its_document_when_pages_are_sorted(tmp_path, make_lake, one_page):
    more = {"media_type": ["second", "first"], "position": [2, 1]}
    root = make_lake(tmp_path / "lake", [one_page(1, 7, [20, 10], [1, 0], **more)])
    (row,) = contexts(root, "media_type")
    assert row["context"] == ["media_type=first", "media_type=second"]
    assert row["click"] == [0, 1]


def test_continuous_columns_are_cut_at_quantiles(tmp_path, make_lake, one_page):
    heights = np.arange(1.0, 101.0)
    pages = [one_page(i, 7, [1], [0], height_px=[h]) for i, h in enumerate(heights)]
    pages.append(one_page(1000, 7, [1], [0], height_px=[None]))
    root = make_lake(tmp_path / "lake", pages)
    counts = {}
    for row in contexts(root, "height_px:bins=4"):
        counts[row["context"][0]] = counts.get(row["context"][0], 0) + row["n"]
    assert counts == {f"height_px={b}": 25 for b in range(4)} | {"height_px=": 1}
    edges = open_lake(root).manifest.meta["lists"]["edges"]["height_px"]
    assert edges == [25.0, 50.0, 75.0]


def test_a_column_of_one_value_gives_one_bin(tmp_path, make_lake, one_page):
    pages = [one_page(i, 7, [1], [0], height_px=[10.0]) for i in range(5)]
    root = make_lake(tmp_path / "lake", pages)
    assert {row["context"][0] for row in contexts(root, "height_px")} == {"height_px=0"}


@pytest.mark.parametrize(
    ("context", "words"),
    [
        (("dwell_s",), "device, media_type, height_px"),
        (("user_id",), "before the click"),
        (("device:bins=3",), "no option"),
        (("height_px:bins=1",), "bins=2"),
        (("height_px:bin=4",), "bins=2"),
        (("device", "device"), "once"),
        (("",), "display column"),
        (("device) from sessions; --",), "display column"),
    ],
)
def test_unknown_columns_and_options_are_refused(context, words):
    with pytest.raises(UsageError, match=words):
        parse_context(context)


def test_a_column_without_values_lists_those_that_have_some(tmp_path, make_lake, one_page):
    root = make_lake(tmp_path / "lake", [one_page(1, 7, [1], [0], device="phone")])
    with pytest.raises(DataError, match="columns with values: device"):
        contexts(root, "height_px")


@pytest.mark.parametrize("buckets", [1, 4])
def test_what_training_loads_is_what_the_pages_showed(tmp_path, pages, make_lake, buckets):
    """Levels by name, one order in all buckets, the most often shown first."""
    root = make_lake(tmp_path / "lake", log := pages(200))
    names = ("device", "media_type")
    build_lists(root, config=ListsConfig(context=names, buckets=buckets), quiet=True)
    data = load_lists(root)
    assert [(b.name, b.is_per_document) for b in data.bias] == [
        ("device", False), ("media_type", True)
    ]  # fmt: skip
    expected, found = Counter(), Counter()
    for page in log:
        for doc, position, media in zip(
            page["doc_id"], page["position"], page["media_type"], strict=True
        ):
            expected[page["query_id"], doc, position, page["device"] or "", media] += 1
    for i, k in zip(*np.nonzero(data.where), strict=True):
        text = [b.levels[c] for b, c in zip(data.bias, data.context[i, k], strict=True)]
        doc = data.doc_id[data.document[i, k]]
        query = data.query_id[data.list_query[i]]
        found[query, doc, data.position[i, k], *text] += data.sessions[i]
    assert found == expected
    shown = [np.bincount(data.context[data.where][:, c], data.sessions[np.nonzero(data.where)[0]])
             for c in range(2)]  # fmt: skip
    assert all((np.diff(n) <= 0).all() for n in shown)


def test_lists_that_differ_in_context_alone_are_one_without_it(tmp_path, pages, make_lake):
    log = pages(200)
    plain = load_lists(_lists(make_lake(tmp_path / "plain", log)))
    rich = load_lists(_lists(make_lake(tmp_path / "rich", log), "device", "media_type"))
    assert rich.n_lists > plain.n_lists
    merged = rich.with_bias(())
    assert merged.n_lists == plain.n_lists
    assert merged.sessions.sum() == plain.sessions.sum()
    np.testing.assert_allclose(merged.clicks.sum(axis=0), plain.clicks.sum(axis=0))


def _lists(root, *context):
    build_lists(root, config=ListsConfig(context=context), quiet=True)
    return root
